"""Single cells of a rate deck to values: prefixes, prices, seconds, increments, dates.

Promises: nothing here raises but `CellError`, with words for an operator; work is linear in the length of the cell,
which `decktext` bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from sipguard.numbering.rates import MOST_DIGITS, MOST_MICROS, MOST_SECONDS

MOST_ITEMS = 1000
"""Prefixes in one cell."""
EVERYTHING = frozenset({"default", "defaultprefix", "*any", "*"})
"""What a row is called that is for every other number (A2Billing, CGRateS)."""


class CellError(Exception):
    """A cell that cannot be read; its text says what is wrong, to follow the name of the column."""


def _quote(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


# --- Prefixes ---------------------------------------------------------------------------------------------------------

_SPLIT = re.compile(r"[,;|&\n]")
_SCIENTIFIC = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_PATTERN = re.compile(r"[xXzZnN\[\]!_{}^$?*#]")


def prefixes(cell: str, country: str = "") -> list[str]:
    """Read "44 7, 44 8", "447400-447409", "+44", "0044"; `country` is put before each. Raises CellError."""
    if cell.isascii() and cell.isdigit() and cell[0] != "0" and len(cell) <= MOST_DIGITS and not country:
        return [cell]  # as nearly all are
    text = cell.strip().lstrip("='").strip()
    if text.lower() in EVERYTHING:
        return [""]
    code = _digits(country) if country.strip() else ""
    items = [item.strip() for item in _SPLIT.split(text)] if text else [""]
    items = [item for item in items if item] or ([""] if code else [])
    if not items:
        raise CellError("is empty; for every other number write default")
    if len(items) > MOST_ITEMS:
        raise CellError(f"names more than {MOST_ITEMS} prefixes")
    if not code and len(items) > 1 and " " in items[0] and any(" " not in item for item in items[1:]):
        # "61 38,39": Melbourne, then Italy or Melbourne once more? Programs differ.
        raise CellError("may or may not mean the first country code for all of them: write each prefix in full")
    return [prefix for item in items for prefix in _item(item, code)]


def _item(item: str, code: str) -> Iterator[str]:
    if _SCIENTIFIC.fullmatch(item):
        raise CellError(f"{_quote(item)} was spoilt by a spreadsheet: have it keep the column as text")
    low, dash, high = item.partition("-")
    if dash and "-" not in high and len(low.strip(" +")) == len(high.strip(" +")):  # else as in 1-264
        yield from _covered(_digits(low, code), _digits(high, code))
        return
    yield _digits(item, code)


def _digits(text: str, code: str = "") -> str:
    """Give the digits of a prefix after what is dialled before international numbers."""
    digits = "".join(sign for sign in text if sign not in " +-.()/\u00a0\t")
    if not (digits.isascii() and digits.isdigit()) and (digits or not code):
        if _PATTERN.search(digits):
            raise CellError(f"{_quote(text)} is a pattern: only plain prefixes can be compared by length")
        raise CellError(f"{_quote(text)} is no prefix")
    if code:
        digits = code + digits
    elif digits.startswith("00"):
        digits = digits[2:]
    elif digits.startswith("011"):
        digits = digits[3:]
    if not digits or digits[0] == "0":
        raise CellError(f"{_quote(text)} does not begin with a country code")
    if len(digits) > MOST_DIGITS:
        raise CellError(f"{_quote(text)} has more than {MOST_DIGITS} digits")
    return digits


def _covered(first: str, last: str) -> Iterator[str]:
    """Give the fewest prefixes that are all the numbers from the first to the last, both of the same length."""
    low, high, size = int(first), int(last), len(first)
    if low > high or len(last) != size:
        raise CellError(f"{first}-{last} is no range")
    while low <= high:
        zeros = 0
        while zeros < size - 1 and low % 10 ** (zeros + 1) == 0 and low + 10 ** (zeros + 1) - 1 <= high:
            zeros += 1
        yield str(low // 10**zeros)
        low += 10**zeros


# --- Prices -----------------------------------------------------------------------------------------------------------


class Amount(NamedTuple):
    """A price in micros, rounded up; `mark` is its decimal sign where it has one; `doubtful`: or a thousands sign."""

    micros: int
    mark: str = ""
    doubtful: bool = False


_NUMBER = re.compile(r"([0-9.,]+)(?:[eE]([+-]?[0-9]{1,2}))?")
_GROUPED = re.compile(r"[0-9]{1,3}(?:([.,])[0-9]{3})(?:\1[0-9]{3})*")


def amount(text: str) -> Amount:
    """Read a price without its currency: "0.0123", "0,0123", "1.234,56", "1.2E-02". Raises CellError."""
    plain = "".join(sign for sign in text if sign not in " '\u00a0\u202f\u2019")
    if plain.startswith(("-", "(", "\u2212")):
        raise CellError(f"{_quote(text)} is less than nothing")
    found = _NUMBER.fullmatch(plain.removeprefix("+"))
    if not found or not any("0" <= sign <= "9" for sign in plain):
        raise CellError(f"{_quote(text)} is no price")
    number, exponent = found.group(1), int(found.group(2) or "0")
    mark = _decimal_mark(number, text)
    whole, _, part = number.partition(mark) if mark else (number, "", "")
    whole = whole.replace(",", "").replace(".", "")
    if len(whole) + len(part) > 60:
        raise CellError("has far too many digits")
    micros = _shifted(int(whole + part or "0"), 6 + exponent - len(part))
    if micros > MOST_MICROS:
        raise CellError(f"{_quote(text)} is more than a million")
    doubtful = (
        len(part) == 3 and whole.lstrip("0") != "" and len(whole) <= 3 and number.count(mark) == 1 and not exponent
    )
    return Amount(micros, mark, doubtful and not _both(number))


def _both(number: str) -> bool:
    return "." in number and "," in number


def _decimal_mark(number: str, text: str) -> str:
    """Tell which sign is the decimal one: the last of two kinds; of one kind, one that comes once."""
    marks = number.count("."), number.count(",")
    if not any(marks):
        return ""
    last = max(".,", key=number.rfind)
    if all(marks):
        if number.count(last) > 1:
            raise CellError(f"{_quote(text)} is no price")
        return last
    if sum(marks) == 1:
        return last
    if _GROUPED.fullmatch(number):
        return ""
    raise CellError(f"{_quote(text)} is no price")


def _shifted(value: int, places: int) -> int:
    """Multiply by a power of ten, rounding up."""
    power: int = 10 ** abs(places)
    return value * power if places >= 0 else -(-value // power)


# --- Times ------------------------------------------------------------------------------------------------------------

_SECONDS = re.compile(r"(?:([0-9]{1,3})m)?(?:([0-9]{1,6})(?:[.,]0{1,9})?\s{0,3}(?:s|sec|secs|second|seconds)?)?")
_BETWEEN = re.compile(r"[/+\\]|\s-\s|(?<=[0-9])-(?=[0-9])|(?<=[0-9]):(?=[0-9])")


def seconds(cell: str) -> int:
    """Read "60", "60s", "1m", "60.0"; 0 for an empty cell. Raises CellError."""
    text = cell.strip().lower()
    found = _SECONDS.fullmatch(text)
    if not found:
        raise CellError(f"{_quote(cell.strip())} is no number of seconds")
    value = int(found.group(1) or "0") * 60 + int(found.group(2) or "0")
    if value > MOST_SECONDS:
        raise CellError(f"{value} seconds is longer than an hour")
    return value


def increments(cell: str) -> tuple[int, int]:
    """Read "60/6", "1/1", "60/60/6" (least, first, next), "60"; (0, 0) for an empty cell. Raises CellError."""
    parts = [seconds(part) for part in _BETWEEN.split(cell.strip())]
    if len(parts) > 3:
        raise CellError(f"{_quote(cell.strip())} is no pair of increments like 60/6")
    return max(parts[:2]) if len(parts) == 3 else parts[0], parts[-1]


_ISO_DAY = re.compile(r"([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})(?:[T ].{0,30})?")
_WRITTEN = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4}|[0-9]{2})(?:[ T,].{0,30})?")
_NAMED = re.compile(
    r"(?:([0-9]{1,2})[-/. ]{0,2}([a-z]{3})[a-z]{0,7}|([a-z]{3})[a-z]{0,7}[ .]{1,2}([0-9]{1,2}))"
    r"[-/., ]{1,3}([0-9]{4}|[0-9]{2})(?:[ t,].{0,30})?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def days(cell: str) -> tuple[date, ...]:
    """Read a date: nothing where there is none, two where day and month may be meant either way. Raises CellError."""
    text = cell.strip()
    if not text or text.startswith("0000-00-00"):
        return ()
    try:
        if found := _ISO_DAY.fullmatch(text):
            year, month, day = map(int, found.groups())
            return (date(year, month, day),)
        if found := _NAMED.fullmatch(text.lower()):
            name = found.group(2) or found.group(3)
            day = int(found.group(1) or found.group(4))
            return (date(_year(found.group(5)), _MONTHS.index(name) + 1, day),)
        if found := _WRITTEN.fullmatch(text):
            return _either(int(found.group(1)), int(found.group(2)), _year(found.group(3)), dotted="." in text[:3])
    except ValueError:
        raise CellError(f"{_quote(text)} is a day that there never was") from None
    raise CellError(f"{_quote(text)} is no date like 2026-01-31")


def _year(text: str) -> int:
    return int(text) + (2000 if len(text) == 2 else 0)


def _either(first: int, second: int, year: int, *, dotted: bool) -> tuple[date, ...]:
    if first > 12 or dotted or first == second:  # nobody writes 12.31.2026
        return (date(year, second, first),)
    if second > 12:
        return (date(year, first, second),)
    return date(year, first, second), date(year, second, first)
