"""IP packets with a TCP payload changed: shortened, or overwritten in place, with their checksums right. Pure, total.

Only what the kernel hands out whole is changed: IPv4, and IPv6 without extension headers; of anything else nothing is
given, and the caller must do without.
"""

from __future__ import annotations

import struct

_FIN = 0x01
_PSH = 0x08
_TCP = 6


def with_payload(packet: bytes, old: int, payload: bytes) -> bytes | None:
    """Give the packet with `payload` in the place of its last `old` bytes, which were its whole TCP payload.

    A shorter one loses FIN, since the end of the stream is no longer in it. None where that cannot be done.
    """
    start = _transport_at(packet)
    if start is None or len(packet) - old < start + 20 or old < 0:
        return None
    head = bytearray(packet[: len(packet) - old])
    tcp_size = len(head) - start + len(payload)
    if len(payload) < old:
        head[start + 13] &= ~_FIN & 0xFF
    if head[0] >> 4 == 4:
        struct.pack_into("!H", head, 2, start + tcp_size)
        head[10:12] = b"\0\0"
        struct.pack_into("!H", head, 10, checksum(bytes(head[:start])))
        pseudo = bytes(head[12:20]) + struct.pack("!BBH", 0, _TCP, tcp_size)
    else:
        struct.pack_into("!H", head, 4, tcp_size)
        pseudo = bytes(head[8:40]) + struct.pack("!IHBB", tcp_size, 0, 0, _TCP)
    head[start + 16 : start + 18] = b"\0\0"
    struct.pack_into("!H", head, start + 16, checksum(pseudo + bytes(head[start:]) + payload))
    return bytes(head) + payload


def blanked(payload: bytes, start: int, end: int) -> bytes:
    """Give the payload with LF in the place of some bytes: nothing, to whoever reads SIP (RFC 3261 section 7.5).

    Not CRLF: two of them are a ping (RFC 5626 section 4.4.1), and a PBX would answer every four bytes in a segment.
    """
    start, end = max(start, 0), min(end, len(payload))
    return payload if start >= end else payload[:start] + b"\n" * (end - start) + payload[end:]


def checksum(data: bytes) -> int:
    """Give the internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _transport_at(packet: bytes) -> int | None:
    """Give where the TCP header begins."""
    if len(packet) < 40:
        return None
    if packet[0] >> 4 == 4:
        start = (packet[0] & 15) * 4
        fits = packet[9] == _TCP and start >= 20 and int.from_bytes(packet[2:4]) == len(packet)
        return start if fits else None
    return 40 if packet[0] >> 4 == 6 and packet[6] == _TCP and int.from_bytes(packet[4:6]) + 40 == len(packet) else None
