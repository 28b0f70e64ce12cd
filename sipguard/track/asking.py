"""Requests and answers outside dialogs, as events: what a stranger asks, and what the PBX tells him.

Nothing is counted here and nothing judged. The only memory is of transactions asked lately, so that a copy (RFC 3261
section 17.1) is known for one; it is kept for strangers alone, since nobody counts what devices repeat.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeAlias

from sipguard.address import Address
from sipguard.event import Answered, Asked, Rang, Rewritten, Standing, Unread
from sipguard.intake import Heard
from sipguard.model import SECOND, Instant, Span
from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.table import Table
from sipguard.wire.flow import Flow

PATIENCE: Span = 32 * SECOND
"""64 times T1: past it, the same key is a new transaction (RFC 3261 section 17.1.1.2)."""


Key: TypeAlias = tuple[Address, bytes]


class Asking:
    """Makes the events. `standing` is asked what a sender is to us at this moment."""

    __slots__ = ("_asked", "_standing")

    def __init__(self, most: int, standing: Callable[[Instant, Address], Standing]) -> None:
        self._asked: Table[Key, Instant] = Table(most, most // 8)
        self._standing = standing

    def asked(self, at: Instant, heard: Heard, request: SipRequest, *, proven: bool, shown: bool) -> Asked:
        """Give the event of a request that belongs to no dialog."""
        standing = self._standing(at, heard.source)
        repeated = False
        if standing is Standing.STRANGER:
            # A copy is the same to the byte. Any less to compare by, and a scanner puts one Call-ID, CSeq and branch
            # on all that it asks, which a PBX without transactions answers one by one.
            key = (heard.source, blake2b(request.raw, digest_size=12).digest())
            last = self._asked.get(key)
            repeated = last is not None and at - last <= PATIENCE
            if not repeated:
                self._asked.put(key, at, heard.source)
        return Asked(
            at,
            heard.source,
            heard.source_port,
            heard.transport,
            request,
            standing,
            heard.target,
            heard.target_port,
            proven=proven,
            shown=shown,
            repeated=repeated,
        )

    def of_stranger(self, at: Instant, address: Address) -> bool:
        """Tell whether an address is nobody's whom we know."""
        return self._standing(at, address) is Standing.STRANGER

    def answered(self, at: Instant, heard: Heard, response: SipResponse, *, proven: bool) -> Answered:
        """Give the event of a final answer."""
        standing = self._standing(at, heard.target)
        return Answered(at, heard.target, heard.target_port, heard.transport, response, standing, proven=proven)

    def rang(self, at: Instant, heard: Heard, response: SipResponse, *, proven: bool) -> Rang:
        """Give the event of an INVITE that rings."""
        return Rang(at, heard.target, response, self._standing(at, heard.target), proven=proven)

    def rewritten(self, at: Instant, flow: Flow, far: tuple[Address, int]) -> Rewritten:
        """Give the event of a stream whose sender changed what it had said."""
        return Rewritten(at, *far, self._standing(at, far[0]), proven=flow.proven)

    def unread(self, at: Instant, heard: Heard, message: Unparsable, *, proven: bool) -> Unread:
        """Give the event of bytes that are no message."""
        standing = self._standing(at, heard.source)
        return Unread(
            at,
            heard.source,
            heard.source_port,
            heard.transport,
            message.raw,
            message.faults,
            standing,
            proven=proven,
        )

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"asked": len(self._asked), "asked_evicted": self._asked.evicted}
