"""Test call: one short call to a prefix that an account never called before, and later a burst to the same prefix.

What it sees
    By account (what nobody authenticated for: by trunk) and prefix, calls abroad or to dear destinations. The first
    call ever to a prefix is a probe when it was refused, not answered, or answered for less than `short`; one more
    within `pause` of it takes its place. When `calls` to the same prefix follow within `window`, after `pause` and
    within `memory` of the probe, that is found. A prefix that was talked to in between for longer than `short` is one
    of the account's own, and no probe any more. What was called before the guard was first started is not known; what
    it has seen outlives restarts.

Why it matters
    Whoever has found a password tries first whether it reaches the numbers that pay, and sells it; those who bought it
    come at night or at the weekend.

Known false alarms
    Somebody who reaches nobody abroad at first, and tries again all day, or days later calls many there.

Ways around it
    A probe that talks for longer than `short`; another prefix for the burst; more than `memory` between the two.

Options
    enabled, short, pause, memory, calls, window, rate, risk, entries, then

References
    GSMA FF.21 (test numbers of international revenue share fraud), ITU-T E.156 (misuse of numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import CallAttempted, CallEnded, Event
from sipguard.lesson import About, Notes, hexed, rows_of, somewhere, text_of, written
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Account, Consequence, Finding, Instant, Span
from sipguard.table import Table
from sipguard.track.spending import SOMEWHERE, Dear, DearRate, DearRisk, House, payer_of, prefix_of, shown, spends
from sipguard.window import Sliding

NAME = "testcall"
_OWN = "own"
_NOTHING: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.testcall]`."""

    enabled: Annotated[bool, Described("Whether test calls with a burst after them are looked for")] = True
    short: Annotated[Span, DurationBetween(SECOND, HOUR), Described("A call answered for less is only a test")] = (
        30 * SECOND
    )
    pause: Annotated[Span, DurationBetween(SECOND, DAY), Described("What is called there sooner is a test as well")] = (
        2 * MINUTE
    )
    memory: Annotated[Span, DurationBetween(MINUTE, 90 * DAY), Described("How long a test is remembered")] = 14 * DAY
    calls: Annotated[int, Between(2, 1000), Described("Calls to the tested prefix within the window")] = 5
    window: Annotated[Span, DurationBetween(SECOND, DAY), Described("How long a call counts")] = 10 * MINUTE
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    entries: Annotated[int, Between(100, 1_000_000), Described("The most prefixes of accounts remembered at once")] = (
        20_000
    )
    then: Annotated[Consequence, Described("What becomes of an account that is found")] = Consequence.REPORT


class _Known:
    """A prefix that an account has called: its first call, and the later ones. `own`: no probe, or not any more."""

    __slots__ = ("calls", "ended", "first", "noted", "number", "own")

    def __init__(self, first: str, number: str) -> None:
        self.first = first
        self.number = number
        self.ended: Instant = 0
        self.own = False
        self.noted: Instant = 0
        self.calls: Sliding | None = None


class Detector:
    """Remembers for each account which prefixes it called, and whether the first call was a mere test."""

    __slots__ = ("_config", "_dear", "_known", "_notes", "handlers")

    learns: ClassVar[str] = NAME

    def __init__(self, config: Config, house: House = SOMEWHERE, notes: Notes | None = None) -> None:
        self._config = config
        self._notes = Notes() if notes is None else notes
        self._dear = Dear(house, config.rate, config.risk)
        self._known: Table[tuple[Account, str], _Known] = Table(config.entries, config.entries // 2)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            CallAttempted: self._attempted,
            CallEnded: self._ended,
        }

    def _key(self, event: CallAttempted | CallEnded) -> tuple[Account, str] | None:
        call = event.call
        if not spends(call) or not self._dear.or_abroad(call.called, call.rate):
            return None
        prefix = prefix_of(call.called, call.rate)
        return (payer_of(call), prefix) if prefix else None

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        key = self._key(event)
        if key is None:
            return _NOTHING
        known = self._known.get(key)
        if known is None:
            known = _Known(event.call.key, shown(event.call.called))
            self._known.put(key, known, event.source)
            self._note(event.at, key, known)
            return _NOTHING
        self._known.touch(key)
        if event.at - known.noted >= DAY:
            self._note(event.at, key, known)
        if known.own:
            return _NOTHING
        at, config = event.at, self._config
        if not known.ended:  # the test goes on yet: many at once are `prefixburst`'s
            self._is_own(at, key, known)
            return _NOTHING
        if not config.pause <= at - known.ended <= config.memory:
            known.first, known.ended, known.calls = event.call.key, 0, None  # tried anew
            self._note(at, key, known)
            return _NOTHING
        if known.calls is None:
            known.calls = Sliding(config.window, config.calls)
        known.calls.mark(at)
        return self._found(event, key, known) if known.calls.count(at) >= config.calls else _NOTHING

    def _ended(self, event: CallEnded) -> Sequence[Finding]:
        key = self._key(event)
        known = None if key is None else self._known.get(key)
        if key is None or known is None or known.own:
            return _NOTHING
        call = event.call
        mere = call.lasted(event.at) < self._config.short
        if call.key == known.first and not known.ended:
            known.ended, known.own = event.at, not mere
            self._note(event.at, key, known)
        elif not mere and not (known.calls is not None and known.calls.count(event.at) >= 2):
            self._is_own(event.at, key, known)  # somebody talks there, one call at a time
        return _NOTHING

    def _found(self, event: CallAttempted, key: tuple[Account, str], known: _Known) -> Sequence[Finding]:
        known.calls = None
        self._is_own(event.at, key, known)
        evidence: tuple[tuple[str, str | int], ...] = (
            ("prefix", key[1]),
            ("calls", self._config.calls),
            ("within_seconds", self._config.window // SECOND),
            ("test", known.number),
            ("test_seconds_ago", (event.at - known.ended) // SECOND),
            ("country", event.call.called.country),
            ("last", shown(event.call.called)),
            ("trunk", event.call.trunk),
        )
        return (Finding(event.at, NAME, key[0], key[1], 8, True, evidence),)

    # --- What is kept -------------------------------------------------------------------------------------------------

    def _is_own(self, at: Instant, key: tuple[Account, str], known: _Known) -> None:
        known.own = True
        self._note(at, key, known)

    def _note(self, at: Instant, key: tuple[Account, str], known: _Known) -> None:
        known.noted = at
        self._notes.note(NAME, *key)

    def known(self) -> Iterator[About]:
        """Go through the prefixes of accounts, the longest not called first."""
        return iter(self._known)

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write whether a prefix is one of the account's own, else the call that tested it."""
        known = self._known.get((account, topic))
        if known is None:
            return ""
        ended = at - known.ended if known.ended else -1
        return _OWN if known.own else written([(str(ended), hexed(known.first), hexed(known.number))])

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        if text == _OWN:
            known = _Known("", "")
            known.own = True
        else:
            ((ended, first, number),) = rows_of(text)
            known = _Known(text_of(first), text_of(number))
            known.ended = at - int(ended) if int(ended) >= 0 else 0
        known.noted = at
        key = account, topic
        self._known.put(key, known, somewhere(account))
        self._known.touch(key)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"testcall_entries": len(self._known), "testcall_entries_evicted": self._known.evicted}
