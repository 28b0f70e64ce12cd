"""A bounded mapping for what traffic can grow: a cap, an eviction order, a counter, a share for each network.

Every table that a packet can add to is one of these. Entries are *common* (anybody can cause them) or *kept* (a proof
stands behind them); the oldest common entry goes first, a kept one only when nothing common is left. No single network
(/24 in IPv4, /48 in IPv6) holds more than its share: past it, that network evicts its own, so that a flood from one
place cannot push out what others have earned.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from sipguard.address import Address

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def neighbourhood(address: Address) -> bytes:
    """Give the /24 or /48 that an address lies in, as the key of shares."""
    return address[:3] if len(address) == 4 else address[:6]


class _Crowd(Generic[K]):
    """The keys of one network that has reached its share, common and kept, each eldest first."""

    __slots__ = ("common", "kept")

    def __init__(self, common: dict[K, None], kept: dict[K, None]) -> None:
        self.common = common
        self.kept = kept


class Table(Generic[K, V]):
    """A mapping of at most `most` entries, of which one neighbourhood holds at most `share`.

    `evicted` counts entries that had to go before their time; `crowded` those of them that their own network evicted.
    Order is that of insertion; `touch` makes an entry the youngest. A full table makes room for a few entries at once
    (one in 512): the first of a dict is found by walking over all that were taken out before it.

    Of most networks only the number of entries is known: a flood from a million networks must not cost a container for
    each. Which entries a network has is looked up when it reaches its share, and kept until it is down to half of it,
    so that a look through the table comes after many insertions, whatever the order of events.
    """

    __slots__ = ("_common", "_counts", "_crowds", "_kept", "crowded", "evicted", "most", "share")

    def __init__(self, most: int, share: int = 0) -> None:
        self.most = most
        self.share = share or most
        self.evicted = 0
        self.crowded = 0
        self._common: dict[K, tuple[V, bytes]] = {}
        self._kept: dict[K, tuple[V, bytes]] = {}
        self._counts: dict[bytes, int] = {}
        self._crowds: dict[bytes, _Crowd[K]] = {}

    def __len__(self) -> int:
        return len(self._common) + len(self._kept)

    def __contains__(self, key: K) -> bool:
        return key in self._common or key in self._kept

    def __iter__(self) -> Iterator[K]:
        yield from self._kept
        yield from self._common

    def get(self, key: K) -> V | None:
        """Give the value, without making it younger."""
        found = self._common.get(key)
        if found is None:
            if not self._kept:
                return None
            found = self._kept.get(key)
            if found is None:
                return None
        return found[0]

    def values(self) -> Iterator[V]:
        """Go through all values, kept ones first."""
        for value, _ in self._kept.values():
            yield value
        for value, _ in self._common.values():
            yield value

    def put(self, key: K, value: V, owner: Address) -> None:
        """Insert or replace; `owner` is the address that the entry's place is counted against."""
        common, kept = self._common, self._kept
        held = common.get(key)
        if held is not None:
            common[key] = (value, held[1])
            return
        if kept:
            held = kept.get(key)
            if held is not None:
                kept[key] = (value, held[1])
                return
        home = owner[:3] if len(owner) == 4 else owner[:6]
        counts = self._counts
        count = counts.get(home, 0)
        if count >= self.share:
            self.crowded += 1
            self._evict(self._eldest(home))
            count = counts.get(home, 0)
        counts[home] = count + 1
        common[key] = (value, home)
        if home in self._crowds:
            self._crowds[home].common[key] = None
        if len(common) + len(kept) > self.most:
            self._make_room()

    def renew(self, key: K, value: V, owner: Address) -> None:
        """Insert or replace, and make the entry the youngest of its kind."""
        kind = self._common
        held = kind.pop(key, None)
        if held is None and self._kept:
            kind = self._kept
            held = kind.pop(key, None)
        if held is None:
            self.put(key, value, owner)
            return
        kind[key] = (value, held[1])
        if self._crowds:
            self._touch_in_crowd(key, held[1])

    def keep(self, key: K) -> None:
        """Move an entry among the kept ones; no effect when it is not there."""
        held = self._common.pop(key, None)
        if held is None:
            return
        self._kept[key] = held
        crowd = self._crowds.get(held[1])
        if crowd is not None:
            del crowd.common[key]
            crowd.kept[key] = None

    def touch(self, key: K) -> None:
        """Make an entry the youngest of its kind; no effect when it is not there."""
        kind = self._common
        held = kind.pop(key, None)
        if held is None and self._kept:
            kind = self._kept
            held = kind.pop(key, None)
        if held is not None:
            kind[key] = held
            if self._crowds:
                self._touch_in_crowd(key, held[1])

    def _touch_in_crowd(self, key: K, home: bytes) -> None:
        crowd = self._crowds.get(home)
        if crowd is not None:
            keys = crowd.common if key in crowd.common else crowd.kept
            del keys[key]
            keys[key] = None

    def pop(self, key: K) -> V | None:
        """Take an entry out and give its value, None when it is not there."""
        held = self._common.pop(key, None) or self._kept.pop(key, None)
        if held is None:
            return None
        value, home = held
        count = self._counts[home] - 1
        if count:
            self._counts[home] = count
        else:
            del self._counts[home]
        crowd = self._crowds.get(home)
        if crowd is not None:
            crowd.common.pop(key, None)
            crowd.kept.pop(key, None)
            if count <= self.share // 2:
                del self._crowds[home]
        return value

    def eldest(self) -> V | None:
        """Give the oldest common entry's value, else the oldest kept one's; None when empty."""
        for kind in (self._common, self._kept):
            for value, _ in kind.values():
                return value
        return None

    def _eldest(self, home: bytes) -> K:
        """Find the one of a crowded network to go: its oldest common entry, else its oldest."""
        crowd = self._crowds.get(home)
        if crowd is None:
            common, kept = ({key: None for key, (_, at) in kind.items() if at == home} for kind in self._kinds())
            crowd = self._crowds[home] = _Crowd(common, kept)
        return next(iter(crowd.common or crowd.kept))

    def _make_room(self) -> None:
        """Evict the eldest, common ones first, but never the one that has just come if others are left."""
        victims = self._common if len(self._common) > 1 or not self._kept else self._kept
        for key in tuple(islice(victims, min(len(victims) - 1, self.most // 512) or 1)):
            self._evict(key)

    def _kinds(self) -> tuple[dict[K, tuple[V, bytes]], dict[K, tuple[V, bytes]]]:
        return self._common, self._kept

    def _evict(self, key: K) -> None:
        self.evicted += 1
        self.pop(key)
