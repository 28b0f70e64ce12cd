"""Costly calls: many ongoing calls to one destination that is dear.

What it sees
    Calls that ring or are answered and go to a dear destination: a premium, satellite or global number, one that costs
    more than `rate` a minute, or one with a risk of `risk` or more. Counted by account and prefix (the country code and
    three digits, or the deck's prefix where shorter): `calls` of one account at a time, or `trunk_calls` of all over
    one trunk. What nobody was heard of for long (unconfirmed) does not count, nor does an emergency call.

Why it matters
    A range of numbers pays by the minute, so that as many calls as there are lines are held up on it. Nobody talks to
    `calls` satellite telephones at a time, which is why the account is put under quarantine.

Known false alarms
    One account for a whole office or dialler whose business lies there: set `calls` above its busiest moment, or your
    own countries as home.

Ways around it
    Fewer at a time, of several accounts over several trunks; a destination that neither the deck nor the list of risks
    knows.

Options
    enabled, calls, trunk_calls, rate, risk, running, then

References
    GSMA IR.73 and FF.21 (international revenue share fraud), ITU-T E.156 (misuse of numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.call import Call
from sipguard.constraint import Between, Described
from sipguard.event import CallAnswered, CallAttempted, CallConfirmed, CallEnded, CallEvent, CallUnconfirmed, Event
from sipguard.model import Account, Consequence, Finding, Instant
from sipguard.track.spending import (
    SOMEWHERE,
    Dear,
    DearRate,
    DearRisk,
    House,
    Ongoing,
    payers_of,
    prefix_of,
    shown,
    spends,
)

NAME = "costlycalls"
_NOTHING: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.costlycalls]`."""

    enabled: Annotated[bool, Described("Whether many dear calls at a time are looked for")] = True
    calls: Annotated[int, Between(2, 1000), Described("Dear calls of one account to one prefix at a time")] = 4
    trunk_calls: Annotated[int, Between(2, 10_000), Described("Dear calls over one trunk to one prefix at a time")] = 12
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    running: Annotated[int, Between(100, 1_000_000), Described("The most dear calls followed at once")] = 5000
    then: Annotated[Consequence, Described("What becomes of an account that is found")] = Consequence.QUARANTINE


class Detector:
    """Counts what goes on by account and prefix, and by trunk and prefix."""

    __slots__ = ("_config", "_dear", "_ongoing", "handlers")

    def __init__(self, config: Config, house: House = SOMEWHERE) -> None:
        self._config = config
        self._dear = Dear(house, config.rate, config.risk)
        self._ongoing = Ongoing(config.running, max(config.calls, config.trunk_calls))
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            CallAttempted: self._goes_on,
            CallAnswered: self._goes_on,
            CallConfirmed: self._goes_on,
            CallUnconfirmed: self._over,
            CallEnded: self._over,
        }

    def _goes_on(self, event: CallEvent) -> Sequence[Finding]:
        call = event.call
        if not call.confirmed or not spends(call) or not self._dear(call.called, call.rate):
            return _NOTHING
        prefix = prefix_of(call.called, call.rate)
        keys = [(whole, who, prefix) for whole, who in payers_of(call)]
        self._ongoing.enter(call, keys)
        return [found for key in keys if (found := self._found(event.at, key, call)) is not None]

    def _over(self, event: CallEvent) -> Sequence[Finding]:
        self._ongoing.leave(event.call)
        return _NOTHING

    def _found(self, at: Instant, key: tuple[bool, Account, str], call: Call) -> Finding | None:
        whole, subject, prefix = key
        count = self._ongoing.count(key)
        if count < (self._config.trunk_calls if whole else self._config.calls):
            return None
        evidence: tuple[tuple[str, str | int], ...] = (
            ("prefix", prefix),
            ("calls", count),
            ("class", str(call.called.kind)),
            ("country", call.called.country),
            ("last", shown(call.called)),
            ("trunk", call.trunk),
            ("cost_micros", sum(each.cost(at) for each in self._ongoing.of(key))),
        )
        return Finding(at, NAME, subject, prefix, 9, True, evidence)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"costlycalls_running": len(self._ongoing), "costlycalls_running_evicted": self._ongoing.evicted}
