"""Packets in somebody else's name: raw sockets whose headers are ours to write, and IP packets around what is sent.

They bear our mark, so that no rule of ours looks at them and connection tracking does not either: they open no way
through anybody's firewall. Never raises; what cannot be sent is told by the answer.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

from sipguard.address import Address, show
from sipguard.wire.rewrite import checksum

LEAST_MTU = 1280
"""What every link carries (RFC 8200 section 5); of IPv4 none that a PBX is used over carries less."""
SEGMENT = LEAST_MTU - 60
"""Bytes of a stream in one packet."""

_MARK = 36  # SO_MARK, socket(7)
_TCP = 6
_UDP = 17
_ACK_PSH = 0x18
_RST = 0x04
_MORE = 0x2000  # IPv4: more fragments follow (RFC 791 section 3.1)
_FRAGMENT = 44  # IPv6: the fragment header (RFC 8200 section 4.5)


class Raw:
    """Raw sockets, of the network namespace that the object was made in.

    Without CAP_NET_RAW there are none, and `fault` says so.
    """

    def __init__(self, mark: int) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._serial = 0
        self.fault = ""
        try:
            for length, family in ((4, socket.AF_INET), (16, socket.AF_INET6)):
                # with this protocol the header is ours to write, IPv4's and IPv6's (raw(7))
                made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
                self._sockets[length] = made
                made.setsockopt(socket.SOL_SOCKET, _MARK, mark)
                made.setblocking(False)
        except OSError as error:
            self.close()
            self.fault = f"no raw socket: {error.strerror}"

    @property
    def open(self) -> bool:
        """Tell whether anything can be sent."""
        return bool(self._sockets)

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()

    def send(self, packet: bytes) -> bool:
        """Send an IP packet to the target it names, in fragments where the way is too narrow; False if it fails."""
        target = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        way = self._sockets.get(len(target))
        if way is None:
            return False
        try:
            way.sendto(packet, (show(target), 0))
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                return False
            return self._send_cut(way, packet, show(target))
        return True

    def _send_cut(self, way: socket.socket, packet: bytes, target: str) -> bool:
        self._serial = self._serial % 0xFFFF + 1
        try:
            for piece in fragments(packet, self._serial):
                way.sendto(piece, (target, 0))
        except OSError:
            return False
        return True


def datagram(source: Address, source_port: int, target: Address, target_port: int, payload: bytes) -> bytes:
    """Write a UDP datagram in an IP packet, checksums and all."""
    size = 8 + len(payload)
    header = struct.pack("!HHHH", source_port, target_port, size, 0)
    total = checksum(_pseudo(source, target, _UDP, size) + header + payload) or 0xFFFF  # 0 means: none (RFC 768)
    return _packet(source, target, _UDP, struct.pack("!HHHH", source_port, target_port, size, total) + payload)


def segment(
    source: Address, source_port: int, target: Address, target_port: int, payload: bytes, numbers: tuple[int, int]
) -> bytes:
    """Write a TCP segment in an IP packet (RFC 9293 section 3.1); without payload a reset. `numbers`: sequence, ack."""
    sequence, acknowledged = numbers
    flags = _ACK_PSH if payload else _RST
    plain = struct.pack("!HHIIBBHHH", source_port, target_port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
    total = checksum(_pseudo(source, target, _TCP, 20 + len(payload)) + plain + payload)
    return _packet(source, target, _TCP, plain[:16] + struct.pack("!H", total) + plain[18:] + payload)


def fragments(packet: bytes, serial: int) -> Iterator[bytes]:
    """Cut an IP packet without extensions into such as every link carries."""
    if packet[0] >> 4 == 4:
        step, content = (LEAST_MTU - 20) // 8 * 8, packet[20:]
        for start in range(0, len(content), step):
            piece = content[start : start + step]
            head = bytearray(packet[:20])
            more = _MORE if start + step < len(content) else 0
            struct.pack_into("!HHH", head, 2, 20 + len(piece), serial, more | start // 8)
            head[10:12] = b"\0\0"
            struct.pack_into("!H", head, 10, checksum(bytes(head)))
            yield bytes(head) + piece
        return
    step, content = (LEAST_MTU - 48) // 8 * 8, packet[40:]
    for start in range(0, len(content), step):
        piece = content[start : start + step]
        head = bytearray(packet[:40])
        struct.pack_into("!HB", head, 4, 8 + len(piece), _FRAGMENT)
        more = start + step < len(content)
        yield bytes(head) + struct.pack("!BBHI", packet[6], 0, start | more, serial) + piece


def _pseudo(source: Address, target: Address, protocol: int, size: int) -> bytes:
    if len(source) == 4:
        return source + target + struct.pack("!BBH", 0, protocol, size)
    return source + target + struct.pack("!IHBB", size, 0, 0, protocol)


def _packet(source: Address, target: Address, protocol: int, content: bytes) -> bytes:
    size = len(content)
    if len(source) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, protocol, 0) + source + target
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + content
    return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + source + target + content
