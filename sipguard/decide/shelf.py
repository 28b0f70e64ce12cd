"""Which books a call is written in, and which limits stand in each: the policy's, ready to be asked. Pure.

Of accounts, of numbers and of countries at most `limits.subjects` books each are kept, the one unused for longest goes
first; of what the policy itself names there are as many as it names. One scope cannot push out another's books.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sipguard.call import Call, Rate
from sipguard.decide.books import Book, Check, Facts, Kind, carrier_checks, checks_of
from sipguard.decide.callrules import Carrier
from sipguard.decide.limitset import Config, Kinds, LimitRule, Scope
from sipguard.decide.parties import Parties, account_name
from sipguard.decide.prices import Prices
from sipguard.decide.running import LEAD
from sipguard.model import DAY
from sipguard.table import Table
from sipguard.window import party

_NOBODY = b"\0\0\0\0"
UNLISTED = "unlisted"  # trunks that the policy does not list share one book; its name is "", which no label is


class Shelf:
    """All books. `longest` is the longest window, `nothing` a call that adds nothing, to read counters with."""

    __slots__ = ("_books", "_default", "_digits", "_only_dear", "_parties", "_prices", "_special", "longest", "nothing")

    def __init__(self, config: Config, carriers: Sequence[Carrier], parties: Parties) -> None:
        self._parties = parties
        self._prices = Prices(config, parties)
        self._digits = config.prefix_digits
        self._books: dict[Scope, Table[str, Book]] = {scope: Table(config.subjects, config.subjects) for scope in Scope}
        self._default = {scope: checks_of(said, f"limits.{scope}") for scope, said in _tables(config)}
        self._special = self._rules(config, carriers)
        every = [*self._default.values(), *self._special.values()]
        self.longest = max([DAY, *(check.window for checks in every for check in checks)])
        self._only_dear = {scope: all(_dear(check) for check in checks) for scope, checks in self._default.items()}
        self.nothing = Facts(Rate("", "", 0, 0, 60, 60), 0, 0, 0, expensive=False)

    def facts(self, call: Call) -> Facts:
        """Say what a call adds to its books."""
        rate = self._prices.rate(call)
        number = call.called.e164 or call.called.dialled
        head = number[: self._digits + number.startswith("+")]
        return Facts(
            rate,
            party(number.encode("utf-8", "replace")),
            party(head.encode("utf-8", "replace")),
            rate.cost(LEAD),
            expensive=self._prices.expensive(rate),
        )

    def books(self, call: Call, *, keep: bool) -> tuple[Book, ...]:
        """Give the books that a call belongs in; those that nobody has begun are begun, and kept if `keep`."""
        found = []
        expensive = self._prices.expensive(self._prices.rate(call))
        for scope, name in self._subjects(call):
            checks = self._checks(scope, name, call)
            if checks and (expensive or not self._only_dear[scope] or checks is not self._default[scope]):
                book = self._books[scope].get(name)
                if book is None:
                    book = Book(scope, name, checks)
                if keep:
                    self._books[scope].renew(name, book, _NOBODY)
                found.append(book)
        return tuple(found)

    def named(self, scope: Scope, name: str) -> list[Book]:
        """Give the books of a subject; an account may be named without its realm, then it is all of that name."""
        if scope is not Scope.ACCOUNT:
            book = self._books[scope].get("" if scope is Scope.TRUNK and name == UNLISTED else name)
            return [] if book is None else [book]
        wanted = name.casefold()
        return [book for book in self._books[scope].values() if wanted in {book.name, book.name.partition("@")[0]}]

    def subjects(self, scope: Scope) -> list[str]:
        """Name the subjects of a scope that have a book, the one unused for longest first."""
        return [UNLISTED if scope is Scope.TRUNK and not name else name for name in self._books[scope]]

    def counters(self) -> dict[str, int]:
        """Give how many books there are of each scope, and how many had to go."""
        kept = {f"limits_{scope}": len(table) for scope, table in self._books.items()}
        return {**kept, "limits_evicted": sum(table.evicted for table in self._books.values())}

    def _subjects(self, call: Call) -> Iterator[tuple[Scope, str]]:
        called = call.called
        if call.account is not None:
            yield Scope.ACCOUNT, account_name(call.account)
            for group in self._parties.groups(call.account):
                yield Scope.GROUP, group
        yield Scope.TRUNK, call.trunk
        site = self._parties.site(call.source)
        if site:
            yield Scope.SITE, site
        yield Scope.CLASS, str(called.kind)
        if called.country:
            yield Scope.COUNTRY, called.country
        number = called.e164 or called.dialled
        if number:
            yield Scope.NUMBER, number

    def _checks(self, scope: Scope, name: str, call: Call) -> tuple[Check, ...]:
        checks = self._default[scope]
        if not self._special:
            return checks
        names = call.account.called() if scope is Scope.ACCOUNT and call.account is not None else (name,)
        return next((self._special[scope, each] for each in names if (scope, each) in self._special), checks)

    def _rules(self, config: Config, carriers: Sequence[Carrier]) -> dict[tuple[Scope, str], tuple[Check, ...]]:
        found: dict[tuple[Scope, str], tuple[Check, ...]] = {}
        for number, rule in enumerate(config.rule):
            for scope, name in _named_by(rule):
                found[scope, name] = checks_of(
                    rule, f"limits.rule[{number}]", found.get((scope, name), self._default[scope])
                )
        for number, carrier in enumerate(carriers):
            key = (Scope.TRUNK, carrier.name)
            found[key] = found.get(key, self._default[Scope.TRUNK]) + carrier_checks(carrier, f"trunk[{number}]")
        return found


def _tables(config: Config) -> tuple[tuple[Scope, Kinds], ...]:
    return (
        (Scope.ACCOUNT, config.account),
        (Scope.GROUP, config.group),
        (Scope.TRUNK, config.trunk),
        (Scope.SITE, config.site),
        (Scope.CLASS, config.class_),
        (Scope.COUNTRY, config.country),
        (Scope.NUMBER, config.number),
    )


def _named_by(rule: LimitRule) -> Iterator[tuple[Scope, str]]:
    for scope, names in (
        (Scope.ACCOUNT, tuple(name.casefold() for name in rule.accounts)),
        (Scope.GROUP, rule.groups),
        (Scope.TRUNK, rule.trunks),
        (Scope.SITE, rule.sites),
        (Scope.CLASS, rule.classes),
        (Scope.COUNTRY, rule.countries),
        (Scope.NUMBER, rule.numbers),
    ):
        for name in names:
            yield scope, name


def _dear(check: Check) -> bool:
    return check.kind is Kind.EXPENSIVE_CONCURRENT or check.kind is Kind.EXPENSIVE_NUMBERS
