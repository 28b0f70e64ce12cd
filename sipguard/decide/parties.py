"""To whom a call belongs: its account's one name, the groups of that, the site; and whether it goes abroad. Pure.

Rules and limits ask here, so that nobody gets a second set of counters by writing his name another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from sipguard.address import Address
from sipguard.call import Call, Called
from sipguard.constraint import AccountName, Count, Described, Matching
from sipguard.model import Account

Label = Annotated[str, Matching(r"[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]{0,63})", "1 to 64 characters")]


@dataclass(frozen=True, slots=True)
class Group:
    """Accounts that rules and limits speak of together. One `[[group]]`."""

    name: Annotated[Label, Described("What rules, limits and reports call it; no other group has the same.")]
    accounts: Annotated[
        tuple[AccountName, ...], Count(1, 10_000), Described('Its accounts, as "1001" or "1001@example.net".')
    ]


def account_name(account: Account) -> str:
    """Give the one name under which an account is counted: the same for BOB and bob@example.net as for bob.

    The realm is the PBX's own word, so it tells accounts of two tenants apart and cannot be chosen by a caller.
    """
    name = account.username.casefold().partition("@")[0]
    return f"{name}@{account.realm.casefold()}" if account.realm else name


def is_peer(call: Call) -> bool:
    """Tell whether a mere name is called where no trunk is listed: a door, an intercom, a gateway, and no number."""
    return not call.trunk and call.called.is_name()


class Parties:
    """Knows the groups, and asks `site_of` for the name of the site that an address lies in ("" for none).

    `home` are the countries that are not abroad; where none is named nothing is known to be abroad.
    """

    __slots__ = ("_groups", "home", "site_of")

    def __init__(self, groups: Sequence[Group], site_of: Callable[[Address], str], home: Sequence[str] = ()) -> None:
        self.home = frozenset(home)
        self.site_of = site_of
        members: dict[str, dict[str, None]] = {}
        for group in groups:
            for account in group.accounts:
                members.setdefault(account.casefold(), {})[group.name] = None
        self._groups = {account: tuple(names) for account, names in members.items()}

    def groups(self, account: Account | None) -> tuple[str, ...]:
        """Name the groups of an account, each once, in the order of the policy for each way of writing it."""
        if account is None or not self._groups:
            return ()
        found: dict[str, None] = {}
        for called in account.called():
            found.update(dict.fromkeys(self._groups.get(called, ())))
        return tuple(found)

    def site(self, source: Address | None) -> str:
        """Name the site of an address, "" where there is none."""
        return "" if source is None else self.site_of(source)

    def abroad(self, called: Called) -> bool:
        """Tell whether a number is read as one of another country, or of none (satellites, global networks)."""
        return called.is_abroad(self.home)
