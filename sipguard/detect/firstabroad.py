"""First abroad: an account calls another country for the first time, and at night, or from a new address.

What it sees
    Calls abroad or to dear destinations (as `rate` and `risk` say) of accounts that have called for `learning` or
    longer and have never called there. Told when one of these holds, and worse with each: it is night (`night`, on the
    clock that the calls' rules go by; "never" for no night), the address it comes from (/24, /48) is none of the eight
    last ones of this account's calls, the destination is dear. With `always` each first call abroad is told. Once for
    each account; afterwards it is one that calls abroad. Only what is authenticated is learned, of outbound calls only.
    What was learned outlives restarts, and changes of the policy.

Why it matters
    Most accounts never call abroad. The first call of a stolen one does, at night, from elsewhere.

Known false alarms
    The first real call abroad, in the evening or from a telephone taken home.

Ways around it
    Working hours and the owner's network, to ordinary countries; an account that calls abroad anyway; the time until an
    account is known.

Options
    enabled, learning, night, always, rate, risk, accounts, then

References
    GSMA FF.21 (international revenue share fraud), ITU-T E.164 (country codes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.address import subject_of
from sipguard.constraint import Between, Described, DurationBetween, Matching
from sipguard.event import CallAttempted, Event
from sipguard.lesson import About, Notes, hexed, rows_of, written
from sipguard.model import DAY, MINUTE, Account, Consequence, Finding, Instant, Span
from sipguard.table import Table, neighbourhood
from sipguard.track.spending import SOMEWHERE, Dear, DearRate, DearRisk, House, payer_of, shown, spends

NAME = "firstabroad"
_NOTHING: tuple[Finding, ...] = ()
_PLACES = 8
_NEVER = "never"
_NETWORK = {3: 1, 6: 10}  # bytes of a /24 and a /48, and how many more make an address


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
    """Since when an account calls, from where, whether it has called abroad; `noted`: when that was last written."""

    __slots__ = ("abroad", "first", "noted", "places")

    def __init__(self, first: Instant) -> None:
        self.first = first
        self.noted: Instant = first - DAY
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

    __slots__ = ("_accounts", "_config", "_dear", "_house", "_night", "_notes", "handlers")

    learns: ClassVar[str] = NAME

    def __init__(self, config: Config, house: House = SOMEWHERE, notes: Notes | None = None) -> None:
        self._config = config
        self._house = house
        self._notes = Notes() if notes is None else notes
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
        if elsewhere or at - history.noted >= DAY:
            self._note(at, payer, history)
        dear = self._dear(call.called, call.rate)
        if history.abroad or not (dear or self._house.abroad(call.called)):
            return _NOTHING
        history.abroad = True
        self._note(at, payer, history)
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

    # --- What is kept -------------------------------------------------------------------------------------------------

    def _note(self, at: Instant, account: Account, history: _History) -> None:
        history.noted = at
        self._notes.note(NAME, account)

    def known(self) -> Iterator[About]:
        """Go through the accounts, the longest idle first."""
        return ((account, "") for account in self._accounts)

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write since when an account calls, whether abroad, and the places, the last one last."""
        history = self._accounts.get(account)
        if history is None or topic:
            return ""
        return written([(str(at - history.first), str(int(history.abroad)), *map(hexed, history.places))])

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        (since, abroad, *places), *more = rows_of(text)
        history = _History(at - int(since))
        history.noted, history.abroad = at, bool(int(abroad))
        for place in map(bytes.fromhex, places):
            if len(place) not in _NETWORK:
                raise ValueError(f"{place!r} is no network")
            history.meets(place)
        if more or topic or not history.places or int(since) < 0:
            raise ValueError("not a history")
        last = next(reversed(history.places))
        self._accounts.renew(account, history, last + bytes(_NETWORK[len(last)]))

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"firstabroad_accounts": len(self._accounts), "firstabroad_accounts_evicted": self._accounts.evicted}


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute) if minute else 0
