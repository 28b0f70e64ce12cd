"""What an interval set holds, as far as we know: so that a change needs no reading of the set. Pure.

The networks are disjoint, as in the kernel. A mirror that is wrong does no harm: the kernel refuses to delete what is
not there and to add what overlaps, and the set is then read anew (see `intervals.py`).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping

from sipguard.address import Network
from sipguard.model import Instant
from sipguard.netset import last_of

_FEW = 64  # so many changes are made one by one; more, and the order is made anew


class Mirror:
    """The networks of one family with their ends (0: none)."""

    __slots__ = ("_ends", "_order")

    def __init__(self, ends: Mapping[Network, Instant]) -> None:
        """Begin with disjoint networks of one family."""
        self._ends = dict(ends)
        self._order = sorted(self._ends)

    def __len__(self) -> int:
        return len(self._ends)

    def ends(self) -> Mapping[Network, Instant]:
        """Give all that is held."""
        return self._ends

    def prune(self, now: Instant) -> None:
        """Forget what has run out, as the kernel does."""
        over = [network for network, until in self._ends.items() if until <= now]
        self.replace(over, {})

    def touching(self, networks: Iterable[Network]) -> dict[Network, Instant]:
        """Give what shares an address with one of these networks."""
        order, found = self._order, {}
        for network in networks:
            place = bisect_right(order, network)
            if place and order[place - 1].covers(network.address):
                found[order[place - 1]] = self._ends[order[place - 1]]
            last = last_of(network)
            while place < len(order) and order[place].address <= last:
                found[order[place]] = self._ends[order[place]]
                place += 1
        return found

    def replace(self, gone: Iterable[Network], there: Mapping[Network, Instant]) -> None:
        """Follow a change that the kernel has made."""
        removed = {network for network in gone if self._ends.pop(network, None) is not None} - there.keys()
        added = [network for network in there if network not in self._ends and network not in removed]
        self._ends.update(there)
        if len(removed) + len(added) > _FEW:
            if removed:
                self._order = [network for network in self._order if network not in removed]
            self._order += sorted(added)
            self._order.sort()  # two runs: merged, not sorted anew
            return
        for network in removed:
            del self._order[bisect_right(self._order, network) - 1]
        for network in added:
            place = bisect_right(self._order, network)
            if not place or self._order[place - 1] != network:
                insort(self._order, network)
