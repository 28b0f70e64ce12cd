"""Toll-free pumping: somebody has your toll-free number called by machines, for each minute of which you pay.

What it sees
    Calls from trunks to toll-free numbers (as the dial plan reads them, and the `numbers` you name: those that your
    carrier turns them into), by called number. `calls` within `window` are found when most of them come from at most
    `callers` different callers, or from one block of a thousand numbers, or show none at all. What is told besides is
    how many of them lasted less than `short` or longer than `long`. The subject is the called number, written as an
    account without a realm; it is only ever reported, for callers are forged.

Why it matters
    The called party pays, and whoever carries the calls earns; machines hold them up in the voice menu, where nobody
    notices.

Known false alarms
    A call centre whose customers' PBX shows one number for all. Set `calls` above your busiest hour.

Ways around it
    Other callers' numbers for each call, drawn from everywhere; fewer calls than `calls`; calls that a proxy of yours
    shows under another number.

Options
    enabled, numbers, calls, callers, short, long, window, entries, then

References
    FCC, 8YY Access Charge Reform (traffic pumping to toll-free numbers), ITU-T E.169.1 (freephone numbers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from sipguard.call import Call, Direction, NumberClass
from sipguard.constraint import Between, Count, Described, DurationBetween, Matching
from sipguard.event import CallAttempted, CallEnded, Event
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Account, Consequence, Finding, Instant, Span
from sipguard.table import Table
from sipguard.track.spending import shown, tail_of

NAME = "tollfreepump"
_NOTHING: tuple[Finding, ...] = ()
_TOLL_FREE, _INBOUND = NumberClass.TOLL_FREE, Direction.INBOUND
_BLOCK = 3  # digits by which the numbers of one block differ
_Own: TypeAlias = Annotated[str, Matching(r"\+?[0-9]{3,20}", 'a number like "+498001234567", or as it is dialled')]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.tollfreepump]`."""

    enabled: Annotated[bool, Described("Whether pumping of toll-free numbers is looked for")] = True
    numbers: Annotated[
        tuple[_Own, ...], Count(0, 1000), Described("Own numbers that stand for toll-free ones, as calls to them come")
    ] = ()
    calls: Annotated[int, Between(2, 10_000), Described("Calls to one number within the window")] = 60
    callers: Annotated[int, Between(1, 1000), Described("Callers that are few for so many calls")] = 3
    short: Annotated[Span, DurationBetween(SECOND, HOUR), Described("A call that lasts less is short")] = 10 * SECOND
    long: Annotated[Span, DurationBetween(SECOND, DAY), Described("A call that lasts longer is long")] = 30 * MINUTE
    window: Annotated[Span, DurationBetween(SECOND, DAY), Described("How long a call counts")] = HOUR
    entries: Annotated[int, Between(10, 100_000), Described("The most called numbers remembered at once")] = 1000
    then: Annotated[Consequence, Described('What becomes of a number that is found; only "report" makes sense')] = (
        Consequence.REPORT
    )


class _Number:
    """The latest calls to one number, each with its caller; `short` and `long` of them since the last finding."""

    __slots__ = ("calls", "long", "short")

    def __init__(self) -> None:
        self.calls: dict[str, tuple[Instant, str]] = {}  # never more than make a finding
        self.short = 0
        self.long = 0


class Detector:
    """Counts calls by toll-free number and caller."""

    __slots__ = ("_config", "_numbers", "_own", "handlers")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._own = frozenset(config.numbers)
        self._numbers: Table[str, _Number] = Table(config.entries)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            CallAttempted: self._attempted,
            CallEnded: self._ended,
        }

    def _is_free(self, call: Call) -> bool:
        called = call.called
        if call.direction is not _INBOUND or not call.trunk:  # strangers could invent numbers
            return False
        return called.kind is _TOLL_FREE or called.e164 in self._own or called.dialled in self._own

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        call, at, config = event.call, event.at, self._config
        if not self._is_free(call):
            return _NOTHING
        name = shown(call.called)
        number = self._numbers.get(name) or _Number()
        self._numbers.renew(name, number, event.source)
        calls = number.calls
        calls[call.key] = (at, tail_of(call.caller))
        while len(calls) > config.calls or next(iter(calls.values()))[0] <= at - config.window:
            del calls[next(iter(calls))]
        if len(calls) < config.calls:
            return _NOTHING
        pattern = self._pattern([caller for _, caller in calls.values()])
        if not pattern:
            return _NOTHING
        evidence: tuple[tuple[str, str | int], ...] = (
            ("calls", len(calls)),
            ("within_seconds", config.window // SECOND),
            ("callers", len({caller for _, caller in calls.values()})),
            ("pattern", pattern),
            ("short", number.short),
            ("long", number.long),
            ("trunk", call.trunk),
        )
        self._numbers.pop(name)
        return (Finding(at, NAME, Account(name, ""), "pumped", 6, True, evidence),)

    def _pattern(self, callers: Sequence[str]) -> str:
        """Say what most of the callers have in common; "" when nothing."""
        most = (len(callers) + 1) // 2 + 1
        if callers.count("") >= most:
            return "no caller shown"
        told = Counter(callers)
        if sum(count for _, count in told.most_common(self._config.callers)) >= most:
            return "few callers"
        blocks = Counter(caller[:-_BLOCK] for caller in callers if caller)
        return "one block of numbers" if blocks.most_common(1)[0][1] >= most else ""

    def _ended(self, event: CallEnded) -> Sequence[Finding]:
        number = self._numbers.get(shown(event.call.called)) if self._is_free(event.call) else None
        if number is not None:
            lasted = event.call.lasted(event.at)
            number.short += lasted < self._config.short
            number.long += lasted > self._config.long
        return _NOTHING

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"tollfreepump_numbers": len(self._numbers), "tollfreepump_numbers_evicted": self._numbers.evicted}
