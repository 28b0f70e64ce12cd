"""When what is in force ends: a heap of what ends soon, and lists by the minute of what ends later.

A million bans wait here. In a heap each would be a tuple of 80 bytes; in a list it is a pointer to a network that is
there anyhow. What waits under an end that was moved since is passed over: the caller says which end holds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from sipguard.address import Network
from sipguard.model import MINUTE, Held, Instant, SetName

_MANY = 1024


class Ends:
    """The ends of elements, in the order they come; `until` tells by now when an element ends, None for never."""

    __slots__ = ("_later", "_minutes", "_soon", "_until", "_waiting")

    def __init__(self, until: Callable[[SetName, Network], Instant | None]) -> None:
        self._until = until
        self._soon: list[tuple[Instant, SetName, Network]] = []
        self._later: dict[int, dict[SetName, list[Network]]] = {}
        self._minutes: list[int] = []  # a heap of the keys of `_later`
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, held: Held) -> None:
        """Take note of an end."""
        minute = held.until // MINUTE
        self._waiting += 1
        if minute not in self._later:
            self._later[minute] = {}
            heapq.heappush(self._minutes, minute)
        self._later[minute].setdefault(held.set, []).append(held.network)

    def first(self) -> Instant | None:
        """Give the next instant at which something may end; None when nothing waits."""
        soon = self._soon[0][0] if self._soon else None
        later = self._minutes[0] * MINUTE if self._minutes else None
        return later if soon is None else soon if later is None else min(soon, later)

    def ended(self, now: Instant) -> Iterator[Held]:
        """Take out, one after the other, what has ended by now."""
        while self._minutes and self._minutes[0] * MINUTE <= now:
            self._draw()
        while self._soon and self._soon[0][0] <= now:
            until, name, network = heapq.heappop(self._soon)
            self._waiting -= 1
            if self._until(name, network) == until:
                yield Held(name, network, until)

    def next(self) -> Held | None:
        """Take out what ends first, whenever that is; None when nothing waits."""
        while self._soon or self._minutes:
            if not self._soon or (self._minutes and self._minutes[0] * MINUTE <= self._soon[0][0]):
                self._draw()
                continue
            until, name, network = heapq.heappop(self._soon)
            self._waiting -= 1
            if self._until(name, network) == until:
                return Held(name, network, until)
        return None

    def tidy(self, most: int, held: Callable[[], Iterable[Held]]) -> None:
        """Begin anew from what is held, where ends that were moved make up most of what waits; `most` are in force."""
        if self._waiting <= _MANY or self._waiting <= 4 * most:
            return
        self._soon, self._later, self._minutes, self._waiting = [], {}, [], 0
        for each in held():
            if each.until:
                self.add(each)

    def _draw(self) -> None:
        """Order what ends within the next minute that there is."""
        minute = heapq.heappop(self._minutes)
        for name, networks in self._later.pop(minute).items():
            for network in networks:
                until = self._until(name, network)
                if until is not None and until // MINUTE == minute:
                    heapq.heappush(self._soon, (until, name, network))
                else:
                    self._waiting -= 1
