"""A rate deck as people have it, a table in a file, to a `Deck`: everything wrong with it at once, each with its line.

Promises: `read` never raises; work is linear in the size of the file, which is bounded; what is unclear is either said
or taken for dearer than it may be, never for cheaper. A row with an error is left out. Who loads a deck refuses one
with errors (`DeckFile.usable`): without a row, a dear range falls to the cheap price of its country. Warnings do not
refuse. Times are not of interest: a price that changes with the hour of the day is taken at its dearest.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from sipguard.call import Rate
from sipguard.errors import Problem
from sipguard.numbering import currencies, deckcells, deckcolumns
from sipguard.numbering.deckcolumns import Columns, Role
from sipguard.numbering.deckrows import Offer, Reader
from sipguard.numbering.decktext import MOST_LINES, Row, read_table
from sipguard.numbering.rates import MOST_ROWS, Deck

MOST_BYTES = 64 * 1024 * 1024
SHOWN = 100
"""So many errors, and so many warnings, are told one by one; of the others, how many they are."""


class DeckFile(NamedTuple):
    """What a file says. `deck` holds the rows without errors; `error_count` counts those that are not shown, too."""

    deck: Deck
    rows: int
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    error_count: int
    warning_count: int

    @property
    def usable(self) -> bool:
        """Tell whether it may be loaded."""
        return not self.error_count


class _Notes:
    """What is wrong, in the order of lines; only so much of it is kept."""

    __slots__ = ("count", "kept")

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[Problem] = []

    def add(self, line: int, what: str, hint: str = "") -> None:
        self.count += 1
        if len(self.kept) < SHOWN:
            self.kept.append(Problem("", line, what, hint))

    def shown(self, kind: str) -> tuple[Problem, ...]:
        kept = sorted(self.kept, key=lambda problem: problem.line)
        more = self.count - len(kept)
        return (*kept, Problem("", 0, f"{more:,} more {kind} are not shown")) if more else tuple(kept)


def read(data: bytes, today: date, currency: str = "") -> DeckFile:
    """Read a deck. `today` is the operator's date, `currency` (ISO 4217) what prices are in where nothing names it."""
    errors, warnings = _Notes(), _Notes()
    if len(data) > MOST_BYTES:
        errors.add(0, f"is larger than {MOST_BYTES >> 20} MiB: no rate deck")
        return _told(Deck(currency, ()), 0, errors, warnings)
    table = read_table(data)
    for note in table.notes:
        warnings.add(0, note)
    if table.cut:
        errors.add(MOST_LINES + 1, f"has more than {MOST_LINES:,} lines; the rest was not read")
    found = _columns(table.rows, errors, warnings)
    if found is None:
        return _told(Deck(currency, ()), 0, errors, warnings)
    rows, columns = found
    reader = Reader(columns, currency, today, day_first=_day_first(rows, columns))
    best: dict[str, Offer] = {}
    for row in rows:
        _take(row, reader, best, errors, warnings)
    for line, what in reader.unclear():
        errors.add(line, what)
    for line, what in reader.remarks():
        warnings.add(line, what)
    chosen = _currency(reader, columns, currency, errors)
    if not best and not errors.count:
        errors.add(0, "holds no price")
    return _told(_deck(chosen, best, errors), len(rows), errors, warnings)


def _told(deck: Deck, rows: int, errors: _Notes, warnings: _Notes) -> DeckFile:
    return DeckFile(deck, rows, errors.shown("errors"), warnings.shown("warnings"), errors.count, warnings.count)


def _columns(rows: list[Row], errors: _Notes, warnings: _Notes) -> tuple[list[Row], Columns] | None:
    found = deckcolumns.find(rows)
    if found is not None:
        place, columns = found
        if place:
            warnings.add(rows[0].line, f"{place} lines before the header on line {rows[place].line} are passed over")
        for name in columns.unused:
            warnings.add(rows[place].line, f'another column has the price, so "{name[:40]}" is not used')
        return rows[place + 1 :], columns
    guessed = deckcolumns.guess(rows)
    if guessed is None:
        example = "write one as the first line, like: prefix,destination,rate,connect fee,increments"
        errors.add(rows[0].line if rows else 0, "has no header that names a prefix and a rate", example)
        return None
    said = ", ".join(f"column {at + 1} is the {role}" for role, at in sorted(guessed.at.items(), key=lambda x: x[1]))
    warnings.add(rows[0].line, f"has no header; by what stands there {said}")
    return rows, guessed


def _day_first(rows: list[Row], columns: Columns) -> bool | None:
    """Tell by the dates that can be read in one way whether the others begin with the day; None when none can."""
    votes = {True: 0, False: 0}
    for role in (Role.EFFECTIVE, Role.END):
        at = columns.at.get(role)
        for row in rows if at is not None else ():
            parts = row.cells[at].strip().split("/", 2) if at is not None and at < len(row.cells) else []
            if len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal():
                votes[True] += len(parts[0]) < 3 and int(parts[0]) > 12
                votes[False] += len(parts[1]) < 3 and int(parts[1]) > 12
    return None if votes[True] == votes[False] else votes[True] > votes[False]


def _take(row: Row, reader: Reader, best: dict[str, Offer], errors: _Notes, warnings: _Notes) -> None:
    try:
        offer = reader.read(row)
    except deckcells.CellError as error:
        errors.add(row.line, str(error))
        return
    if offer is None:
        return
    for prefix in offer.prefixes:
        other = best.get(prefix)
        if other is None:
            if len(best) < MOST_ROWS:
                best[prefix] = offer
            elif len(best) == MOST_ROWS:
                errors.add(row.line, f"brings the deck above {MOST_ROWS:,} prefixes")
        elif other.terms != offer.terms or other.since != offer.since:
            wins = offer if offer.rank() > other.rank() else other
            best[prefix] = wins
            why = "it is later" if offer.since != other.since else "it is dearer"
            shown = prefix or "the default"
            first, second = sorted((other.line, offer.line))
            warnings.add(second, f"{shown} is on line {first} too; line {wins.line} counts, as {why}")


def _currency(reader: Reader, columns: Columns, given: str, errors: _Notes) -> str:
    """Give the one currency there is; prices in two are no deck."""
    named = dict(reader.currencies)
    if columns.currency:
        named.setdefault(columns.currency, 0)
    dollars = named.pop("$", None)
    codes = sorted(named)
    chosen = codes[0] if codes else given
    if len(codes) > 1:
        other = max(codes, key=lambda code: named[code])
        errors.add(named[other], f"is in {other}; the deck has prices in {', '.join(codes)[:80]}, and must have one")
    elif codes and given and given != chosen:
        errors.add(0, f"names {chosen}, the policy {given}: they must agree")
    if dollars is not None and not chosen:
        errors.add(dollars, "$ is some dollar: the policy must say which", 'currency = "USD" under [rates]')
    elif dollars is not None and not chosen.endswith("D"):
        errors.add(dollars, f"is in some dollar, the deck in {chosen}")
    elif not chosen:
        errors.add(0, "does not name its currency, nor does the policy", 'currency = "EUR" under [rates]')
    return chosen if chosen in currencies.CODES else given


def _deck(currency: str, best: dict[str, Offer], errors: _Notes) -> Deck:
    rates = []
    for prefix, offer in best.items():
        terms = offer.terms
        rates.append(Rate(prefix, offer.name, terms.per_minute, terms.connect, terms.first, terms.step))
    try:
        return Deck(currency, rates)
    except ValueError as error:  # a price beyond all bounds, after what the columns made of it
        errors.add(0, str(error))
        return Deck(currency, ())
