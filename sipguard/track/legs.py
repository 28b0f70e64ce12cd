"""Where legs are kept, and how they are found: by Call-ID, by number, by age. Bounded, whatever is sent.

What a stranger asks is kept apart from what the PBX has taken up, so that a flood of INVITEs pushes out nothing but
itself; legs that belong to a call go last of all. Nothing here says what a leg means.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence

from sipguard.address import Address, sender_key
from sipguard.model import SECOND, Instant, Span
from sipguard.sip.message import SipMessage
from sipguard.table import K, Table
from sipguard.track.hints import bucket_of, closest
from sipguard.track.leg import Leg, LegState, short

PATIENCE: Span = 32 * SECOND
"""64 times T1: a request without any answer is given up after it (RFC 3261 section 17.1.1.2)."""

_ONE_CALL_ID = 32
"""Legs under one Call-ID: a proxy's forks. Of more, the oldest that belong to no call are forgotten."""
_ONE_NUMBER = 64
_RECENT = 512
_NONE: tuple[Leg, ...] = ()
_ANSWERED, _FAILED = LegState.ANSWERED, LegState.FAILED


class Legs:
    """The legs that are followed: `most` of calls, and of others as many as stated below."""

    __slots__ = ("_asked", "_due", "_known", "_numbers", "_serial", "recent")

    def __init__(self, most: int) -> None:
        strangers = most // 4
        self._asked: Table[bytes, tuple[Leg, ...]] = Table(strangers, strangers // 8)
        self._known: Table[bytes, tuple[Leg, ...]] = Table(4 * most)  # an inside and an outside leg, and as much again
        self._numbers: Table[str, tuple[Leg, ...]] = Table(2 * most)
        self._due: list[tuple[Instant, int, Leg]] = []
        self._serial = 0
        self.recent: deque[Leg] = deque(maxlen=_RECENT)  # taken up by the PBX lately, the newest last

    # --- By Call-ID ---------------------------------------------------------------------------------------------------

    def of(self, call_id: bytes) -> Sequence[Leg]:
        """Give the legs under a Call-ID, those that strangers asked for last."""
        key = short(call_id)
        known, asked = self._known.get(key), self._asked.get(key)
        if asked is None:
            return known or _NONE
        return asked if known is None else (*known, *asked)

    def begun(self, message: SipMessage, far: Address, *, outgoing: bool) -> Sequence[Leg]:
        """Give the legs that an INVITE without To-tag, or an answer to one, may be of: more than one at a proxy."""
        legs = self.of(message.call_id)
        if not legs:
            return _NONE
        tag, place = short(message.from_tag), sender_key(far)
        return [leg for leg in legs if leg.outgoing == outgoing and leg.tag == tag and sender_key(leg.far) == place]

    def within(self, message: SipMessage, far: Address, *, by_pbx: bool) -> Leg | None:
        """Give the leg that a request within a dialog, or an answer to one, is of: rather one that stands."""
        place = sender_key(far)
        found: Leg | None = None
        for leg in self.of(message.call_id):
            if sender_key(leg.far) == place and leg.is_of(message, by_pbx=by_pbx):
                if leg.state < _FAILED:
                    return leg
                found = found or leg
        return found

    def tagged(self, call_id: bytes, one: bytes, other: bytes) -> Leg | None:
        """Give the leg with these two tags, whoever has which."""
        tags = {short(one), short(other)}
        return next((leg for leg in self._known.get(short(call_id)) or _NONE if {leg.tag, leg.other} == tags), None)

    def ask(self, leg: Leg) -> None:
        """Keep what somebody asks of the PBX, until it takes it up or not."""
        legs = (*(self._asked.get(leg.call_id) or _NONE), leg)[-_ONE_CALL_ID:]
        self._asked.renew(leg.call_id, legs, leg.far)

    def take_up(self, leg: Leg) -> None:
        """Keep a leg that the PBX made, or lets in."""
        _take_out(self._asked, leg.call_id, leg)
        legs = (*(self._known.get(leg.call_id) or _NONE), leg)
        if len(legs) > _ONE_CALL_ID:
            spare = next((each for each in legs if each.running is None and each is not leg), legs[0])
            legs = tuple([each for each in legs if each is not spare])
        self._known.renew(leg.call_id, legs, leg.far)

    def keep(self, leg: Leg) -> None:
        """Let a leg be one of those that go last."""
        self._known.keep(leg.call_id)

    def drop(self, leg: Leg) -> None:
        """Forget a leg."""
        _take_out(self._asked, leg.call_id, leg)
        _take_out(self._known, leg.call_id, leg)
        _take_out(self._numbers, bucket_of(leg.digits), leg)

    def holds(self, leg: Leg) -> bool:
        """Tell whether a leg that was taken up is still here."""
        return leg in (self._known.get(leg.call_id) or _NONE)

    def matters(self, leg: Leg) -> bool:
        """Tell whether a leg is still here, or had to go before the call that it belongs to was over."""
        return self.holds(leg) or (leg.running is not None and not leg.running.call.ended)

    def shares(self, leg: Leg) -> bool:
        """Tell whether another dialog that stands uses a leg's connection. Looks at all of them."""
        flow = leg.flow
        return flow is not None and any(
            each.flow is flow and each is not leg and each.state < _FAILED
            for kept in (self._known, self._asked)
            for legs in kept.values()
            for each in legs
        )

    # --- By number ----------------------------------------------------------------------------------------------------

    def dialled(self, leg: Leg) -> None:
        """Let a leg that the PBX has taken up be found by the number that it asks for."""
        self.recent.append(leg)
        bucket = bucket_of(leg.digits)
        if bucket:
            self._numbers.renew(bucket, (*(self._numbers.get(bucket) or _NONE), leg)[-_ONE_NUMBER:], leg.far)

    def for_number(self, digits: str) -> list[Leg]:
        """Give the legs taken up that ask for a number, the oldest first; exact ones alone where there are any."""
        legs = self._numbers.get(bucket_of(digits)) or _NONE
        return [legs[at] for at in closest(digits, [leg.digits for leg in legs])] if legs else []

    # --- By age -------------------------------------------------------------------------------------------------------

    def expect(self, leg: Leg, due: Instant) -> None:
        """Look at a leg again at `due`, and not before."""
        leg.due = due
        if leg.queued and leg.queued <= due:
            return  # it is looked at when its earlier entry comes up, and put back
        leg.queued = due
        self._serial += 1
        heapq.heappush(self._due, (due, self._serial, leg))
        if len(self._due) > 3 * self._known.most:
            self._due = [each for each in self._due if each[0] == each[2].queued and self.matters(each[2])]
            heapq.heapify(self._due)

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which a leg is looked at."""
        return self._due[0][0] if self._due else None

    def overdue(self, now: Instant) -> Iterator[Leg]:
        """Go through the legs whose time has come by `now`, in its order; those put back meanwhile come again."""
        while self._due and self._due[0][0] <= now:
            when, _, leg = heapq.heappop(self._due)
            if when != leg.queued:
                continue
            leg.queued = 0
            if leg.due > when:
                self.expect(leg, leg.due)
            else:
                yield leg

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "call_legs": len(self._known),
            "call_legs_evicted": self._known.evicted + self._numbers.evicted,
            "call_legs_asked": len(self._asked),
            "call_legs_asked_evicted": self._asked.evicted,
        }


def _take_out(table: Table[K, tuple[Leg, ...]], key: K, leg: Leg) -> None:
    legs = table.get(key)
    if legs is not None and leg in legs:
        rest = tuple([each for each in legs if each is not leg])
        if rest:
            table.put(key, rest, leg.far)
        else:
            table.pop(key)
