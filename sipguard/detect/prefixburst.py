"""Prefix burst: many calls to one prefix abroad at once, or in quick succession.

What it sees
    Calls that leave for other countries, or for what is dear (premium, satellite and global numbers, a price above
    `rate`, a risk of `risk`), by account and prefix: the country code and three digits more, or the rate deck's prefix
    where that is shorter. `calls` of one account to one prefix within `window`, or `at_once` at a time, are found;
    `trunk_calls` and `trunk_at_once` hold for all calls over one trunk, so that many accounts hide nothing. Ordinary
    numbers at home and emergency calls are not looked at; without a home country only what is dear is. What nobody is
    known to have authenticated for is found under the trunk's name, calls that were forwarded under the account's name
    without its realm; both are only reported.

Why it matters
    Whoever sells calls fills one range of numbers that he is paid for, as fast as he is let.

Known false alarms
    A call centre, a newsletter by telephone, a fax server that sends abroad.

Ways around it
    Many prefixes, each called less often; patience; numbers that the dial plan cannot read.

Options
    enabled, calls, at_once, trunk_calls, trunk_at_once, window, rate, risk, entries, then

References
    GSMA IR.73 and FF.21 (international revenue share fraud), ITU-T E.156 (misuse of numbers), ITU-T E.164.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.call import Call
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import CallAttempted, CallConfirmed, CallEnded, CallEvent, CallUnconfirmed, Event
from sipguard.model import HOUR, MINUTE, SECOND, Account, Consequence, Finding, Instant, Span
from sipguard.table import Table
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
from sipguard.window import Sliding

NAME = "prefixburst"
_NOTHING: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.prefixburst]`."""

    enabled: Annotated[bool, Described("Whether bursts of calls to one prefix are looked for")] = True
    calls: Annotated[int, Between(2, 1000), Described("Calls of one account to one prefix within the window")] = 12
    at_once: Annotated[int, Between(2, 1000), Described("Calls of one account to one prefix at a time")] = 5
    trunk_calls: Annotated[int, Between(2, 10_000), Described("Calls over one trunk to one prefix in the window")] = 60
    trunk_at_once: Annotated[int, Between(2, 10_000), Described("Calls over one trunk to one prefix at a time")] = 20
    window: Annotated[Span, DurationBetween(SECOND, HOUR), Described("How long a call counts")] = 5 * MINUTE
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    entries: Annotated[int, Between(100, 1_000_000), Described("The most prefixes of accounts remembered at once")] = (
        5000
    )
    then: Annotated[Consequence, Described("What becomes of an account that is found")] = Consequence.REPORT


class _Limit:
    """How many within the window, and how many at a time."""

    __slots__ = ("at_once", "calls")

    def __init__(self, calls: int, at_once: int) -> None:
        self.calls = calls
        self.at_once = at_once


class Detector:
    """Counts calls by account and prefix, and by trunk and prefix."""

    __slots__ = ("_config", "_dear", "_marks", "_ongoing", "_party", "_trunk", "handlers")

    def __init__(self, config: Config, house: House = SOMEWHERE) -> None:
        self._config = config
        self._dear = Dear(house, config.rate, config.risk)
        self._party = _Limit(config.calls, config.at_once)
        self._trunk = _Limit(config.trunk_calls, config.trunk_at_once)
        self._marks: Table[tuple[bool, Account, str], Sliding] = Table(config.entries, config.entries // 2)
        self._ongoing = Ongoing(config.entries, max(config.at_once, config.trunk_at_once))
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            CallAttempted: self._attempted,
            CallConfirmed: self._confirmed,
            CallUnconfirmed: self._over,
            CallEnded: self._over,
        }

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        keys = self._keys(event.call)
        if not keys:
            return _NOTHING
        self._ongoing.enter(event.call, keys)
        found: list[Finding] = []
        for key in keys:
            found += self._count(event, key)
        return found

    def _confirmed(self, event: CallConfirmed) -> Sequence[Finding]:
        keys = self._keys(event.call)
        if keys:
            self._ongoing.enter(event.call, keys)
        return _NOTHING

    def _over(self, event: CallEvent) -> Sequence[Finding]:
        self._ongoing.leave(event.call)
        return _NOTHING

    def _keys(self, call: Call) -> Sequence[tuple[bool, Account, str]]:
        if not spends(call) or not self._dear.or_abroad(call.called, call.rate):
            return ()
        prefix = prefix_of(call.called, call.rate)
        return [(whole, who, prefix) for whole, who in payers_of(call)] if prefix else ()

    def _count(self, event: CallAttempted, key: tuple[bool, Account, str]) -> Sequence[Finding]:
        limit = self._trunk if key[0] else self._party
        marks = self._marks.get(key)
        if marks is None:
            marks = Sliding(self._config.window, limit.calls)
        marks.mark(event.at)
        self._marks.renew(key, marks, event.source)
        count, running = marks.count(event.at), self._ongoing.count(key)
        if count < limit.calls and running < limit.at_once:
            return _NOTHING
        if running < limit.at_once:
            self._marks.pop(key)
        call = event.call
        evidence: tuple[tuple[str, str | int], ...] = (
            ("prefix", key[2]),
            ("calls", count),
            ("within_seconds", self._config.window // SECOND),
            ("at_once", running),
            ("country", call.called.country),
            ("last", shown(call.called)),
            ("trunk", call.trunk),
        )
        return (Finding(event.at, NAME, key[1], key[2], 7, True, evidence),)

    def explain_account(self, at: Instant, name: str) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, and the most calls to one prefix that accounts of that name have made."""
        mine = [key for key in self._marks if not key[0] and key[1].username == name.casefold()]
        most = max((marks.count(at) for key in mine if (marks := self._marks.get(key)) is not None), default=0)
        at_once = max((self._ongoing.count(key) for key in mine), default=0)
        return (("calls", most, self._config.calls), ("at_once", at_once, self._config.at_once)) if mine else ()

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "prefixburst_entries": len(self._marks),
            "prefixburst_entries_evicted": self._marks.evicted,
            "prefixburst_calls_evicted": self._ongoing.evicted,
        }
