"""First abroad: an account calls another country for the first time, and at night, or from a new address.

What it sees
    Calls abroad or to dear destinations (as `rate` and `risk` say) of accounts that have called for `learning` or
    longer and have never called there. Told when one of these holds, and worse with each: it is night (`night`, on the
    clock that the calls' rules go by; "never" for no night), the address it comes from (/24, /48) is none of the eight
    last ones of this account's calls, the destination is dear. With `always` each first call abroad is told. Once for
    each account; afterwards it is one that calls abroad. Only what is authenticated is learned, of outbound calls only.
    After a restart, and when this table of the policy changes, all of it is learned anew.

Why it matters
    Most accounts never call abroad. The first call of a stolen one does, at night, from elsewhere.

Known false alarms
    The first real call abroad, in the evening or from a telephone taken home.

Ways around it
    Working hours and the owner's network, to ordinary countries; an account that calls abroad anyway; the time until an
    account is known, after each start.

Options
    enabled, learning, night, always, rate, risk, accounts, then

References
    GSMA FF.21 (international revenue share fraud), ITU-T E.164 (country codes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.address import subject_of
from sipguard.constraint import Between, Described, DurationBetween, Matching
from sipguard.event import CallAttempted, Event
from sipguard.model import DAY, MINUTE, Account, Consequence, Finding, Instant, Span
from sipguard.table import Table, neighbourhood
from sipguard.track.spending import SOMEWHERE, Dear, DearRate, DearRisk, House, payer_of, shown, spends

NAME = "firstabroad"
_NOTHING: tuple[Finding, ...] = ()
_PLACES = 8
_NEVER = "never"


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.firstabroad]`."""

    enabled: Annotated[bool, Described("Whether an account's first call abroad is looked at")] = True
    learning: Annotated[
        Span, DurationBetween(MINUTE, 90 * DAY), Described("How long after its first call an account is only learned")
    ] = 7 * DAY
    night: Annotated[
        str,
        Matching(
            r"(never|([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])",
            '"never" or hours like "20:00-06:00"',
        ),
        Described("When it is night"),
    ] = "20:00-06:00"
    always: Annotated[bool, Described("Whether the first call abroad is told though nothing else is strange")] = False
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    accounts: Annotated[int, Between(100, 1_000_000), Described("The most accounts remembered at once")] = 20_000
    then: Annotated[Consequence, Described("What becomes of an account that is found")] = Consequence.REPORT


class _History:
    """Since when an account calls, from where, and whether it has called abroad."""

    __slots__ = ("abroad", "first", "places")

    def __init__(self, first: Instant) -> None:
        self.first = first
        self.abroad = False
        self.places: dict[bytes, None] = {}

    def meets(self, place: bytes) -> bool:
        """Note where a call comes from; True when that is new."""
        new = place not in self.places
        self.places.pop(place, None)
        if len(self.places) >= _PLACES:
            del self.places[next(iter(self.places))]
        self.places[place] = None
        return new


class Detector:
    """Remembers for each account since when it calls, from where, and whether abroad; the longest idle goes first."""

    __slots__ = ("_accounts", "_config", "_dear", "_house", "_night", "handlers")

    def __init__(self, config: Config, house: House = SOMEWHERE) -> None:
        self._config = config
        self._house = house
        self._dear = Dear(house, config.rate, config.risk)
        begin, _, end = ("" if config.night == _NEVER else config.night).partition("-")
        self._night = (_minutes(begin), _minutes(end))
        self._accounts: Table[Account, _History] = Table(config.accounts, config.accounts // 2)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {CallAttempted: self._attempted}

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        call, at = event.call, event.at
        payer = payer_of(call)
        if not spends(call) or not payer.realm or call.source is None:
            return _NOTHING
        history = self._accounts.get(payer)
        if history is None:
            history = _History(at)
        self._accounts.renew(payer, history, event.source)
        elsewhere = history.meets(neighbourhood(call.source))
        dear = self._dear(call.called, call.rate)
        if history.abroad or not (dear or self._house.abroad(call.called)):
            return _NOTHING
        history.abroad = True
        if at - history.first < self._config.learning:
            return _NOTHING
        strange = (("night", self._is_night(at)), ("new address", elsewhere), ("dear", dear))
        reasons = [name for name, holds in strange if holds]
        if not reasons and not self._config.always:
            return _NOTHING
        evidence: tuple[tuple[str, str | int], ...] = (
            ("to", shown(call.called)),
            ("country", call.called.country),
            ("class", str(call.called.kind)),
            ("from", str(subject_of(call.source))),
            ("also", ", ".join(reasons)),
            ("known_days", (at - history.first) // DAY),
        )
        return (Finding(at, NAME, payer, "first", 3 + 2 * len(reasons), True, evidence),)

    def _is_night(self, at: Instant) -> bool:
        minute, (begin, end) = self._house.minute(at), self._night
        if minute < 0 or begin == end:
            return False
        return begin <= minute < end if begin < end else not end <= minute < begin

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"firstabroad_accounts": len(self._accounts), "firstabroad_accounts_evicted": self._accounts.evicted}


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute) if minute else 0
