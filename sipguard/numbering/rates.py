"""A rate deck: what a minute costs by the longest prefix of the number, and a packed form that loads at once.

Promises: `Deck.rate` never raises, and gives None where no row speaks of the number; `unpack` raises ValueError alone,
whatever the bytes; the same rates give the same packed bytes, in whatever order they come.

The prefixes are laid out as stretches of the line of all 15-digit numbers (E.164 has no longer ones): a look-up is one
bisection among the few stretches that begin with the same four digits, whatever the lengths of the prefixes are. It
needs 40 bytes a row, and some 200 for each different price, and loads at once; a dictionary needs 160 bytes a row and
a probe for each length. A number with fewer digits than the row found (a forged or cut one) falls back to the next
shorter prefix.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import le
from struct import Struct

from sipguard.call import Rate

MOST_DIGITS = 15  # ITU-T E.164 section 6.1
MOST_ROWS = 1_000_000
"""The most prefixes of a deck."""
MOST_MICROS = 1_000_000_000_000
"""The dearest that a minute or a connection may be: a million of the currency."""
MOST_SECONDS = 3600
"""The longest increment."""
LONGEST_NAME = 100
"""Characters of a destination's name; what is longer is cut."""

# A row is kept as its number plus one, so that this is no row and the largest can be looked for at once.
_NONE = 0
_SCALE = [10 ** max(0, MOST_DIGITS - size) for size in range(MOST_DIGITS + 1)]
_BUCKET = 10 ** (MOST_DIGITS - 4)
_BUCKETS = 10_000

_MAGIC = b"sgrates1"
# In the machine's own order, so that another machine's bytes are no deck: rows, tariffs, stretches, bytes of names and
# of the currency, CRC 32 of what follows unpacked.
_HEAD = Struct("=8sIIIIII")
_made = tuple.__new__  # what a look-up gives is right as it is; the class's own takes half as long again
_LARGEST = 256 * 1024 * 1024


class Deck:
    """Rates of one currency by prefix; the row with the empty prefix, if there is one, is for every other number."""

    __slots__ = (
        "_buckets",
        "_connects",
        "_firsts",
        "_lengths",
        "_named",
        "_names",
        "_offers",
        "_parents",
        "_per_minutes",
        "_prefixes",
        "_starts",
        "_steps",
        "_tariffs",
        "_whose",
        "currency",
    )

    def __init__(self, currency: str, rates: Iterable[Rate]) -> None:
        """Make a deck. Raises ValueError for a prefix that is no number or comes twice, or a rate out of bounds."""
        rows = sorted(map(_checked, rates), key=_place)
        if len(rows) > MOST_ROWS:
            raise ValueError(f"more than {MOST_ROWS:,} prefixes")
        self.currency = currency
        self._prefixes = array("Q", (int(rate.prefix or "0") for rate in rows))
        self._starts, self._whose, self._parents = _laid_out(rows)
        names: dict[str, int] = {}
        tariffs: dict[tuple[int, int, int, int, int], int] = {}
        self._tariffs = array("I")
        for rate in rows:
            name = names.setdefault(_name(rate.destination), len(names))
            tariff = (name, rate.per_minute, rate.connect, rate.first, rate.step)
            self._tariffs.append(tariffs.setdefault(tariff, len(tariffs)))
        self._names = list(names)
        self._named = array("I", (each[0] for each in tariffs))
        self._per_minutes = array("Q", (each[1] for each in tariffs))
        self._connects = array("Q", (each[2] for each in tariffs))
        self._firsts = array("I", (each[3] for each in tariffs))
        self._steps = array("I", (each[4] for each in tariffs))
        self._ready()

    def __len__(self) -> int:
        return len(self._prefixes)

    def rate(self, e164: str) -> Rate | None:
        """Give what a call to "+" and digits costs, by the longest prefix; None when the deck does not say."""
        digits = e164[1:]
        if not digits.isdecimal() or e164[0] != "+" or not digits.isascii():
            return None
        size = len(digits)
        key = int(digits) * _SCALE[size] if size <= MOST_DIGITS else int(digits[:MOST_DIGITS])
        bucket, buckets = key // _BUCKET, self._buckets
        row = self._whose[bisect_right(self._starts, key, buckets[bucket], buckets[bucket + 1]) - 1]
        while row != _NONE:
            row -= 1
            length = self._lengths[row]
            if length <= size:
                return _made(Rate, (digits[:length], *self._offers[self._tariffs[row]]))
            row = self._parents[row]
        return None

    def rates(self) -> Iterator[Rate]:
        """Give all rows, sorted by prefix as by digits (44 before 441, 441 before 45)."""
        for number, tariff in zip(self._prefixes, self._tariffs, strict=True):
            yield Rate(str(number) if number else "", *self._offers[tariff])

    def pack(self) -> bytes:
        """Give the whole deck as bytes; `unpack` reads them on the same machine."""
        names, currency = "\n".join(self._names).encode(), self.currency.encode()
        body = b"".join((*(part.tobytes() for part in self._parts()), names, currency))
        sizes = (len(self._prefixes), len(self._named), len(self._starts), len(names), len(currency))
        return _HEAD.pack(_MAGIC, *sizes, zlib.crc32(body)) + zlib.compress(body, 1)

    def _parts(self) -> tuple[array[int], ...]:
        """Give all that is packed; the order is that of `_sizes`."""
        return (
            self._prefixes,
            self._starts,
            self._per_minutes,
            self._connects,
            self._tariffs,
            self._parents,
            self._whose,
            self._named,
            self._firsts,
            self._steps,
        )

    def _ready(self) -> None:
        """Make what look-ups need of what is packed."""
        self._buckets = _bucketed(self._starts)
        self._lengths = bytes([len(str(number)) if number else 0 for number in self._prefixes])
        names = map(self._names.__getitem__, self._named)
        self._offers = list(zip(names, self._per_minutes, self._connects, self._firsts, self._steps, strict=True))


def unpack(data: bytes) -> Deck:
    """Read what `Deck.pack` gave. Raises ValueError for anything else."""
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        raise ValueError("no packed rate deck, or one of another version")
    _, rows, tariffs, stretches, names, currency, check = _HEAD.unpack_from(data)
    if rows > MOST_ROWS or tariffs > rows or stretches > 2 * rows + 1:
        raise ValueError("the packed rate deck is damaged: sizes")
    deck = Deck("", ())
    sizes = _sizes(rows, tariffs, stretches)
    body = _inflated(data, sum(sizes) + names + currency, check)
    at = 0
    for part, size in zip(deck._parts(), sizes, strict=True):  # noqa: SLF001 - the other half of `pack`
        del part[:]
        part.frombytes(body[at : at + size])
        at += size
    deck._names = body[at : at + names].decode().split("\n")  # noqa: SLF001 - as above
    deck.currency = body[at + names :].decode()
    _sound(deck)
    deck._ready()  # noqa: SLF001 - as above
    return deck


def _sizes(rows: int, tariffs: int, stretches: int) -> tuple[int, ...]:
    large, small = 8, 4
    return (
        rows * large,
        stretches * large,
        tariffs * large,
        tariffs * large,
        rows * small,
        rows * small,
        stretches * small,
        tariffs * small,
        tariffs * small,
        tariffs * small,
    )


def _inflated(data: bytes, size: int, check: int) -> bytes:
    if size > _LARGEST:
        raise ValueError("the packed rate deck is damaged: sizes")
    machine = zlib.decompressobj()
    try:
        body = machine.decompress(memoryview(data)[_HEAD.size :], size + 1)
    except zlib.error:
        raise ValueError("the packed rate deck is damaged") from None
    if len(body) != size or zlib.crc32(body) != check or not machine.eof or machine.unused_data:
        raise ValueError("the packed rate deck is damaged")
    return body


def _sound(deck: Deck) -> None:
    """See that no look-up can fail or run for ever: bytes with a good checksum may still be no deck.

    Whether the stretches are in order is not looked at: a bisection of what is not ends all the same.
    """
    prefixes, starts, per_minutes, connects, tariffs, parents, whose, named, firsts, steps = deck._parts()  # noqa: SLF001 - checks all of it
    names = deck._names  # noqa: SLF001 - as above
    rows = len(prefixes)
    good = (
        bool(starts)
        and starts[0] == 0
        and max(tariffs, default=0) < max(1, len(named))
        and max(named, default=0) < len(names)
        and max(whose) <= rows
        and all(map(le, parents, range(rows)))  # a parent stands before its row, so that going up ends
        and max(per_minutes, default=0) <= MOST_MICROS
        and max(connects, default=0) <= MOST_MICROS
        and min(firsts, default=1) >= 1
        and min(steps, default=1) >= 1
        and max(firsts, default=1) <= MOST_SECONDS
        and max(steps, default=1) <= MOST_SECONDS
    )
    if not good:
        raise ValueError("the packed rate deck contradicts itself")


# --- Laying out -------------------------------------------------------------------------------------------------------


def _checked(rate: Rate) -> Rate:
    prefix = rate.prefix
    if prefix and not (prefix.isascii() and prefix.isdigit() and prefix[0] != "0" and len(prefix) <= MOST_DIGITS):
        raise ValueError(f"{prefix!r} is no prefix of an international number")
    if not (0 <= rate.per_minute <= MOST_MICROS and 0 <= rate.connect <= MOST_MICROS):
        raise ValueError(f"{prefix}: a price below 0 or beyond {MOST_MICROS:,} micros")
    if not (1 <= rate.first <= MOST_SECONDS and 1 <= rate.step <= MOST_SECONDS):
        raise ValueError(f"{prefix}: an increment below 1 or above {MOST_SECONDS} seconds")
    return rate


def _place(rate: Rate) -> tuple[int, int]:
    """Give where a prefix's stretch begins, and its length: of those that begin there the shortest comes first."""
    size = len(rate.prefix)
    return int(rate.prefix or "0") * _SCALE[size], size


def _name(destination: str) -> str:
    return " ".join(destination.split())[:LONGEST_NAME]


def _laid_out(rows: list[Rate]) -> tuple[array[int], array[int], array[int]]:
    """Give where stretches begin, whose each is, and of each row the next shorter prefix of it that is a row too."""
    starts, whose, parents = array("Q", (0,)), array("I", (_NONE,)), array("I")
    above: list[tuple[int, int]] = []  # rows that the present place lies within, and where they end
    before: tuple[int, int] | None = None

    def change(at: int, row: int) -> None:
        if starts[-1] == at:
            whose[-1] = row
        else:
            starts.append(at)
            whose.append(row)

    for row, rate in enumerate(rows, 1):
        here = _place(rate)
        if here == before:
            raise ValueError(f"{rate.prefix or 'the empty prefix'} comes twice")
        before, start = here, here[0]
        while above and above[-1][1] <= start:
            _, end = above.pop()
            change(end, above[-1][0] if above else _NONE)
        parents.append(above[-1][0] if above else _NONE)
        change(start, row)
        above.append((row, start + _SCALE[here[1]]))
    while above:
        _, end = above.pop()
        change(end, above[-1][0] if above else _NONE)
    return starts, whose, parents


def _bucketed(starts: array[int]) -> array[int]:
    """Give for each four leading digits where a bisection may begin and, one further, where it may end."""
    return array("I", (bisect_left(starts, bucket * _BUCKET) for bucket in range(_BUCKETS + 1)))
