"""One row of a rate deck to an offer: what these prefixes cost, and since when. `deckfile` puts the offers together.

Promises: `Reader.read` raises `CellError` alone. What a row leaves open is taken for dear: without increments, each
minute begun counts whole; seconds that a carrier gives away are not given away here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from sipguard.call import Rate
from sipguard.model import HOUR, MINUTE
from sipguard.numbering import currencies, deckcells
from sipguard.numbering.deckcells import Amount, CellError
from sipguard.numbering.deckcolumns import Columns, Role
from sipguard.numbering.decktext import Row
from sipguard.numbering.rates import MOST_MICROS, MOST_SECONDS

DEFAULT_SECONDS = 60
"""Increments where none are named: most billing programs count whole minutes then, and none counts more."""
DEAR = 100_000_000
"""A minute dearer than this (100 of the currency) is doubted, in currencies of which a minute costs less than one."""
FIRST_DAY = date(1970, 1, 1)
_REMEMBERED = 10_000
_DOUBTED = 1000  # doubtful prices that are remembered until it is known which sign is the decimal one


class Terms(NamedTuple):
    """What a row asks for: micros and seconds, as in `Rate`."""

    per_minute: int
    connect: int
    first: int
    step: int


class Offer(NamedTuple):
    """What a row says of its prefixes, and since when it holds."""

    line: int
    prefixes: list[str]
    name: str
    terms: Terms
    since: date

    def rank(self) -> tuple[date, int, int, int]:
        """Compare two offers for one prefix: the later one, then the dearer for a minute, an hour, a moment."""
        rate = Rate("", "", *self.terms)
        return self.since, rate.cost(MINUTE), rate.cost(HOUR), rate.cost(1)


class Reader:
    """Reads row after row; what can only be told of the whole file (`unclear`, `remarks`, `currencies`) afterwards."""

    __slots__ = (
        "_at",
        "_cents",
        "_day_first",
        "_days",
        "_doubted",
        "_known",
        "_marks",
        "_names",
        "_remarks",
        "_spans",
        "_today",
        "currencies",
    )

    def __init__(self, columns: Columns, currency: str, today: date, *, day_first: bool | None) -> None:
        self._at = columns.at
        self._names = columns.names
        self._cents = columns.cents
        self._day_first = day_first
        self._today = today
        self._known = currency or columns.currency
        self._days: dict[str, tuple[date, ...]] = {"": ()}  # most rows have the same few
        self._spans: dict[str, tuple[int, int]] = {"": (0, 0)}
        self._doubted: list[tuple[int, str]] = []
        self._marks: set[str] = set()
        self._remarks: dict[str, tuple[int, int]] = {}  # what: how often, and the first line
        self.currencies: dict[str, int] = {}  # code, or "$", and the line that named it first

    def read(self, row: Row) -> Offer | None:
        """Read a row; None for one that is not for outgoing calls of today. Raises CellError."""
        if row.broken:
            raise CellError(row.broken)
        line = row.line
        if len(row.cells) > len(self._names) and any(cell.strip() for cell in row.cells[len(self._names) :]):
            raise CellError(f"has {len(row.cells)} cells, the header {len(self._names)}: a comma inside a cell?")
        if self._cell(row, Role.DIRECTION).lower() in {"inbound", "in", "*in"}:
            self._remark(line, "rows for incoming calls are passed over")
            return None
        if self._seconds(row, Role.INTERVAL)[0]:
            raise CellError(f"{self._called(Role.INTERVAL)}: a price that changes during a call cannot be kept")
        self._note_currency(row)
        prefixes = self._prefixes(row)
        terms = self._terms(row)
        since = self._day(row, Role.EFFECTIVE) or FIRST_DAY
        if since > self._today:
            self._remark(line, "prices that are not in force yet are passed over: load the file again on their day")
            return None
        end = self._day(row, Role.END)
        if end is not None and end < self._today:
            self._remark(line, "prices that are no longer in force are passed over")
            return None
        if terms.per_minute > DEAR and self._known not in currencies.MANY_UNITS:
            self._remark(line, "prices of more than 100 a minute: is that so, or are they in cents?")
        return Offer(line, prefixes, self._cell(row, Role.NAME), terms, since)

    def unclear(self) -> Iterator[tuple[int, str]]:
        """Give lines whose price may be a thousand times as much: 1,234 in a file with decimal points."""
        for line, mark in self._doubted:
            if self._marks - {mark}:
                yield line, f'"{mark}" may part thousands or decimals here: write the price without it'

    def remarks(self) -> Iterator[tuple[int, str]]:
        """Give what was done with many rows, once each: the first line, and what."""
        for what, (count, line) in self._remarks.items():
            yield line, f"{what} ({count:,} such rows, this is the first)" if count > 1 else what

    # --- Cells --------------------------------------------------------------------------------------------------------

    def _cell(self, row: Row, role: Role) -> str:
        at = self._at.get(role)
        return row.cells[at].strip() if at is not None and at < len(row.cells) else ""

    def _called(self, role: Role) -> str:
        at = self._at.get(role)
        return self._names[at][:40] if at is not None and at < len(self._names) else str(role)

    def _seconds(self, row: Row, role: Role) -> tuple[int, int]:
        """Read one number of seconds, or a pair like 60/6; (0, 0) where there is none."""
        cell = self._cell(row, role)
        known = self._spans.get(cell)
        if known is not None:
            return known
        try:
            found = deckcells.increments(cell)
        except CellError as error:
            raise CellError(f"{self._called(role)}: {error}") from None
        if len(self._spans) < _REMEMBERED:
            self._spans[cell] = found
        return found

    def _prefixes(self, row: Row) -> list[str]:
        role = Role.PREFIX if Role.PREFIX in self._at else Role.AREA
        try:
            return deckcells.prefixes(self._cell(row, role), self._cell(row, Role.COUNTRY_CODE))
        except CellError as error:
            raise CellError(f"{self._called(role)}: {error}") from None

    def _price(self, row: Row, role: Role) -> int:
        """Read a price in micros; 0 where there is none."""
        cell = self._cell(row, role)
        if not cell:
            return 0
        number, code = currencies.parted(cell)
        if code:
            self.currencies.setdefault(code, row.line)
        try:
            found = deckcells.amount(number)
        except CellError as error:
            raise CellError(f"{self._called(role)}: {error}") from None
        self._note_mark(row.line, found)
        return -(-found.micros // 100) if role in self._cents else found.micros

    def _note_mark(self, line: int, found: Amount) -> None:
        if not found.doubtful:
            self._marks.update(found.mark)
        elif len(self._doubted) < _DOUBTED:
            self._doubted.append((line, found.mark))

    def _terms(self, row: Row) -> Terms:
        if not self._cell(row, Role.RATE):
            raise CellError(f"{self._called(Role.RATE)}: is empty; a call that costs nothing has the price 0")
        price, connect = self._price(row, Role.RATE), self._price(row, Role.CONNECT)
        unit = self._seconds(row, Role.UNIT)[0]
        first, step = self._increments(row, unit)
        per_minute = -(-price * 60 // unit) if unit else price
        initial, begun = self._price(row, Role.INITIAL_COST), self._seconds(row, Role.INITIAL_TIME)[0]
        if begun:  # the initial cost is instead of the rate: what it is more than that is a fee
            first, instead = begun, per_minute * begun // 60
            if initial < instead:
                self._remark(row.line, "the first seconds are cheaper than the others; they are taken for as dear")
            initial = max(0, initial - instead)
        connect += initial
        if per_minute > MOST_MICROS or connect > MOST_MICROS:
            raise CellError(f"{self._called(Role.RATE)}: is more than a million a minute")
        if not per_minute and not connect:
            self._remark(row.line, "calls that cost nothing")
        if self._seconds(row, Role.FREE)[0]:
            self._remark(row.line, "free seconds are passed over: each call is taken to cost from its first second")
        return Terms(per_minute, connect, min(first, MOST_SECONDS), min(step, MOST_SECONDS))

    def _increments(self, row: Row, unit: int) -> tuple[int, int]:
        first, step = self._seconds(row, Role.BOTH)
        own = self._seconds(row, Role.FIRST)[0]
        least, next_ = self._seconds(row, Role.STEP)
        step = next_ or step
        first = own or first or (least if least != next_ else 0)
        if not first and not step:
            if unit:
                return unit, unit
            self._remark(row.line, "no increments are named: each minute begun is taken to cost a whole one")
            return DEFAULT_SECONDS, DEFAULT_SECONDS
        return first or step, step or first

    def _day(self, row: Row, role: Role) -> date | None:
        cell = self._cell(row, role)
        found = self._days.get(cell)
        if found is None:
            try:
                found = deckcells.days(cell)
            except CellError as error:
                raise CellError(f"{self._called(role)}: {error}") from None
            if len(self._days) < _REMEMBERED:
                self._days[cell] = found
        if len(found) < 2:
            return found[0] if found else None
        month_first, day_first = found
        if self._day_first is None and (month_first > self._today) != (day_first > self._today):
            raise CellError(f"{self._called(role)}: day and month may be either: write it like 2026-01-31")
        return day_first if self._day_first else month_first

    def _note_currency(self, row: Row) -> None:
        cell = self._cell(row, Role.CURRENCY)
        if not cell or cell in self.currencies:
            return
        code = currencies.named(cell)
        if code is None:
            raise CellError(f"{self._called(Role.CURRENCY)}: {cell[:20]!r} is no currency like EUR")
        if code:
            self.currencies.setdefault(code, row.line)

    def _remark(self, line: int, what: str) -> None:
        count, first = self._remarks.get(what, (0, line))
        self._remarks[what] = count + 1, first
