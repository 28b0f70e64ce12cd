"""Who is registered from where, until when. Only an authenticated REGISTER that the PBX accepted comes in here.

RFC 3261 section 10. One entry per account and source address (an IPv6 one stands for its /64): a device that
re-registers from the same place moves the end of its entry, whatever port or contact it uses.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from sipguard.address import Address, Network, subject_of
from sipguard.event import Event, Registered, Unregistered
from sipguard.model import SECOND, Account, Instant, Trust
from sipguard.sip.uri import user_of
from sipguard.table import Table, neighbourhood_of

_USER = 64
_NAMED = 64  # registrations that are known under one name, the latest
LONGEST = 7 * 24 * 3600
"""Seconds; no PBX lets a registration stand longer, and no message may make us remember longer."""


class _Entry:
    __slots__ = ("source", "until", "user")

    def __init__(self, source: Address, until: Instant, user: bytes) -> None:
        self.source = source
        self.until = until
        self.user = user  # of the contact: what the PBX calls there


class Registrations:
    """The registrations in force; when full the oldest goes, without an event: its trust ends in the kernel by time."""

    __slots__ = ("_due", "_names", "_now", "_places", "_table")

    def __init__(self, most: int) -> None:
        self._places: Table[Network, dict[Account, Instant]] = Table(most, most // 2, neighbourhood_of)
        self._table: Table[tuple[Account, Network], _Entry] = Table(most, most // 2)
        self._names: Table[str, dict[tuple[Account, Network], Instant]] = Table(most, most // 2)
        self._due: list[tuple[Instant, Account, Network]] = []
        self._now: Instant = 0

    def restore(self, trust: Sequence[Trust]) -> None:
        """Take up what was in force before a restart."""
        for each in trust:
            self._put(each.account, each.network, each.network.address, each.until, b"")

    def registered(
        self,
        at: Instant,
        source: Address,
        account: Account,
        contact: bytes,
        expires: int,
        agent: bytes = b"",
        *,
        proven: bool,
    ) -> Event:
        """Put a registration in place for `expires` seconds, or take it back with 0; gives the event of it."""
        place = subject_of(source)
        self._now = max(self._now, at)
        if expires <= 0:
            self._table.pop((account, place))
            self._leave(account, place)
            return Unregistered(at, source, account)
        until = at + min(expires, LONGEST) * SECOND
        self._put(account, place, source, until, user_of(contact)[:_USER])
        return Registered(at, source, account, contact, until, agent, proven=proven)

    def stands(self, source: Address, account: Account) -> bool:
        """Tell whether an account is registered from a source."""
        return (account, subject_of(source)) in self._table

    def any_at(self, source: Address) -> bool:
        """Tell whether any account is registered from a source."""
        return subject_of(source) in self._places

    def called(self, source: Address, uri: bytes) -> Account | None:
        """Give the account that the PBX calls by a URI at an address; None where there is none, or several."""
        place, user = subject_of(source), user_of(uri)[:_USER]
        found = [each for each in self._places.get(place) or () if self._is_called(each, place, user)]
        return found[0] if len(found) == 1 else None

    def named(self, username: str) -> Account | None:
        """Give the account of a name, wherever it is registered from; None for none, and for several realms."""
        known = self._names.get(username)
        found = {account for (account, _), until in known.items() if until > self._now} if known else set()
        return found.pop() if len(found) == 1 else None

    def _is_called(self, account: Account, place: Network, user: bytes) -> bool:
        entry = self._table.get((account, place))
        return entry is not None and user in (entry.user, account.username.encode())

    def all(self) -> Iterator[tuple[Account, Network, Instant]]:
        """Go through the registrations in force, each with the instant at which it runs out."""
        for account, place in self._table:
            entry = self._table.get((account, place))
            if entry is not None:
                yield account, place, entry.until

    def _put(self, account: Account, place: Network, source: Address, until: Instant, user: bytes) -> None:
        key = (account, place)
        self._table.renew(key, _Entry(source, until, user), source)
        accounts = self._places.get(place)
        if accounts is None:
            accounts = {}
            self._places.put(place, accounts, source)
        accounts[account] = until
        self._name(key, until, source)
        heapq.heappush(self._due, (until, account, place))
        if len(self._due) > 2 * self._table.most:
            live = ((key, self._table.get(key)) for key in self._table)
            self._due = [(entry.until, key[0], key[1]) for key, entry in live if entry is not None]
            heapq.heapify(self._due)

    def _name(self, key: tuple[Account, Network], until: Instant, source: Address) -> None:
        username = key[0].username
        known = self._names.get(username)
        if known is None:
            self._names.put(username, {key: until}, source)
            return
        known.pop(key, None)
        if len(known) >= _NAMED:
            del known[next(iter(known))]
        known[key] = until

    def _leave(self, account: Account, place: Network) -> None:
        accounts = self._places.get(place)
        if accounts is not None and accounts.pop(account, None) is not None and not accounts:
            self._places.pop(place)
        known = self._names.get(account.username)
        if known is not None and known.pop((account, place), None) is not None and not known:
            self._names.pop(account.username)

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which a registration may run out."""
        return self._due[0][0] if self._due else None

    def advance(self, now: Instant) -> Sequence[Event]:
        """Let run out what is due."""
        self._now = max(self._now, now)
        found: list[Event] = []
        while self._due and self._due[0][0] <= now:
            until, account, place = heapq.heappop(self._due)
            entry = self._table.get((account, place))
            if entry is not None and entry.until <= until:
                self._table.pop((account, place))
                self._leave(account, place)
                found.append(Unregistered(until, entry.source, account))
        return found

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"registrations": len(self._table), "registrations_evicted": self._table.evicted}
