"""The calls that are running: made, taken up again after a restart, told of, ended. Bounded: past the cap one must go.

Which messages mean what is said in `calls.py`; here is what every call goes through, whatever began it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import TypeAlias

from sipguard.address import Address
from sipguard.call import Call, Called, CallState, Direction, Rate
from sipguard.event import CallAnswered, CallAttempted, CallConfirmed, CallEnded, CallMoved, CallUnconfirmed, Event
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Instant, Span
from sipguard.sip.message import SipRequest
from sipguard.table import Table
from sipguard.track.hints import digits_of
from sipguard.track.leg import Leg, LegState, Running, short
from sipguard.track.origin import Match

Price: TypeAlias = Callable[[Call], Rate | None]
UNANSWERED: Span = 200 * SECOND
"""Timer C is more than three minutes (RFC 3261 section 16.6), begun anew by each 101 to 199: then a proxy gives up."""
RINGS: Span = HOUR
"""So long an INVITE that is not taken back may be answered: not every PBX has a timer C (Asterisk has none).

Who answers chooses when. From `UNANSWERED` on the call fills nobody's cap.
"""
_NOTHING: tuple[Event, ...] = ()
_OVER = LegState.OVER
_NOWHERE = b"\0\0\0\0"


class Book:
    """The running calls by key; `most` of them, and when full the oldest unconfirmed one is ended, else the oldest."""

    __slots__ = ("_ended", "_lost", "_most", "_price", "_restored", "_running", "_words", "evicted", "restored_due")

    def __init__(self, most: int, price: Price | None) -> None:
        self._most = most
        self._price = price
        self._running: dict[str, Running] = {}
        self._ended: Table[str, None] = Table(most)  # names that are no other call's any more
        self._restored: dict[str, Running] = {}  # by the name of the dialog, until it is heard of
        self._words: dict[str, tuple[int, bytes]] = {}  # final answers to those, until the PBX takes them: code, tag
        self._lost: tuple[Instant, Instant] = (0, 0)
        self.restored_due: Instant | None = None
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._running)

    def live(self) -> Iterator[Running]:
        """Go through the running calls, the oldest first."""
        yield from self._running.values()

    def of(self, key: str) -> Running | None:
        """Give a running call."""
        return self._running.get(key)

    # --- What a call goes through -------------------------------------------------------------------------------------

    def call(self, at: Instant, request: SipRequest, far: Address, called: Called, match: Match, trunk: str) -> Call:
        """Make the call that an INVITE to `far` begins; nothing knows of it yet."""
        key = key_of(far, request)
        if (
            key in self._ended
        ):  # a proxy makes one branch of two requests alike; the second is another call all the same
            key = blake2b(b"%b %d" % (key.encode(), at), digest_size=9).hexdigest()
        call = Call(key, at, Direction.OUTBOUND, called)
        call.origin = match.origin
        call.account = match.account
        call.source = match.source
        call.caller = match.caller
        call.ambiguous = match.ambiguous
        call.trunk, call.carrier = trunk, far
        call.rate = None if self._price is None else self._price(call)
        return call

    def begin(self, at: Instant, call: Call, inside: Leg | None) -> tuple[Running, list[Event]]:
        """Let a call run."""
        told: list[Event] = []
        if call.key in self._running:  # nobody else makes the same transaction twice
            told += self.end(at, self._running[call.key], 0)
        if len(self._running) >= self._most:
            spare = next((each for each in self._running.values() if not each.call.confirmed), None)
            self.evicted += 1
            told += self.end(at, spare or next(iter(self._running.values())), 0)
        running = Running(call, digits_of(call.called), inside)
        self._running[call.key] = running
        told.append(CallAttempted(at, source_of(call), call))
        return running, told

    def answer(self, at: Instant, running: Running) -> Sequence[Event]:
        """Let a call be answered; the first time counts."""
        call = running.call
        if call.answered:
            return _NOTHING
        call.answered = at
        return (CallAnswered(at, source_of(call), call),)

    def end(self, at: Instant, running: Running, code: int) -> Sequence[Event]:
        """End a call; its legs stay to be known when copies come, and cost no more."""
        call = running.call
        if call.ended:
            return _NOTHING
        call.ended = running.failed or at
        call.code = 0 if call.answered else code
        self._running.pop(call.key, None)
        self._ended.renew(call.key, None, _NOWHERE)
        for leg in running.legs:
            leg.state = _OVER
        if running.inside is not None and running.inside.led is running:
            running.inside.led = None
        return (CallEnded(at, source_of(call), call),)

    def moved(self, at: Instant, running: Running | None) -> Sequence[Event]:
        """Learn that an end of a call is elsewhere; told of an answered one, and once a minute."""
        if running is None or not running.call.answered or (running.moved and at - running.moved < MINUTE):
            return _NOTHING
        running.moved = at
        return (CallMoved(at, source_of(running.call), running.call),)

    def goes_over(self, at: Instant, running: Running, trunk: str, carrier: Address) -> list[Event]:
        """Let a call leave by another way, or by the same again."""
        call, told = running.call, list(self.confirm(at, running))
        other = call.trunk != trunk
        call.trunk, call.carrier, running.failed = trunk, carrier, 0
        return [*told, CallMoved(at, source_of(call), call)] if other else told

    def doubt(self, at: Instant, running: Running) -> Sequence[Event]:
        """Let a call be unconfirmed."""
        if not running.call.confirmed:
            return _NOTHING
        running.call.confirmed = False
        return (CallUnconfirmed(at, source_of(running.call), running.call),)

    def confirm(self, at: Instant, running: Running) -> Sequence[Event]:
        """Let a call be confirmed."""
        if running.call.confirmed:
            return _NOTHING
        running.call.confirmed = True
        return (CallConfirmed(at, source_of(running.call), running.call),)

    # --- After a restart ----------------------------------------------------------------------------------------------

    def state_of(self, call: Call) -> CallState:
        """Give what must survive of a call."""
        running = self._running.get(call.key)
        leg = running.legs[-1].name if running is not None and running.legs else ""
        if running is not None and not leg:
            leg = next((name for name, each in self._restored.items() if each is running), "")
        called = call.called
        return CallState(
            call.key,
            call.began,
            call.answered,
            call.ended,
            call.account,
            call.caller,
            call.source,
            call.origin,
            call.trunk,
            called.dialled,
            called.e164,
            called.kind,
            called.country,
            call.rate,
            leg,
        )

    def restore(self, states: Sequence[CallState], offset: Span) -> None:
        """Take up the outbound calls that were running, none of them confirmed; `offset` is added to their instants.

        The newest `most` of them, where there are more.
        """
        for state in states:
            if state.ended:
                self._ended.put(state.key, None, _NOWHERE)
        for state in [each for each in states if not each.ended][-self._most :]:
            called = Called(state.dialled, state.kind, state.e164, state.country)
            call = Call(state.key, state.began + offset, Direction.OUTBOUND, called)
            call.account, call.caller, call.source = state.account, state.caller, state.source
            call.origin, call.trunk, call.rate = state.origin, state.trunk, state.rate
            call.answered = state.answered + offset if state.answered else 0
            call.confirmed = False
            running = Running(call, digits_of(called), None)
            self._running[call.key] = running
            if state.leg:
                self._restored[state.leg] = running
        self.restored_due = 0 if self._running else None

    @property
    def awaits(self) -> bool:
        """Tell whether there are calls from before a restart that nobody has heard of."""
        return bool(self._restored)

    def remembered(self, name: str) -> Running | None:
        """Give the call from before a restart whose dialog goes by a name."""
        return self._restored.get(name)

    def word(self, name: str, code: int, tag: bytes) -> None:
        """Note a final answer to the INVITE of such a call, which counts when the PBX has taken it (ACK)."""
        if len(self._words) < self._most:
            self._words[name] = code, short(tag)

    def said(self, name: str, tag: bytes) -> int:
        """Give the code of the final answer with this tag; 0 when there was none."""
        code, of = self._words.get(name, (0, b""))
        return code if of == short(tag) else 0

    def seen(self, name: str) -> None:
        """Take a call for one like all others."""
        self._restored.pop(name, None)
        self._words.pop(name, None)

    def run_out(self, now: Instant) -> list[Event]:
        """End the calls from before a restart that nobody hears of: at once those that nobody answered, in time."""
        if self.restored_due is None or now < self.restored_due:
            return []
        if self._lost == (0, 0):
            self._lost = now + RINGS, now + DAY
            self.restored_due = self._lost[0]
            return []
        told: list[Event] = []
        for running in list(self._running.values()):
            if not running.legs and (not running.call.answered or now >= self._lost[1]):
                told += self.end(now, running, 408)
        self._restored = {name: each for name, each in self._restored.items() if not each.call.ended}
        waiting = now < self._lost[1] and any(not running.legs for running in self._running.values())
        self.restored_due = self._lost[1] if waiting else None
        return told

    def counters(self) -> dict[str, int]:
        """Give how many calls run, how many of them nobody has confirmed, and how many had to go."""
        return {"calls": len(self._running), "calls_restored": len(self._restored), "calls_evicted": self.evicted}


def key_of(far: Address, request: SipRequest) -> str:
    """Name the call that an INVITE begins, the same for its copies: the branch is the PBX's.

    A proxy computes it from what the caller sends, who can send the same again later: see `Book.call`.
    """
    return key_made_of(far, short(request.call_id), short(request.from_tag), short(request.branch), request.cseq)


def key_made_of(far: Address, call_id: bytes, tag: bytes, branch: bytes, cseq: int) -> str:
    """Name a call by its paying leg, from what is kept of it."""
    parts = (far, call_id, tag, branch, b"%d" % cseq)
    return blake2b(b"".join([b"%d:%b" % (len(each), each) for each in parts]), digest_size=9).hexdigest()


def source_of(call: Call) -> Address:
    """Give the address that an event of a call is about: the phone's, else the trunk's."""
    return call.source or call.carrier or _NOWHERE
