"""Which addresses are trusted, and until when. Trust is earned by registering, and by nothing else.

It comes from an authenticated REGISTER with a contact that lasts, and ends with the registration. It is withheld from
an address that lately failed on another account, or more than once on this one: whoever guesses and then gets it right
is not a friend. Failures that anybody could have sent in the address's name withhold nothing from a registration that
only its holder could have made. It is withheld as well where somebody else has the account's password, by all signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from sipguard.address import Network, subject_of
from sipguard.event import AuthFailed, Event, Recalled, Registered, Unregistered
from sipguard.model import HOUR, Account, Excuse, Instant, Span, Trust
from sipguard.table import Table, neighbourhood_of

PROBATION: Span = HOUR
"""How long a failure keeps trust away."""

_Failures: TypeAlias = tuple[
    tuple[Account, int, Instant], ...
]  # how often, and when last; a tuple is a third of a dict
_DOUBTED = 10_000  # places whose failures are remembered: the proven ones, and as many of those that anybody can cause
_ACCOUNTS = 4  # the latest; more need not be told apart
_FAILURES = 2
_OFFICE = 3
"""So many accounts that register without a failure make up for each that fails behind the same address."""

_UNTRUSTED = 64
_CONTACT = 256  # bytes of one that are kept


def blames(event: AuthFailed) -> bool:
    """Tell whether a rejected credential speaks against its sender.

    An old nonce excuses, but not one that was accepted for an account of the sender's and then used for another.
    """
    return event.excuse is Excuse.NONE or (event.excuse is Excuse.ACCEPTED and not event.registered)


class Doubts(Protocol):
    """Says whether an account's password is in wrong hands at a place; `trusted`: it stands trusted there."""

    def __call__(self, account: Account, place: Network, *, trusted: bool) -> bool: ...  # noqa: D102 - see above


class Trusts:
    """The trusted networks (an address, or a /64) with the registrations that stand behind each."""

    __slots__ = ("_doubts", "_failed", "_good", "_suspected", "_trusted", "withheld")

    def __init__(self, most: int, doubts: Doubts) -> None:
        self._doubts = doubts
        self._trusted: Table[Network, dict[Account, Instant]] = Table(most)
        doubted = min(most, _DOUBTED)
        self._failed: Table[Network, _Failures] = Table(doubted, doubted // 8, neighbourhood_of)  # by the holder
        self._suspected: Table[Network, _Failures] = Table(doubted, doubted // 8, neighbourhood_of)  # by whomever
        # Accounts that were kept from trust by others' failures alone: they speak for their place.
        self._good: Table[Network, dict[Account, Instant]] = Table(most, most // 8, neighbourhood_of)
        self.withheld = 0

    def restore(self, trust: Sequence[Trust]) -> None:
        """Take up what was trusted before a restart."""
        for each in trust:
            self._grant(each.network, each.account, each.until)

    def hear(self, event: Event) -> Trust | None:
        """Let an event give or take trust; what changed is what is returned."""
        if type(event) is AuthFailed:
            if blames(event):
                self._blame(event)
            return None
        if type(event) is Registered:
            place = subject_of(event.source)
            if event.surplus:
                self.withheld += 1
                return None
            if self._doubts(event.account, place, trusted=event.account in (self._trusted.get(place) or ())):
                self.withheld += 1
                return self._withdraw(place, event.account)
            doubtful = self._doubtful(self._failed, event, place)
            if doubtful or (not event.proven and self._doubtful(self._suspected, event, place)):
                self.withheld += 1
                return None
            self._good_no_more(place, event.account)
            self._grant(place, event.account, event.until)
            return Trust(place, event.account, event.until, event.shown, event.contact[:_CONTACT].decode("latin-1"))
        if type(event) is Unregistered:
            return self._withdraw(subject_of(event.source), event.account)
        return None

    def until(self, place: Network) -> Instant:
        """Give the instant up to which a place is trusted, by its longest registration; 0 when it is not."""
        accounts = self._trusted.get(place)
        return max(accounts.values()) if accounts else 0

    def accounts(self, place: Network) -> frozenset[Account]:
        """Give the accounts that stand trusted at a place."""
        return frozenset(self._trusted.get(place) or ())

    def places(self) -> Sequence[tuple[Network, Instant]]:
        """List what is trusted, with its ends."""
        return [(place, self.until(place)) for place in self._trusted]

    def recalled(self, at: Instant) -> Iterator[Recalled]:
        """Tell of each registration that stands, as of `at`."""
        for place, until in self.places():
            for account in sorted(self.accounts(place)):
                yield Recalled(at, place.address, account, until)

    def _grant(self, place: Network, account: Account, until: Instant) -> None:
        accounts = self._trusted.get(place)
        if accounts is None:
            accounts = {}
            self._trusted.put(place, accounts, place.address)
        accounts[account] = until

    def _withdraw(self, place: Network, account: Account) -> Trust | None:
        accounts = self._trusted.get(place)
        if accounts is None or accounts.pop(account, None) is None:
            return None
        if not accounts:
            self._trusted.pop(place)
        return Trust(place, account, 0)

    def _blame(self, event: AuthFailed) -> None:
        place = subject_of(event.source)
        failed = self._failed if event.proven else self._suspected
        known = failed.get(place) or ()
        count = sum(count for who, count, at in known if who == event.account and event.at - at <= PROBATION)
        others = tuple(each for each in known if each[0] != event.account)[1 - _ACCOUNTS :]
        failed.put(place, (*others, (event.account, count + 1, event.at)), event.source)

    def _doubtful(self, failed: Table[Network, _Failures], event: Registered, place: Network) -> bool:
        known = failed.get(place)
        if known is None:
            return False
        recent = {who: count for who, count, last in known if event.at - last <= PROBATION}
        if not recent:
            failed.pop(place)
            return False
        if recent.get(event.account, 0) >= _FAILURES:
            return True
        others = [who for who in recent if who != event.account]
        trusted = self._trusted.get(place) or {}
        if not others or event.account in trusted:
            return False
        good = self._good.get(place)
        if good is None:
            good = {}
            self._good.put(place, good, event.source)
        good.pop(event.account, None)
        if event.account not in recent:
            good[event.account] = event.until
        for who in [who for who, until in good.items() if until <= event.at or who in recent]:
            del good[who]
        if len(good) > _UNTRUSTED:
            del good[next(iter(good))]
        return len(good) + sum(who not in recent for who in trusted) < _OFFICE * len(others)

    def _good_no_more(self, place: Network, account: Account) -> None:
        good = self._good.get(place)
        if good is not None and good.pop(account, None) is not None and not good:
            self._good.pop(place)

    def counters(self) -> dict[str, int]:
        """Give the fill, the evictions and how often trust was withheld."""
        return {
            "trusted": len(self._trusted),
            "trusted_evicted": self._trusted.evicted,
            "doubted": len(self._failed) + len(self._suspected),
            "doubted_evicted": self._failed.evicted + self._suspected.evicted,
            "trust_withheld": self.withheld,
        }
