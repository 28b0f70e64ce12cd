"""Refuses calls: the answer to a held request, sent to whoever sent it as from whoever it was sent to.

To a caller outside it comes from the PBX, to the PBX from the trunk. It bears our mark, so that no rule of ours looks
at it and connection tracking does not either: it opens no way through anybody's firewall. Never raises;
what cannot be sent is counted, and the caller goes without an answer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from sipguard.address import show
from sipguard.enforce.raw import Raw, datagram
from sipguard.model import SECOND, Instant
from sipguard.sip.message import SipRequest
from sipguard.sip.parser import parse
from sipguard.sip.respond import answers_to, refusal
from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Datagram, decode

MOST = 100
"""Answers a second; a crowd of callers goes without."""


class Refusals:
    """Raw sockets, of the network namespace that the object was made in.

    Without CAP_NET_RAW there are none, `fault` says so, and nobody is answered.
    """

    def __init__(self, mark: int, now: Callable[[], Instant]) -> None:
        self._now = now
        self._secret = os.urandom(16)  # To-tags that nobody can compute, and the same for each copy
        self._due: Instant = 0
        self._raw = Raw(mark)
        self.sent = 0
        self.unsent = 0
        self.fault = self._raw.fault

    def close(self) -> None:
        """Close the sockets."""
        self._raw.close()

    def refuse(self, packet: bytes, code: int) -> None:
        """Answer the request in an IP packet. Never raises."""
        if not self._raw.open or not self._allowed():
            self.unsent += 1
            return
        written = answer(packet, code, self._secret)
        if written is None:
            self.unsent += 1
            return
        if self._raw.send(written):
            self.sent += 1
        else:
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
