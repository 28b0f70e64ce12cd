"""Who is registered from where, until when. Only an authenticated REGISTER that the PBX accepted comes in here.

RFC 3261 section 10. One entry per account and source address (an IPv6 one stands for its /64): a device that
re-registers from the same place moves the end of its entry, whatever port or contact it uses.

A registration is *shown* where only whoever holds the address can have made it. What goes to a place that nobody has
shown may go to a carrier in whose name somebody registered: it is a phone's call only if it asks for what no carrier
would connect (`calls`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

from sipguard.address import Address, Network, packed, subject_of
from sipguard.call import Called, NumberClass
from sipguard.event import Event, Registered, Unregistered
from sipguard.model import SECOND, Account, Instant, Trust
from sipguard.sip.uri import parse_uri, user_of
from sipguard.table import Table, neighbourhood_of

_K = TypeVar("_K")
_M = TypeVar("_M")
_V = TypeVar("_V")

_USER = 64
_NAMED = 64  # registrations that are known under one name, the latest; and of one account, of those not shown
_UNSHOWN = 32
"""Places at most from which one account stands registered without having shown any of them."""
_AT_HOME = 64  # registrations whose contacts are at one place, elsewhere than their senders; the latest
_WAITING = 4  # ends that wait for each registration that there may be; two of each are in force at most
LONGEST = 7 * 24 * 3600
"""Seconds; no PBX lets a registration stand longer, and no message may make us remember longer."""


class _Entry:
    __slots__ = ("home", "shown", "source", "until", "user")

    def __init__(self, source: Address, until: Instant, contact: bytes, shown: Instant) -> None:
        self.source = source
        self.until = until
        self.user = user_of(contact)[:_USER]  # what the PBX calls there
        self.home = _home_of(contact, source)  # where the contact is, if elsewhere
        self.shown = shown  # until when the one who holds the address is known to have registered


class Registrations:
    """The registrations in force; when full the oldest goes, without an event: its trust ends in the kernel by time."""

    __slots__ = ("_due", "_homes", "_names", "_now", "_places", "_table", "_unshown", "surplus")

    def __init__(self, most: int) -> None:
        self._places: Table[Network, dict[Account, Instant]] = Table(most, most // 2, neighbourhood_of)
        self._homes: Table[Network, dict[tuple[Account, Network], None]] = Table(most, most // 2, neighbourhood_of)
        self._table: Table[tuple[Account, Network], _Entry] = Table(most, most // 2)
        self._names: Table[str, dict[tuple[Account, Network], Instant]] = Table(most, most // 2)
        # Of each account those places that whoever holds them has not shown for as long as it stands there.
        self._unshown: Table[Account, dict[Network, None]] = Table(most, most // 2)
        self._due: list[tuple[Instant, Account, Network]] = []
        self._now: Instant = 0
        self.surplus = 0

    def restore(self, trust: Sequence[Trust]) -> None:
        """Take up what was in force before a restart."""
        for each in trust:
            contact = each.contact.encode("latin-1", "replace")
            self._put(
                each.account, each.network, each.network.address, each.until, contact, min(each.shown, each.until)
            )

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
        bound: bool = True,
    ) -> Event:
        """Put a registration in place for `expires` seconds, or take it back with 0; gives the event of it.

        `bound`: what proves its sender cannot have been got elsewhere. One account stands in `_UNSHOWN` places that
        nobody has shown, and in no more: whoever writes other senders must not push out what others have earned.
        """
        place = subject_of(source)
        self._now = max(self._now, at)
        if expires <= 0:
            self._abandon((account, place))
            self._table.pop((account, place))
            self._leave(account, place)
            return Unregistered(at, source, account)
        until = at + min(expires, LONGEST) * SECOND
        known = self._table.get((account, place))
        shown = until if proven and bound else 0 if known is None else min(known.shown, until)
        surplus = known is None and not shown and self._count_unshown(account) >= _UNSHOWN
        if surplus:
            self.surplus += 1
        else:
            self._put(account, place, source, until, contact, shown)
        return Registered(at, source, account, contact, until, agent, proven=proven, shown=shown, surplus=surplus)

    def stands(self, source: Address, account: Account) -> bool:
        """Tell whether an account is registered from a source."""
        return (account, subject_of(source)) in self._table

    def any_at(self, source: Address) -> bool:
        """Tell whether any account is registered from a source, shown or not."""
        return subject_of(source) in self._places

    def shown_until(self, place: Network) -> Instant:
        """Give until when a place is known to be a device's: nobody else can have registered there; 0 when it is not.

        What has passed means no longer.
        """
        accounts = self._places.get(place)
        return max(accounts.values()) if accounts else 0

    def shown_at(self, source: Address) -> bool:
        """Tell whether a place is known now to be a device's."""
        return self.shown_until(subject_of(source)) > self._now

    def knows(self, target: Address) -> bool:
        """Tell whether any account is registered from an address, or has its contact there."""
        place = subject_of(target)
        return place in self._places or place in self._homes

    def calls(self, target: Address, uri: bytes, called: Called) -> bool:
        """Tell whether what is sent to an address asks for a phone that is registered, or has its contact, there.

        Anybody can have registered so who has a password. So what is asked for must be the very name of that account,
        which only the operator gives, or a contact that is no number: who asks a carrier for either spends nothing.
        """
        place, user, name = subject_of(target), user_of(uri)[:_USER], _name_of(uri)
        nobody = called.kind is NumberClass.EXTENSION or called.is_name()
        for account, entry in chain(self._from(place), self._with_contact(place)):
            if name in account.called() or (user == entry.user and (nobody or _is_made_of(user, account, called))):
                return True
        return False

    def _from(self, place: Network) -> Iterator[tuple[Account, _Entry]]:
        for account in self._places.get(place) or ():
            entry = self._table.get((account, place))
            if entry is not None:
                yield account, entry

    def _with_contact(self, place: Network) -> Iterator[tuple[Account, _Entry]]:
        for key in self._homes.get(place) or ():
            entry = self._table.get(key)
            if entry is not None and entry.home == place:
                yield key[0], entry

    def _count_unshown(self, account: Account) -> int:
        """Count the places that an account is registered from, and that nobody has shown."""
        return sum(self._is_unshown(account, place) for place in self._unshown.get(account) or ())

    def _is_unshown(self, account: Account, place: Network) -> bool:
        entry = self._table.get((account, place))
        return entry is not None and entry.shown <= self._now

    def called(self, source: Address, uri: bytes) -> Account | None:
        """Give the account that the PBX calls by a URI at an address; None where there is none, or several.

        One with a contact there counts only where nobody is registered from there: anybody can name another's place.
        """
        place, user = subject_of(source), user_of(uri)[:_USER]
        there = self._from(place) if place in self._places else self._with_contact(place)
        found = {account for account, entry in there if user in (entry.user, account.username.encode())}
        return found.pop() if len(found) == 1 else None

    def named(self, username: str) -> Account | None:
        """Give the account of a name, wherever it is registered from; None for none, and for several realms."""
        known = self._names.get(username)
        found = {account for (account, _), until in known.items() if until > self._now} if known else set()
        return found.pop() if len(found) == 1 else None

    def all(self) -> Iterator[tuple[Account, Network, Instant]]:
        """Go through the registrations in force, each with the instant at which it runs out."""
        for account, place in self._table:
            entry = self._table.get((account, place))
            if entry is not None:
                yield account, place, entry.until

    def _put(
        self, account: Account, place: Network, source: Address, until: Instant, contact: bytes, shown: Instant
    ) -> None:
        key, entry = (account, place), _Entry(source, until, contact, shown)
        self._abandon(key)
        self._table.renew(key, entry, source)
        accounts = self._places.get(place)
        if accounts is None:
            accounts = {}
            self._places.put(place, accounts, source)
        accounts[account] = shown
        _enter(self._names, account.username, key, until, _NAMED, source)
        if shown < until:
            self._note_unshown(account, place, source)
        else:
            self._forget_unshown(account, place)
        if entry.home is not None:
            _enter(self._homes, entry.home, key, None, _AT_HOME, entry.home.address)
        if shown:
            self._table.keep(key)
            self._places.keep(place)
            self._names.keep(account.username)
        heapq.heappush(self._due, (until, account, place))
        if 0 < shown < until:
            heapq.heappush(self._due, (shown, account, place))  # somebody is to look at the clock then
        if len(self._due) > _WAITING * self._table.most:
            self._tidy()

    def _tidy(self) -> None:
        """Begin the heap anew from what is in force; what had to go leaves its place."""
        for _, account, place in self._due:
            if (account, place) not in self._table:
                self._leave(account, place)
        live = [(key, entry) for key in self._table if (entry := self._table.get(key)) is not None]
        self._due = [(entry.until, *key) for key, entry in live]
        self._due += [(entry.shown, *key) for key, entry in live if 0 < entry.shown < entry.until]
        heapq.heapify(self._due)

    def _note_unshown(self, account: Account, place: Network, source: Address) -> None:
        """Note a place, in the stead of one that is gone or yet shown where there are many, else of the eldest."""
        places = self._unshown.get(account)
        if places is None:
            self._unshown.put(account, {place: None}, source)
            return
        places.pop(place, None)
        if len(places) >= _NAMED:
            others = (each for each in places if not self._is_unshown(account, each))
            del places[next(others, next(iter(places)))]
        places[place] = None

    def _forget_unshown(self, account: Account, place: Network) -> None:
        places = self._unshown.get(account)
        if places is not None and place in places:
            del places[place]
            if not places:
                self._unshown.pop(account)

    def _abandon(self, key: tuple[Account, Network]) -> None:
        """Forget where the contact of a registration was."""
        entry = self._table.get(key)
        keys = None if entry is None or entry.home is None else self._homes.get(entry.home)
        if entry is not None and entry.home is not None and keys is not None:
            keys.pop(key, None)
            if not keys:
                self._homes.pop(entry.home)

    def _leave(self, account: Account, place: Network) -> None:
        self._forget_unshown(account, place)
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
            if entry is None:  # it had to go before its time
                self._leave(account, place)
            elif entry.until <= until:
                self._abandon((account, place))
                self._table.pop((account, place))
                self._leave(account, place)
                found.append(Unregistered(until, entry.source, account))
        return found

    def counters(self) -> dict[str, int]:
        """Give the fill, the evictions, and how many were one too many of an account that shows no place."""
        return {
            "registrations": len(self._table),
            "registrations_evicted": self._table.evicted,
            "registrations_surplus": self.surplus,
            "registrations_unshown": len(self._unshown),
            "registrations_unshown_evicted": self._unshown.evicted,
        }


def _enter(table: Table[_K, dict[_M, _V]], key: _K, member: _M, value: _V, most: int, source: Address) -> None:
    """Note a member of what is known under a key, as the latest; of more than `most` the eldest goes."""
    known = table.get(key)
    if known is None:
        table.put(key, {member: value}, source)
        return
    known.pop(member, None)
    if len(known) >= most:
        del known[next(iter(known))]
    known[member] = value


def _home_of(contact: bytes, source: Address) -> Network | None:
    """Give the place of a contact; None for its sender's own, and for a name that only the PBX looks up."""
    uri = parse_uri(contact)
    address = None if uri is None else packed(uri.host)
    if address is None or subject_of(address) == subject_of(source):
        return None
    return subject_of(address)


def _name_of(uri: bytes) -> str:
    """Give whom a URI names, with all that belongs to the user: what follows a ";" may lead elsewhere (RFC 4694)."""
    read = parse_uri(uri)
    if read is None or read.scheme not in ("sip", "sips"):
        return "?"
    return read.user.decode("utf-8", "replace").casefold() or "?"


def _is_made_of(user: bytes, account: Account, called: Called) -> bool:
    """Tell whether a contact is the account's name with something behind it that makes it no number: 1001-0x55d2."""
    name = account.username.encode()
    if called.kind is not NumberClass.UNREADABLE or called.is_hidden() or not name or not user.startswith(name):
        return False
    return user[len(name) : len(name) + 1] in (b"-", b"_", b"~") and any(sign.isalpha() for sign in called.dialled)
