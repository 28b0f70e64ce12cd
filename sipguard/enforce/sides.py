"""The banned networks of our table: in two sets for each family, of which one is home, and the other empty.

Taking elements out of a set of networks goes by the square of their number: 9 s for 20,000 (Linux 6.18), and packets
wait for us meanwhile. So when much is to go, what is decided is put into the other set, slice by slice, and
one transaction makes the first one empty. Both are looked up by every packet: whoever is banned before and after is
banned at any moment between, and nobody else for longer than the filling takes. Decides nothing.

One transaction alone does not keep that promise: on Linux 6.1 what it takes out of a set of networks is gone a moment
before what it puts in is there (tried: packets pass; on 6.18 none). So no two change places within one set alone.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from sipguard.address import Network
from sipguard.enforce import elements
from sipguard.enforce.intervals import Intervals
from sipguard.enforce.netlink import ADAPTER, words
from sipguard.errors import AdapterError
from sipguard.model import MILLISECOND, Held, Instant, SetName, Span
from sipguard.netset import NetSet, last_of

FEW = 16
"""Networks that are taken out at once, and one by one; for more, the whole set is filled anew."""
SLICE = 500  # put in at once: some 20 ms beside a hundred thousand
QUIET: Span = 300 * MILLISECOND
"""A list comes and goes in steps: the set is filled anew when nothing more has come for so long."""


class InForce(Protocol):
    """What is decided, looked at while it changes."""

    def ends(self, name: SetName) -> Mapping[Network, Instant]:
        """Give the elements of a set, the newest last, each with its end."""

    def networks(self) -> Collection[Network]:
        """Give the banned networks that are more than one sender."""


def remaining(wanted: InForce, released: Sequence[Network]) -> list[Held]:
    """List what is still banned of networks whose own bans end: those inside, and themselves where a wider one holds.

    `wanted` no longer has the released ones.
    """
    ends = wanted.ends(SetName.BLOCKED)
    found: dict[Network, Instant] = {}
    for network in released:
        first, last, length = network.address, last_of(network), len(network.address)
        for net in wanted.networks():
            if first <= net.address <= last and len(net.address) == length:
                found[net] = ends[net]
        value = int.from_bytes(first, "big")
        for prefix in range(network.prefix):
            shift = length * 8 - prefix
            until = ends.get(Network((value >> shift << shift).to_bytes(length, "big"), prefix))
            if until is not None:
                found[network] = max(until, found.get(network, 0))
    return [Held(SetName.BLOCKED, network, until) for network, until in found.items()]


def _cut(bans: Sequence[Held]) -> elements.Wish:
    return elements.Wish(cut=tuple(held.network for held in bans))


class Sides:
    """Which set is home, and what is done to it and to one that is being filled.

    `empty` makes sets anew; `count` tells how many elements one has, None where the kernel does not say.
    """

    def __init__(
        self, intervals: Intervals, count: Callable[[str], int | None], empty: Callable[[Sequence[str]], None]
    ) -> None:
        self._intervals = intervals
        self._count = count
        self._empty = empty
        self._home: dict[int, str] = {}
        self._filling: frozenset[int] = frozenset()
        self.overdue: Instant = 0
        """When the latest change came that left something to a renewal; 0 when there is nothing."""

    def begin(self, *, anew: bool) -> None:
        """Take nothing for granted; with `anew` the table was just made, and its sets are empty but the allowlist."""
        self._home.clear()
        self._filling = frozenset()
        self._intervals.forget()
        for version, sides in elements.SIDES.items() if anew else ():
            self._home[version] = sides[0]
            for name in sides:
                self._intervals.begin(name)

    def home(self, version: int) -> str:
        """Name the set that holds a family's banned networks. Raises AdapterError."""
        if version not in self._home:
            self._home[version] = self._found(version)
        return self._home[version]

    def change(self, version: int, wish: elements.Wish) -> int:
        """Make a change of a family's banned networks; return the kernel's errno. Raises AdapterError.

        What takes the place of another stands in the other set before that goes, and as long as that takes.
        """
        home, other = self.home(version), self._other(version)
        if version in self._filling:
            return self._intervals.change(other, wish) or self._intervals.change(home, wish)
        moved = self._intervals.moved(home, wish)
        if not moved:
            return self._intervals.change(home, wish)
        before, self.overdue = self.overdue, 1  # where we come to no end, a renewal takes out what is left over
        bridged = self._intervals.change(other, elements.Wish(put=moved)) == 0
        code = self._intervals.change(home, wish)
        if bridged and (len(moved) > FEW or self._intervals.change(other, _cut(moved))):
            self._empty([other])
            self._intervals.begin(other)
        self.overdue = before
        return code

    def around(self, bans: Sequence[Held], now: Instant) -> list[Held]:
        """Give of many bans what can be put in without taking anything out; the rest is left to a renewal."""
        fit: list[Held] = []
        for version in elements.SIDES:
            mine = [held for held in bans if held.network.version == version]
            fit += self._around(self.home(version), mine, now) if mine else []
        return fit

    def _around(self, name: str, bans: Sequence[Held], now: Instant) -> list[Held]:
        touched = self._intervals.touching(name, [held.network for held in bans])
        if touched is None:
            return list(bans)
        fit = []
        there = NetSet(touched)
        for held in bans:
            if not there.overlaps(held.network) or (held.network in touched and self._intervals.renews):
                fit.append(held)
            elif touched.get(held.network) != held.until:
                fit += [Held(held.set, left, held.until) for left in there.subtract_from(held.network)]
                self.overdue = now
        return fit

    def strayed(self) -> None:
        """Empty a set that is not home and not being filled, if anybody has put anything into it."""
        names = [self._other(version) for version in elements.SIDES if version not in self._filling]
        if names := [name for name in names if self._size(name)]:
            self._empty(names)

    def renew(self, wanted: InForce, parts: Callable[[Iterable[Held]], list[Held]]) -> Iterator[None]:
        """Make the banned networks what is decided, a slice at a time. Raises AdapterError.

        `parts` leaves out what may not be banned. What is changed meanwhile by `change` is changed on both sides.
        """
        self.overdue = 0
        self.strayed()
        ends, keys = wanted.ends(SetName.BLOCKED), list(wanted.networks())
        for version in elements.SIDES:
            self._intervals.begin(self._other(version))
        self._filling = frozenset(elements.SIDES)
        try:
            for start in range(0, len(keys), SLICE):
                part = [Held(SetName.BLOCKED, net, ends[net]) for net in keys[start : start + SLICE] if net in ends]
                self._fill(parts(part))
                yield
        finally:
            self._filling = frozenset()
        old = [self.home(version) for version in elements.SIDES]
        self._empty(old)
        for version, name in zip(elements.SIDES, old, strict=True):
            self._home[version] = self._other(version)
            self._intervals.begin(name)

    def _fill(self, bans: Sequence[Held]) -> None:
        for version in elements.SIDES:
            put = tuple(held for held in bans if held.network.version == version)
            code = self._intervals.change(self._other(version), elements.Wish(put=put)) if put else 0
            if code:
                raise AdapterError(ADAPTER, f"networks cannot be renewed: {words(code)}")

    def _other(self, version: int) -> str:
        first, second = elements.SIDES[version]
        return second if self.home(version) == first else first

    def _found(self, version: int) -> str:
        """Find which set is home; where a filling was broken off both have elements, and all of them stay banned."""
        first, second = elements.SIDES[version]
        if not self._size(second):
            return first
        if self._size(first):
            both = self._intervals.read(second)
            put = tuple(Held(SetName.BLOCKED, net, until) for net, (until, _element) in both.items())
            code = self._intervals.change(first, elements.Wish(put=put))
            if code not in {0, errno.ENOENT}:
                raise AdapterError(ADAPTER, f"networks cannot be brought together: {words(code)}")
            self._empty([second])
            self.overdue = 1  # what was to go with that filling is still there
            return first
        return second

    def _size(self, name: str) -> int:
        counted = self._count(name)
        return len(self._intervals.read(name)) if counted is None else counted
