"""A bounded mapping for what traffic can grow: a cap, an eviction order, a counter, a share for each network.

Every table that a packet can add to is one of these. Entries are *common* (anybody can cause them) or *kept* (a proof
stands behind them); the oldest common entry goes first, a kept one only when nothing common is left. No single network
(/24 in IPv4, /48 in IPv6) holds more than its share: past it, that network evicts its own, so that a flood from one
place cannot push out what others have earned.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from sipguard.address import Address

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def neighbourhood(address: Address) -> bytes:
    """Give the /24 or /48 that an address lies in, as the key of shares."""
    return address[:3] if len(address) == 4 else address[:6]


class Table(Generic[K, V]):
    """A mapping of at most `most` entries, of which one neighbourhood holds at most `share`.

    `evicted` counts entries that had to go before their time; `crowded` those of them that their own network evicted.
    Order is that of insertion; `touch` makes an entry the youngest.
    """

    __slots__ = ("_common", "_kept", "_members", "crowded", "evicted", "most", "share")

    def __init__(self, most: int, share: int = 0) -> None:
        self.most = most
        self.share = share or most
        self.evicted = 0
        self.crowded = 0
        self._common: dict[K, tuple[V, bytes]] = {}
        self._kept: dict[K, tuple[V, bytes]] = {}
        self._members: dict[bytes, dict[K, None]] = {}

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
        held = self._kept.get(key)
        if held is not None:
            self._kept[key] = (value, held[1])
            return
        held = self._common.get(key)
        if held is not None:
            self._common[key] = (value, held[1])
            return
        home = owner[:3] if len(owner) == 4 else owner[:6]
        members = self._members.get(home)
        if members is None:
            self._members[home] = {key: None}
        else:
            if len(members) >= self.share:
                self.crowded += 1
                self._evict(self._eldest(members))
            members = self._members.setdefault(home, members)
            members[key] = None
        self._common[key] = (value, home)
        if len(self._common) + len(self._kept) > self.most:
            self._evict(next(iter(self._common if len(self._common) > 1 or not self._kept else self._kept)))

    def renew(self, key: K, value: V, owner: Address) -> None:
        """Insert or replace, and make the entry the youngest of its kind."""
        for kind in (self._common, self._kept):
            held = kind.pop(key, None)
            if held is not None:
                kind[key] = (value, held[1])
                members = self._members[held[1]]
                del members[key]
                members[key] = None
                return
        self.put(key, value, owner)

    def keep(self, key: K) -> None:
        """Move an entry among the kept ones; no effect when it is not there."""
        held = self._common.pop(key, None)
        if held is not None:
            self._kept[key] = held

    def touch(self, key: K) -> None:
        """Make an entry the youngest of its kind; no effect when it is not there."""
        for kind in (self._common, self._kept):
            held = kind.pop(key, None)
            if held is not None:
                kind[key] = held
                members = self._members[held[1]]
                del members[key]
                members[key] = None
                return

    def pop(self, key: K) -> V | None:
        """Take an entry out and give its value, None when it is not there."""
        held = self._common.pop(key, None) or self._kept.pop(key, None)
        if held is None:
            return None
        value, home = held
        members = self._members[home]
        del members[key]
        if not members:
            del self._members[home]
        return value

    def eldest(self) -> V | None:
        """Give the oldest common entry's value, else the oldest kept one's; None when empty."""
        for kind in (self._common, self._kept):
            for value, _ in kind.values():
                return value
        return None

    def _eldest(self, members: dict[K, None]) -> K:
        """Find the one of a crowded network to go: its oldest common entry among the first few, else its oldest."""
        for count, key in enumerate(members):
            if key in self._common:
                return key
            if count == 64:  # bounded work: a network full of kept entries gives up its oldest
                break
        return next(iter(members))

    def _evict(self, key: K) -> None:
        self.evicted += 1
        self.pop(key)
