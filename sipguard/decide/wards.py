"""Accounts under quarantine or under a shield, and accounts of one place under quarantine. What the gate asks.

A quarantine takes calls away from an account, or from an account as used from one place; it never touches a REGISTER.
A shield takes an account away from everybody but the places it has registered from. Each ends by time or by order.

An operator knows accounts by name: an `Account` without a realm stands for all that are called so, whoever they are and
also when the first of them turns up later. Only he puts those under quarantine, so nobody else's can push them out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TypeAlias

from sipguard.address import Network
from sipguard.model import EVERY_OTHER, Account, DecisionVerdict, Instant, Pair
from sipguard.table import Table

Ward: TypeAlias = Account | Pair

_ANYWHERE = b"\0\0\0\0"
_NAMED_MOST = 10_000
_NOT: tuple[Instant, bool] = (0, False)


class Wards:
    """What is in force, by subject; at most `most` of each kind, of which the oldest goes first."""

    __slots__ = ("_due", "_named", "_pushed", "_quarantined", "_shielded")

    def __init__(self, most: int) -> None:
        # until when, and whether trust is withheld
        self._quarantined: Table[Ward, tuple[Instant, bool]] = Table(most, most)
        self._named: Table[Ward, tuple[Instant, bool]] = Table(_NAMED_MOST, _NAMED_MOST)
        self._shielded: Table[Account, Instant] = Table(most, most)
        self._due: list[tuple[Instant, int, Ward]] = []  # the number between keeps an account from being compared
        self._pushed = 0

    def quarantine(self, ward: Ward, until: Instant, *, doubted: bool) -> None:
        """Put an account, or an account of one place, under quarantine until then.

        `doubted`: somebody else has the password, so registering earns no trust; once so, it is till the end.
        """
        table = self._table(ward)
        doubted = doubted or (table.get(ward) or _NOT)[1]
        table.put(ward, (until, doubted), ward.network.address if isinstance(ward, Pair) else _ANYWHERE)
        self._push(until, ward)

    def shield(self, account: Account, until: Instant) -> None:
        """Put an account under a shield until then."""
        self._shielded.put(account, until, _ANYWHERE)
        self._push(until, account)

    def release(self, ward: Ward) -> bool:
        """End every quarantine and shield of a subject; False when there was none."""
        released = self._table(ward).pop(ward) is not None
        return (not isinstance(ward, Pair) and self._shielded.pop(ward) is not None) or released

    def quarantined(self, ward: Ward) -> bool:
        """Tell whether a subject itself is under quarantine."""
        return ward in self._table(ward)

    def holds(self, account: Account, place: Network, *, healthy: bool) -> bool:
        """Tell whether a call of an account from a place is to be refused; `healthy`: it stands registered there."""
        if account in self._quarantined or Pair(place, account) in self._quarantined:
            return True
        if len(self._named) and self._by_name(account) != _NOT:
            return True
        return not healthy and Pair(place, EVERY_OTHER) in self._quarantined

    def doubts(self, account: Account, place: Network, *, trusted: bool) -> bool:
        """Tell whether a registration is to earn no trust; `trusted`: the account stands trusted there already.

        An account that was found out as a whole keeps the trust it had where it had it: that is its owner's.
        """
        of_all = not trusted and ((self._quarantined.get(account) or _NOT)[1] or self._by_name(account)[1])
        return of_all or (self._quarantined.get(Pair(place, account)) or _NOT)[1]

    def shielded(self, account: Account) -> bool:
        """Tell whether an account is under a shield."""
        return account in self._shielded

    def all(self) -> Iterator[tuple[DecisionVerdict, Ward, Instant]]:
        """Go through all that is in force, with its ends."""
        for table in (self._quarantined, self._named):
            for ward in table:
                yield DecisionVerdict.QUARANTINE, ward, self.quarantined_until(ward)
        for account in self._shielded:
            yield DecisionVerdict.SHIELD, account, self._shielded.get(account) or 0

    def of(self, whose: Network | str) -> list[Ward]:
        """List what is in force on the accounts of a name, wherever, or on accounts as used from within a network."""
        found = dict.fromkeys(ward for _, ward, _ in self.all())
        if isinstance(whose, str):
            name = whose.casefold()
            return [ward for ward in found if name in _account(ward).called() and _account(ward) != EVERY_OTHER]
        return [ward for ward in found if isinstance(ward, Pair) and whose.covers(ward.network.address)]

    def over(self, account: Account) -> list[Account]:
        """List the names under quarantine that an account, also one known by name alone, is called by."""
        return [name for each in account.called() if (name := Account(each, "")) in self._named]

    def quarantined_until(self, ward: Ward) -> Instant:
        """Give the end of a subject's own quarantine, 0 when it is under none."""
        return (self._table(ward).get(ward) or _NOT)[0]

    def shielded_until(self, account: Account) -> Instant:
        """Give the end of an account's shield, 0 when it is under none."""
        return self._shielded.get(account) or 0

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which one may end."""
        return self._due[0][0] if self._due else None

    def advance(self, now: Instant) -> None:
        """End what has run out."""
        while self._due and self._due[0][0] <= now:
            until, _, ward = heapq.heappop(self._due)
            if self.quarantined_until(ward) == until:
                self._table(ward).pop(ward)
            if not isinstance(ward, Pair) and self._shielded.get(ward) == until:
                self._shielded.pop(ward)

    def counters(self) -> dict[str, int]:
        """Give how many there are."""
        return {"quarantined": len(self._quarantined) + len(self._named), "shielded": len(self._shielded)}

    def _table(self, ward: Ward) -> Table[Ward, tuple[Instant, bool]]:
        return self._quarantined if isinstance(ward, Pair) or ward.realm else self._named

    def _by_name(self, account: Account) -> tuple[Instant, bool]:
        """Give the quarantine of the first name that an account is called by and that is under one."""
        for each in account.called() if len(self._named) else ():
            found = self._named.get(Account(each, ""))
            if found is not None:
                return found
        return _NOT

    def _push(self, until: Instant, ward: Ward) -> None:
        self._pushed += 1
        heapq.heappush(self._due, (until, self._pushed, ward))
        if len(self._due) > 4 * (self._quarantined.most + len(self._named)):
            self._due = [(end, number, each) for number, (_, each, end) in enumerate(self.all())]
            heapq.heapify(self._due)


def _account(ward: Ward) -> Account:
    return ward.account if isinstance(ward, Pair) else ward
