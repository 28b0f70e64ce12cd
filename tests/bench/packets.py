"""Datagrams as they lie in a capture: Ethernet, IPv4, UDP. Nothing here knows of SIP."""

from __future__ import annotations

import struct

from sipguard.address import Address

_ETHERNET = bytes.fromhex("020000000010020000000020") + b"\x08\x00"
_HEAD = struct.Struct("!BBHHHBBH4s4s")
_WORDS = struct.Struct("!10H")
_UDP = struct.Struct("!HHHH")


def datagram(source: Address, source_port: int, target: Address, target_port: int, payload: bytes) -> bytes:
    """Give an IPv4 packet; the header's checksum is right, the datagram has none (RFC 768 allows it)."""
    length = 28 + len(payload)
    plain = _HEAD.pack(0x45, 0, length, 0, 0x4000, 64, 17, 0, source, target)
    total = sum(_WORDS.unpack(plain))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    head: bytes = plain[:10] + checksum.to_bytes(2, "big") + plain[12:]
    return head + _UDP.pack(source_port, target_port, length - 20, 0) + payload


def ethernet(packet: bytes) -> bytes:
    """Put an IPv4 packet into an Ethernet frame."""
    return _ETHERNET + packet
