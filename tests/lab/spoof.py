"""Packets with a source address that is not the sender's own: what anybody on a network without filters can send."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Self

from tests.lab.world import Host

_TTL = 64
_PUSH = 0x18  # ACK and PSH
_End = tuple[str, int]


class Spoofer:
    """A raw socket in a host's namespace. IPv4 only."""

    def __init__(self, host: Host) -> None:
        self._socket = host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._identification = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, source: tuple[str, int], target: tuple[str, int], payload: bytes) -> None:
        """Send one UDP datagram as from `source`."""
        self._identification += 1
        self._socket.sendto(datagram(source, target, payload, identification=self._identification), (target[0], 0))

    def follow(self, source: tuple[str, int], target: tuple[str, int], payload: bytes, state: tuple[int, int]) -> None:
        """Send the next segment of a connection; `state` is its sequence number, and what it acknowledges."""
        sequence, acknowledged = state
        made = segment(source, target, payload, sequence=sequence, flags=_PUSH, acknowledged=acknowledged)
        self._socket.sendto(made, (target[0], 0))

    def push(self, source: tuple[str, int], target: tuple[str, int], payload: bytes) -> None:
        """Send one TCP segment with ACK and PSH set as from `source`, in a connection that there is not."""
        self._identification += 1
        sequence = 1_000_003 * self._identification & 0xFFFFFFFF
        self._socket.sendto(segment(source, target, payload, sequence=sequence, flags=_PUSH), (target[0], 0))


def datagram(source: _End, target: _End, payload: bytes, *, identification: int = 0) -> bytes:
    """Return an IPv4 packet with a UDP datagram in it (RFC 791, RFC 768), both checksums right."""
    length = 8 + len(payload)
    plain = struct.pack("!HHHH", source[1], target[1], length, 0)
    checksum = _checksum(_pseudo(source, target, socket.IPPROTO_UDP, length) + plain + payload) or 0xFFFF
    udp = plain[:6] + struct.pack("!H", checksum) + payload
    return _packet(source, target, socket.IPPROTO_UDP, udp, identification)


def segment(source: _End, target: _End, payload: bytes, *, sequence: int, flags: int, acknowledged: int = 1) -> bytes:
    """Return an IPv4 packet with a TCP segment in it (RFC 9293 section 3.1), both checksums right."""
    plain = struct.pack("!HHIIBBHHH", source[1], target[1], sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
    checksum = _checksum(_pseudo(source, target, socket.IPPROTO_TCP, 20 + len(payload)) + plain + payload)
    tcp = plain[:16] + struct.pack("!H", checksum) + plain[18:] + payload
    return _packet(source, target, socket.IPPROTO_TCP, tcp, sequence)


def _packet(source: _End, target: _End, protocol: int, inner: bytes, identification: int) -> bytes:
    ends = _ends(source, target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), identification & 0xFFFF, 0x4000, _TTL, protocol, 0)
    return head[:10] + struct.pack("!H", _checksum(head + ends)) + ends + inner


def _pseudo(source: _End, target: _End, protocol: int, length: int) -> bytes:
    return _ends(source, target) + struct.pack("!HH", protocol, length)


def _ends(source: _End, target: _End) -> bytes:
    return ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(target[0]).packed


def _checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
