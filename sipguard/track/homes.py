"""Where accounts have been trusted within the last days, also when that has run out: for those who begin anew.

When the power comes back, everybody registers at once, and nothing stands any more by which they could be known.
Whoever hears `Recalled` learns from here who was at home where. Nobody who guessed is remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from sipguard.address import Network
from sipguard.event import Recalled
from sipguard.lesson import About, Notes, hexed, rows_of, written
from sipguard.model import DAY, Account, Instant, Span
from sipguard.table import Table

MOST = 20_000
"""Accounts."""
EACH = 8
"""Places of one account."""
MEMORY: Span = 30 * DAY
"""The longest that anybody who hears of it remembers a device."""
_NOBODY = b"\0\0\0\0"


class Homes:
    """The last places of each account, and when that was noted; the account longest unseen goes first."""

    __slots__ = ("_accounts", "_notes")

    learns: ClassVar[str] = "homes"

    def __init__(self, notes: Notes, most: int = MOST) -> None:
        self._accounts: Table[Account, dict[Network, Instant]] = Table(most)
        self._notes = notes

    def trusted(self, at: Instant, account: Account, place: Network) -> None:
        """Note that an account is trusted at a place; once a day that is news."""
        places = self._accounts.get(account)
        if places is None:
            places = {}
        elif at - places.get(place, at - DAY) < DAY:
            return
        places.pop(place, None)
        if len(places) >= EACH:
            del places[next(iter(places))]
        places[place] = at
        self._accounts.renew(account, places, _NOBODY)
        self._notes.note(self.learns, account)

    def recalled(self, now: Instant) -> list[Recalled]:
        """Tell of each place as of when it was noted, in that order; none of them is said to stand any more."""
        known = ((account, self._accounts.get(account) or {}) for account in self._accounts)
        found = [
            Recalled(at, place.address, account, at)
            for account, places in known
            for place, at in places.items()
            if at > now - MEMORY
        ]
        return sorted(found, key=lambda each: each.at)

    # --- What is kept -------------------------------------------------------------------------------------------------

    def known(self) -> Iterator[About]:
        """Go through the accounts, the longest not seen first."""
        return ((account, "") for account in self._accounts)

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write the places of an account, and how long ago it was there."""
        places = self._accounts.get(account)
        if not places or topic:
            return ""
        return written([(hexed(place.address), str(place.prefix), str(at - then)) for place, then in places.items()])

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        places: dict[Network, Instant] = {}
        for address, prefix, ago in rows_of(text):
            place = Network(bytes.fromhex(address), int(prefix))
            if topic or len(place.address) not in {4, 16} or int(ago) < 0 or len(places) >= EACH:
                raise ValueError("no places")
            places[place] = at - int(ago)
        self._accounts.renew(account, places, _NOBODY)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"homes": len(self._accounts), "homes_evicted": self._accounts.evicted}
