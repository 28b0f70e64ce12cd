"""Wangiri: a call rings once, so that it is called back; and somebody of the house calls back.

What it sees
    Calls from trunks that the caller gave up within `ring` without an answer, by the last nine digits of the caller.
    Calls of the house, within `memory`, to such a number when it is dear (as `rate` and `risk` say) or abroad are
    found: `call-back`. So are `calls` such rings within `window` over one trunk, by callers whose number, written with
    + or 00, is one of a risky destination: `wave`. Both are only reported: an account under its name without the realm,
    as the numbers of callers are forged, and whoever calls back is a victim.

Why it matters
    The number that rang costs, and a share of it is the caller's; a whole office finds it among its missed calls.

Known false alarms
    A foreign partner who gives up soon, and is called back.

Ways around it
    A number that nobody knows for dear, of the own country; ringing for longer than `ring`; showing a number in a form
    that does not end like the one that is dialled.

Options
    enabled, ring, memory, calls, window, rate, risk, callers, then

References
    FCC, One Ring Phone Scam; GSMA FF.21 (wangiri).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.call import Call, Direction
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import CallAttempted, CallEnded, Event
from sipguard.lesson import SITE, About, Notes
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Account, Consequence, Finding, Instant, Span
from sipguard.numbering.highrisk import risk
from sipguard.table import Table
from sipguard.track.spending import (
    SOMEWHERE,
    Dear,
    DearRate,
    DearRisk,
    House,
    payer_of,
    shown,
    spends,
    tail_of,
    trunk_of,
)
from sipguard.window import Sliding

NAME = "wangiri"
_NOBODY = b"\0\0\0\0"
_NOTHING: tuple[Finding, ...] = ()
_INBOUND = Direction.INBOUND
_CANCELLED = 487  # RFC 3261 section 15.1.2: what a call that was given up is answered with


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.wangiri]`."""

    enabled: Annotated[bool, Described("Whether calls that ring once are looked for")] = True
    ring: Annotated[Span, DurationBetween(SECOND, MINUTE), Described("Who gives up sooner has rung once")] = 8 * SECOND
    memory: Annotated[Span, DurationBetween(MINUTE, 30 * DAY), Described("How long a ring is remembered")] = 3 * DAY
    calls: Annotated[int, Between(2, 10_000), Described("Rings of risky numbers over one trunk in the window")] = 10
    window: Annotated[Span, DurationBetween(SECOND, DAY), Described("How long a ring counts for that")] = HOUR
    rate: DearRate = 1_000_000
    risk: DearRisk = 7
    callers: Annotated[int, Between(100, 1_000_000), Described("The most callers remembered at once")] = 5000
    then: Annotated[Consequence, Described('What becomes of who calls back; only "report" makes sense')] = (
        Consequence.REPORT
    )


class Detector:
    """Remembers who rang once, and who calls back."""

    __slots__ = ("_callers", "_config", "_dear", "_notes", "_waves", "handlers")

    learns: ClassVar[str] = NAME

    def __init__(self, config: Config, house: House = SOMEWHERE, notes: Notes | None = None) -> None:
        self._config = config
        self._notes = Notes() if notes is None else notes
        self._dear = Dear(house, config.rate, config.risk)
        self._callers: Table[str, Instant] = Table(config.callers)
        self._waves: Table[str, Sliding] = Table(config.callers)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            CallAttempted: self._attempted,
            CallEnded: self._ended,
        }

    def _ended(self, event: CallEnded) -> Sequence[Finding]:
        call, at = event.call, event.at
        if call.direction is not _INBOUND or not call.trunk or call.answered or call.code != _CANCELLED:
            return _NOTHING
        tail = tail_of(call.caller)
        if not tail or call.ended - call.began > self._config.ring:
            return _NOTHING
        before = self._callers.get(tail)
        if before is None or at // HOUR != before // HOUR:
            self._notes.note(NAME, SITE, tail)
        self._callers.renew(tail, at, event.source)
        if risk(_as_e164(call.caller)) < self._config.risk:
            return _NOTHING
        marks = self._waves.get(call.trunk) or Sliding(self._config.window, self._config.calls)
        marks.mark(at)
        self._waves.renew(call.trunk, marks, event.source)
        count = marks.count(at)
        if count < self._config.calls:
            return _NOTHING
        self._waves.pop(call.trunk)
        evidence: tuple[tuple[str, str | int], ...] = (
            ("rings", count),
            ("within_seconds", self._config.window // SECOND),
            ("last_caller", call.caller[:24]),
            ("last_called", shown(call.called)),
        )
        return (Finding(at, NAME, trunk_of(call), "wave", 4, False, evidence),)

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        call, at = event.call, event.at
        if not spends(call) or not len(self._callers) or not self._dear.or_abroad(call.called, call.rate):
            return _NOTHING
        tail = tail_of(call.called.e164 or call.called.dialled)
        rang = self._callers.get(tail)
        if rang is None or at - rang > self._config.memory:
            return _NOTHING
        return (self._called_back(at, call, at - rang),)

    @staticmethod
    def _called_back(at: Instant, call: Call, since: Span) -> Finding:
        evidence: tuple[tuple[str, str | int], ...] = (
            ("to", shown(call.called)),
            ("country", call.called.country),
            ("class", str(call.called.kind)),
            ("rang_seconds_ago", since // SECOND),
            ("trunk", call.trunk),
        )
        return Finding(at, NAME, Account(payer_of(call).username, ""), "call-back", 4, True, evidence)

    def known(self) -> Iterator[About]:
        """Go through who rang, the longest silent first."""
        return ((SITE, tail) for tail in self._callers)

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write how long ago a number rang."""
        rang = self._callers.get(topic)
        return "" if rang is None or account != SITE else str(at - rang)

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        ago = int(text)
        if account != SITE or ago < 0:
            raise ValueError(f"{text!r} of {account}")
        self._callers.renew(topic, at - ago, _NOBODY)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"wangiri_callers": len(self._callers), "wangiri_callers_evicted": self._callers.evicted}


def _as_e164(caller: str) -> str:
    """Give a caller's number as one with a plus, if it is written as an international one; "" else."""
    digits = "".join([each for each in caller if each.isdigit()])
    if caller.startswith("+"):
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else ""
