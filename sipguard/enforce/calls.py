"""Refuses calls: the answer to a held request, sent to whoever sent it as from whoever it was sent to.

To a caller outside it comes from the PBX, to the PBX from the trunk. It bears our mark, so that no rule of ours looks
at it and connection tracking does not either: it opens no way through anybody's firewall. Never raises;
what cannot be sent is counted, and the caller goes without an answer.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from collections.abc import Callable

from sipguard.address import show
from sipguard.model import SECOND, Instant
from sipguard.sip.message import SipRequest
from sipguard.sip.parser import parse
from sipguard.sip.respond import answers_to, refusal
from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Datagram, decode
from sipguard.wire.rewrite import checksum

MOST = 100
"""Answers a second; a crowd of callers goes without."""

_MARK = 36  # SO_MARK, socket(7)
_UDP = 17


class Refusals:
    """Raw sockets, of the network namespace that the object was made in.

    Without CAP_NET_RAW there are none, `fault` says so, and nobody is answered.
    """

    def __init__(self, mark: int, now: Callable[[], Instant]) -> None:
        self._now = now
        self._secret = os.urandom(16)  # To-tags that nobody can compute, and the same for each copy
        self._due: Instant = 0
        self._sockets: dict[int, socket.socket] = {}
        self.sent = 0
        self.unsent = 0
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

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()

    def refuse(self, packet: bytes, code: int) -> None:
        """Answer the request in an IP packet. Never raises."""
        if not self._sockets or not self._allowed():
            self.unsent += 1
            return
        written = answer(packet, code, self._secret)
        if written is None:
            self.unsent += 1
            return
        target = written[16:20] if written[0] >> 4 == 4 else written[24:40]
        try:
            self._sockets[len(target)].sendto(written, (show(target), 0))
            self.sent += 1
        except OSError:
            self.unsent += 1

    def _allowed(self) -> bool:
        """Tell whether one more fits into this second's share; a burst of half a second's is free."""
        now, each, burst = self._now(), SECOND // MOST, SECOND // 2
        due = max(self._due, now) + each
        if due - now > burst:
            return False
        self._due = due
        return True

    def counters(self) -> dict[str, int]:
        """Give how many answers were sent, and how many were not."""
        return {"refusals_sent": self.sent, "refusals_unsent": self.unsent}


def answer(packet: bytes, code: int, secret: bytes) -> bytes | None:
    """Write the IP packet that refuses the request in a packet; None where it holds none that can be answered."""
    asked = decode(0, packet, Fragments(), tunnels=False)
    if not isinstance(asked, Datagram):
        return None
    request = parse(asked.payload)
    if not isinstance(request, SipRequest) or request.method == "ACK":
        return None
    tag = hashlib.blake2b(request.call_id + request.branch, key=secret, digest_size=6).hexdigest().encode()
    written = refusal(request, code, show(asked.src).encode(), asked.sport, tag)
    if written is None:
        return None
    return datagram(asked.dst, asked.dport, asked.src, answers_to(request, asked.sport), written)


def datagram(source: bytes, source_port: int, target: bytes, target_port: int, payload: bytes) -> bytes:
    """Write a UDP datagram in an IP packet, checksums and all."""
    size = 8 + len(payload)
    header = struct.pack("!HHHH", source_port, target_port, size, 0)
    if len(source) == 4:
        pseudo = source + target + struct.pack("!BBH", 0, _UDP, size)
    else:
        pseudo = source + target + struct.pack("!IHBB", size, 0, 0, _UDP)
    total = checksum(pseudo + header + payload) or 0xFFFF  # 0 means: none (RFC 768)
    header = struct.pack("!HHHH", source_port, target_port, size, total)
    if len(source) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, _UDP, 0) + source + target
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + header + payload
    return struct.pack("!IHBB", 6 << 28, size, _UDP, 64) + source + target + header + payload
