"""Long calls: several long calls of one account, abroad or to dear destinations, at the same time.

What it sees
    Answered calls to other countries or to dear destinations (as `rate` and `risk` say) that last longer than `length`:
    `calls` of one account at a time, or `trunk_calls` over one trunk. It is looked whenever anything happens to any
    call of the house (begun, answered, ended), and not in between: where nothing happens for long, it is told late.
    Limits of duration and of spending are watched while calls run, and do not wait.

Why it matters
    Pumped traffic is held up as long as it pays, up to hours; people talk for minutes, one at a time.

Known false alarms
    Conference rooms abroad that several telephones of one account dial into; a line kept open between two offices.

Ways around it
    Hanging up and calling again before `length`; few calls at a time.

Options
    enabled, length, calls, trunk_calls, rate, risk, running, then

References
    GSMA IR.73 and FF.21 (international revenue share fraud), RFC 4028 (session timers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.call import Call
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import CallAnswered, CallAttempted, CallConfirmed, CallEnded, CallEvent, CallUnconfirmed, Event
from sipguard.model import DAY, MINUTE, SECOND, Account, Consequence, Finding, Instant, Span
from sipguard.track.spending import (
    SOMEWHERE,
    Dear,
    DearRate,
    DearRisk,
    House,
    Ongoing,
    Waiting,
    payers_of,
    shown,
    spends,
)

NAME = "longcalls"
_NOTHING: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.longcalls]`."""

    enabled: Annotated[bool, Described("Whether long calls side by side are looked for")] = True
    length: Annotated[Span, DurationBetween(SECOND, DAY), Described("A call that lasts longer is long")] = 30 * MINUTE
    calls: Annotated[int, Between(2, 1000), Described("Long calls of one account at a time")] = 3
    trunk_calls: Annotated[int, Between(2, 10_000), Described("Long calls over one trunk at a time")] = 12
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    running: Annotated[int, Between(100, 1_000_000), Described("The most calls followed at once")] = 5000
    then: Annotated[Consequence, Described("What becomes of an account that is found")] = Consequence.REPORT


class Detector:
    """Waits for each call to become long, and counts those that are."""

    __slots__ = ("_config", "_dear", "_long", "_waiting", "handlers")

    def __init__(self, config: Config, house: House = SOMEWHERE) -> None:
        self._config = config
        self._dear = Dear(house, config.rate, config.risk)
        self._long = Ongoing(config.running, max(config.calls, config.trunk_calls))
        self._waiting = Waiting(config.running)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            CallAttempted: self._looked,
            CallAnswered: self._answered,
            CallConfirmed: self._answered,
            CallUnconfirmed: self._over,
            CallEnded: self._over,
        }

    def _looked(self, event: CallEvent) -> Sequence[Finding]:
        return self._look(event.at)

    def _answered(self, event: CallEvent) -> Sequence[Finding]:
        call = event.call
        if call.answered and spends(call) and self._dear.or_abroad(call.called, call.rate):
            self._waiting.enter(call, call.answered + self._config.length)
        return self._look(event.at)

    def _over(self, event: CallEvent) -> Sequence[Finding]:
        self._waiting.leave(event.call)
        self._long.leave(event.call)
        return self._look(event.at)

    def _look(self, now: Instant) -> Sequence[Finding]:
        """See which calls have become long by now."""
        found: list[Finding] = []
        for call in self._waiting.due(now):
            keys = payers_of(call)
            self._long.enter(call, keys)
            for key in keys:
                found += self._count(now, key, call)
        return found

    def _count(self, at: Instant, key: tuple[bool, Account], call: Call) -> Sequence[Finding]:
        whole, subject = key
        count = self._long.count(key)
        if count < (self._config.trunk_calls if whole else self._config.calls):
            return _NOTHING
        calls = self._long.of(key)
        evidence: tuple[tuple[str, str | int], ...] = (
            ("calls", count),
            ("longest_seconds", max(each.lasted(at) for each in calls) // SECOND),
            ("countries", ", ".join(sorted({each.called.country for each in calls if each.called.country}))),
            ("last", shown(call.called)),
            ("trunk", call.trunk),
            ("cost_micros", sum(each.cost(at) for each in calls)),
        )
        return (Finding(at, NAME, subject, "long", 8, True, evidence),)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "longcalls_running": len(self._waiting) + len(self._long),
            "longcalls_running_evicted": self._waiting.evicted + self._long.evicted,
        }
