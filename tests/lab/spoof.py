"""Datagrams with a source address that is not the sender's own: what anybody on a network without filters can send."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Self

from tests.lab.world import Host

_TTL = 64


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


def datagram(source: tuple[str, int], target: tuple[str, int], payload: bytes, *, identification: int = 0) -> bytes:
    """Return an IPv4 packet with a UDP datagram in it (RFC 791, RFC 768), both checksums right."""
    ends = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(target[0]).packed
    length = 8 + len(payload)
    plain = struct.pack("!HHHH", source[1], target[1], length, 0)
    checksum = _checksum(ends + struct.pack("!HH", socket.IPPROTO_UDP, length) + plain + payload) or 0xFFFF
    udp = plain[:6] + struct.pack("!H", checksum) + payload
    head = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + length, identification & 0xFFFF, 0x4000, _TTL, socket.IPPROTO_UDP, 0
    )  # fmt: skip
    return head[:10] + struct.pack("!H", _checksum(head + ends)) + ends + udp


def _checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
