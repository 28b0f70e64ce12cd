"""A bounded mapping for what traffic can grow: a cap, an eviction order, a counter, a share for each network.

Every table that a packet can add to is one of these. Entries are *common* (anybody can cause them) or *kept* (a proof
stands behind them); the oldest common entry goes first, a kept one only when nothing common is left. No single network
(/24 in IPv4, /48 in IPv6) holds more than its share: past it, that network evicts its own, so that a flood from one
place cannot push out what others have earned.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from sipguard.address import Address, Network

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def neighbourhood(address: Address) -> bytes:
    """Give the /24 or /48 that an address, or the key of a sender, lies in, as the key of shares."""
    return address[:3] if len(address) == 4 else address[:6]


def neighbourhood_of(network: Network) -> bytes:
    """Give the /24 or /48 of a network that stands for one sender (`address.subject_of`)."""
    return neighbourhood(network.address)


class _Crowd(Generic[K]):
    """The keys of one network that has reached its share, common and kept, each eldest first."""

    __slots__ = ("common", "kept")

    def __init__(self, common: dict[K, None], kept: dict[K, None]) -> None:
        self.common = common
        self.kept = kept


class Table(Generic[K, V]):
    """A mapping of at most `most` entries, of which one neighbourhood holds at most `share`.

    `home` tells from a key which neighbourhood it is counted in, where it can; where it cannot, that is noted for each
    entry. A table without a share counts nothing. With a share of all of it, what one owner has goes one at a time.

    `evicted` counts entries that had to go before their time; `crowded` those of them that their own network evicted.
    Order is that of insertion; `touch` makes an entry the youngest. A full table makes room for a few entries at once
    (one in 512): the first of a dict is found by walking over all that were taken out before it.

    Of most networks only the number of entries is known: a flood from a million networks must not cost a container for
    each. Which entries a network has is looked up when it reaches its share, and kept until it is down to half of it,
    so that a look through the table comes after many insertions, whatever the order of events.
    """

    __slots__ = ("_common", "_counts", "_crowds", "_home", "_homes", "_kept", "crowded", "evicted", "most", "share")

    def __init__(self, most: int, share: int = 0, home: Callable[[K], bytes] | None = None) -> None:
        self.most = most
        self.share = share
        self.evicted = 0
        self.crowded = 0
        self._common: dict[K, V] = {}
        self._kept: dict[K, V] = {}
        self._home = home
        self._homes: dict[K, bytes] = {}
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
        if found is None and self._kept:
            return self._kept.get(key)
        return found

    def values(self) -> Iterator[V]:
        """Go through all values, kept ones first."""
        yield from self._kept.values()
        yield from self._common.values()

    def put(self, key: K, value: V, owner: Address) -> None:
        """Insert or replace; `owner` is the address that the entry's place is counted against."""
        common, kept = self._common, self._kept
        if key in common:
            common[key] = value
            return
        if kept and key in kept:
            kept[key] = value
            return
        if self.share:
            self._settle(key, owner[:3] if len(owner) == 4 else owner[:6])
        common[key] = value
        if len(common) + len(kept) > self.most:
            self._make_room()

    def _settle(self, key: K, home: bytes) -> None:
        """Count a new entry against its network, of which another goes if it has its share."""
        counts = self._counts
        count = counts.get(home, 0)
        if count >= self.share:
            self.crowded += 1
            self._evict(self._eldest(home))
            count = counts.get(home, 0)
        counts[home] = count + 1
        if self._home is None:
            self._homes[key] = home
        if self._crowds:
            crowd = self._crowds.get(home)
            if crowd is not None:
                crowd.common[key] = None

    def renew(self, key: K, value: V, owner: Address) -> None:
        """Insert or replace, and make the entry the youngest of its kind."""
        kind = self._kind(key)
        if kind is None:
            self.put(key, value, owner)
            return
        del kind[key]
        kind[key] = value
        if self._crowds:
            self._touch_in_crowd(key)

    def keep(self, key: K) -> None:
        """Move an entry among the kept ones; no effect when it is not there."""
        if key not in self._common:
            return
        self._kept[key] = self._common.pop(key)
        crowd = self._crowds.get(self._home_of(key)) if self._crowds else None
        if crowd is not None:
            del crowd.common[key]
            crowd.kept[key] = None

    def touch(self, key: K) -> None:
        """Make an entry the youngest of its kind; no effect when it is not there."""
        kind = self._kind(key)
        if kind is not None:
            kind[key] = kind.pop(key)
            if self._crowds:
                self._touch_in_crowd(key)

    def pop(self, key: K) -> V | None:
        """Take an entry out and give its value, None when it is not there."""
        kind = self._kind(key)
        if kind is None:
            return None
        value = kind.pop(key)
        if self.share:
            self._leave(key)
        return value

    def _leave(self, key: K) -> None:
        """Count an entry that is gone no longer against its network."""
        home = self._home_of(key)
        if self._home is None:
            del self._homes[key]
        count = self._counts[home] - 1
        if count:
            self._counts[home] = count
        else:
            del self._counts[home]
        crowd = self._crowds.get(home) if self._crowds else None
        if crowd is not None:
            crowd.common.pop(key, None)
            crowd.kept.pop(key, None)
            if count <= self.share // 2:
                del self._crowds[home]

    def eldest(self) -> V | None:
        """Give the oldest common entry's value, else the oldest kept one's; None when empty."""
        for kind in (self._common, self._kept):
            for value in kind.values():
                return value
        return None

    def _kind(self, key: K) -> dict[K, V] | None:
        """Find where an entry is; None when it is not here."""
        if key in self._common:
            return self._common
        return self._kept if self._kept and key in self._kept else None

    def _home_of(self, key: K) -> bytes:
        return self._homes[key] if self._home is None else self._home(key)

    def _touch_in_crowd(self, key: K) -> None:
        crowd = self._crowds.get(self._home_of(key))
        if crowd is not None:
            keys = crowd.common if key in crowd.common else crowd.kept
            del keys[key]
            keys[key] = None

    def _eldest(self, home: bytes) -> K:
        """Find the one of a crowded network to go: its oldest common entry, else its oldest."""
        crowd = self._crowds.get(home)
        if crowd is None:
            common, kept = (
                {key: None for key in kind if self._home_of(key) == home} for kind in (self._common, self._kept)
            )
            crowd = self._crowds[home] = _Crowd(common, kept)
        return next(iter(crowd.common or crowd.kept))

    def _make_room(self) -> None:
        """Evict the eldest, common ones first, but never the one that has just come if others are left."""
        victims = self._common if len(self._common) > 1 or not self._kept else self._kept
        for key in tuple(islice(victims, min(len(victims) - 1, self.most // 512) or 1)):
            self._evict(key)

    def _evict(self, key: K) -> None:
        self.evicted += 1
        self.pop(key)
