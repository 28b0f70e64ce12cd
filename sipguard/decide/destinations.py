"""Whether a call may go where it goes: by country, class, prefix, number and price, for whom, from where, and when.

    destinations = Destinations(policy.calls, carriers, parties, zone, deck=True)
    refusal = destinations.judge(call, wall)     # wall: nanoseconds since 1970; None: it may

Asked when a call's INVITE is held at the gate, and good for any call at any time: nothing is counted or kept. Emergency
calls are never refused. The order in which words are weighed is told by `Calls` (docs/policy.md), and in each refusal
by the key path of what decided. A call's price is its rate's price a minute, a connect fee aside (`limits.py` has
what a call costs as a whole).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from sipguard.call import Call, Called, Direction, NumberClass, money
from sipguard.constraint import Switch
from sipguard.decide.callrules import ABROAD, CLASSES, HOME, CallRule, Calls, Carrier
from sipguard.decide.parties import Parties, is_peer
from sipguard.decide.wallclock import ALWAYS, UTC, Hours, Moment, Zone

_CLASSES = frozenset(CLASSES.split("|"))
# How exact a word is; prefixes add their length. A prefix of up to four digits is as much as a country, and so stands
# below the classes: who allows "+49" does not mean Germany's premium numbers.
_SIDE, _COUNTRY, _SHORT, _CLASS, _LONG, _NUMBER = 10, 20, 30, 50, 100, 1000
_SHORT_DIGITS = 4
_SHOWN = 24  # characters of a number that stand in a refusal: who dials chooses them
# Who is never asked for a price: nobody is charged for these, and few decks list them.
_FREE = frozenset({NumberClass.TOLL_FREE, NumberClass.EXTENSION, NumberClass.SHORT})


_Says: TypeAlias = Callable[[CallRule], bool]


class Refusal(NamedTuple):
    """Why a call may not leave: `rule` is the key path in the policy, `why` a sentence that says what to change."""

    rule: str
    why: str


class _Word(NamedTuple):
    """A word of a rule that fits a number: how exact, how narrow its rule, whether it refuses; the greatest decides."""

    exact: int
    rank: int
    refuses: bool
    path: str
    text: str


class _Rule:
    """One rule, taken apart for looking up."""

    __slots__ = ("_accounts", "_groups", "_hours", "_longest", "_sites", "_trunks", "_words", "path", "said")

    def __init__(self, path: str, said: CallRule) -> None:
        self.path = path
        self.said = said
        self._accounts = frozenset(name.casefold() for name in said.accounts)
        self._groups = frozenset(said.groups)
        self._sites = frozenset(said.sites)
        self._trunks = frozenset(said.trunks)
        timed = said.hours != ALWAYS or bool(said.weekdays)
        self._hours = Hours(said.hours, said.weekdays) if timed else None
        self._words: dict[str, tuple[bool, int]] = {}  # whether it refuses, and its place in its list
        for refuses, places in ((False, said.allow), (True, said.deny)):
            for number, place in enumerate(places):
                if refuses or place not in said.deny:
                    self._words[place] = (refuses, number)
        self._longest = max((len(place) for place in self._words), default=0)

    def rank(self, call: Call, groups: Sequence[str], site: str, moment: Moment) -> int:
        """Tell how narrow this rule is for a call; 0 when it does not hold for it."""
        rank = 1
        if self._accounts or self._groups:
            if call.account is not None and self._accounts.intersection(call.account.called()):
                rank += 16
            elif self._groups.intersection(groups):
                rank += 8
            else:
                return 0
        if self._sites:
            if site not in self._sites:
                return 0
            rank += 4
        if self._trunks:
            if call.trunk not in self._trunks:
                return 0
            rank += 2
        if self._hours is not None:
            if not self._hours.hold(moment):
                return 0
            rank += 1
        return rank

    def words(self, called: Called, rank: int, *, abroad: bool) -> Iterator[_Word]:
        """Go through what this rule's lists say of a number."""
        if not self._words:
            return
        side = ABROAD if abroad else HOME
        for exact, key in ((_CLASS, str(called.kind)), (_COUNTRY, called.country), (_SIDE, side)):
            if key in self._words:
                yield self._word(exact, rank, key)
        for text in (called.e164, called.dialled):
            if f"={text}" in self._words:
                yield self._word(_NUMBER, rank, f"={text}")
            for length in range(1, min(len(text), self._longest) + 1):
                if text[:length] in self._words:
                    digits = length - text.startswith("+")
                    yield self._word((_SHORT if digits <= _SHORT_DIGITS else _LONG) + length, rank, text[:length])

    def _word(self, exact: int, rank: int, key: str) -> _Word:
        refuses, number = self._words[key]
        return _Word(exact, rank, refuses, f"{self.path}.{'deny' if refuses else 'allow'}[{number}]", key)


class _Holding(NamedTuple):
    """A rule that holds for the call, and how narrow it is."""

    rank: int
    rule: _Rule


class Destinations:
    """The rules of a policy, ready to judge. `deck`: there are rates, so that a call without one has an unknown one."""

    __slots__ = ("_carriers", "_deck", "_parties", "_rules", "_zone")

    def __init__(
        self, calls: Calls, carriers: Sequence[Carrier], parties: Parties, zone: Zone = UTC, *, deck: bool = False
    ) -> None:
        self._rules = (
            _Rule("calls", calls.default),
            *(_Rule(f"calls.rule[{number}]", rule) for number, rule in enumerate(calls.rule)),
        )
        self._carriers = {carrier.name: (number, carrier) for number, carrier in enumerate(carriers)}
        self._parties = parties
        self._zone = zone
        self._deck = deck

    def judge(self, call: Call, wall: int) -> Refusal | None:
        """Say why a call may not leave, or None when it may; `wall` is the wall clock's nanoseconds since 1970."""
        if call.called.kind is NumberClass.EMERGENCY or call.direction is not Direction.OUTBOUND:
            return None
        groups = self._parties.groups(call.account)
        site = self._parties.site(call.source)
        moment = self._zone.moment(wall)
        ranked = (_Holding(rule.rank(call, groups, site, moment), rule) for rule in self._rules)
        holding = sorted((each for each in ranked if each.rank), key=lambda each: -each.rank)
        abroad = self._parties.abroad(call.called)
        words = [word for each in holding for word in each.rule.words(call.called, each.rank, abroad=abroad)]
        decisive = max(words, default=None)
        if decisive is not None and decisive.refuses:
            return _listed(decisive, call)
        allowed = max((word.rank for word in words if not word.refuses), default=0)
        named = max((word.rank for word in words if not word.refuses and word.exact >= _LONG), default=0)
        return self._mode(call, holding, allowed, abroad=abroad) or self._price(call, holding, named)

    def _mode(self, call: Call, holding: Sequence[_Holding], allowed: int, *, abroad: bool) -> Refusal | None:
        """Look at outbound, international and countries; rules no narrower than `allowed` were lifted by a word."""
        for each in _narrowest(holding, lambda rule: rule.outbound is not Switch.INHERIT):
            if each.rank > allowed and each.rule.said.outbound is Switch.OFF:
                path = f"{each.rule.path}.outbound"
                return Refusal(path, f"{_whose(call)} may not call out ({path}); {_open(call, each.rule.path)}.")
        unread = call.called.kind is NumberClass.UNREADABLE and not is_peer(call)
        for each in _narrowest(holding, lambda rule: bool(rule.countries) or rule.international is not Switch.INHERIT):
            if each.rank <= allowed:
                continue
            said = each.rule.said
            if said.countries:
                if unread or _outside(call.called, said.countries):
                    path = f"{each.rule.path}.countries"
                    why = f"{_where(call)} is in none of the countries of {path}; {_open(call, each.rule.path)}."
                    return Refusal(path, why)
            elif said.international is Switch.OFF and (abroad or unread):
                path = f"{each.rule.path}.international"
                reading = "cannot be read and might be abroad" if unread else "is abroad"
                why = f"{_where(call)} {reading}, which {path} closes; {_open(call, each.rule.path)}."
                return Refusal(path, why)
        return None

    def _price(self, call: Call, holding: Sequence[_Holding], named: int) -> Refusal | None:
        if call.rate is None:
            if not self._deck or call.called.kind in _FREE or is_peer(call):
                return None
            for each in _narrowest(holding, lambda rule: rule.unknown_rate is not Switch.INHERIT):
                if each.rank > named and each.rule.said.unknown_rate is Switch.OFF:
                    path = f"{each.rule.path}.unknown_rate"
                    why = f"The rates have no price for {_where(call)} ({path}); add one, or "
                    return Refusal(path, f"{why}{_open(call, each.rule.path)}.")
            return None
        price = call.rate.per_minute
        for each in _narrowest(holding, lambda rule: bool(rule.highest_rate)):
            if each.rank > named and price > each.rule.said.highest_rate:
                path = f"{each.rule.path}.highest_rate"
                why = f"{_where(call)} costs {money(price)} a minute, more than {path}; raise that, or "
                return Refusal(path, f"{why}{_open(call, each.rule.path)}.")
        number, carrier = self._carriers.get(call.trunk, (0, None))
        if carrier is not None and carrier.max_rate and price > carrier.within(carrier.max_rate):
            path = f"trunk[{number}].max_rate"
            why = f"{_where(call)} costs {money(price)} a minute, more than the carrier's {path} less its margin; "
            return Refusal(path, f"{why}have the carrier raise its limit, then {path}.")
        return None


def _narrowest(holding: Sequence[_Holding], says: _Says) -> list[_Holding]:
    """Pick the rules of the narrowest party of those that say something; usually one."""
    speaking = [each for each in holding if says(each.rule.said)]
    return [each for each in speaking if each.rank == speaking[0].rank]


def _outside(called: Called, countries: Sequence[str]) -> bool:
    """Tell whether a number is in none of the countries; one that is nowhere, like an extension, is in all."""
    return bool(called.e164) and called.country not in countries


def _listed(word: _Word, call: Call) -> Refusal:
    base = word.path.rpartition(".")[0]
    return Refusal(word.path, f'{_where(call)} is closed by "{word.text}" in {base}.deny; {_open(call, base)}.')


def _open(call: Call, path: str) -> str:
    """Say how to open it: by the most exact word there is."""
    number = call.called.e164 or call.called.dialled
    if len(number) > _SHOWN:
        number = ""
    return f'to allow it, put "={number}" into {path}.allow' if number else f"to allow it, change {path}"


def _where(call: Call) -> str:
    called = call.called
    country = f" ({called.country})" if called.country else ""
    return f"{(called.e164 or called.dialled)[:_SHOWN] or 'The number'}, {called.kind}{country},"


def _whose(call: Call) -> str:
    return f"Account {call.account}" if call.account is not None else "Nobody known by name"
