"""Networks per account: right credentials from a network that the account does not belong to.

What it sees
    A credential that the PBX accepted, of an account for which the policy lists networks, from an address outside them.
    Told once an hour for each account and place, and not while it is under quarantine there. The account is judged as
    used from there and is untouched elsewhere: under "quarantine" it may not place calls from there, and its phone at
    home goes on.

Why it matters
    The password is right, so nothing else will stop whoever has it. A desk phone never moves: its account, used from
    another network, is in the wrong hands.

Known false alarms
    A phone that was taken home. A site whose address has changed. An IPv6 address stands for its /64.

Ways around it
    Calling through a host inside the listed networks. Accounts that nobody lists. The first answered call of somebody
    who never registers is seen when it is answered.

Options
    enabled, account, pairs, then

References
    RFC 3261 section 22 (credentials), RFC 4632 (networks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.address import Address, Network, subject_of
from sipguard.constraint import AccountName, Between, Count, Described
from sipguard.event import AuthSucceeded, Event
from sipguard.model import HOUR, Account, Consequence, Finding, Instant, Pair
from sipguard.netset import NetSet
from sipguard.table import Table

NAME = "accountnets"
_NOTHING: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountNetworks:
    """The networks that one account belongs to."""

    name: Annotated[AccountName, Described('The account, as "1001", or with its realm as "1001@example.net".')]
    networks: Annotated[tuple[Network, ...], Count(1, 1000), Described("The networks it may be used from")]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.accountnets]`."""

    enabled: Annotated[bool, Described("Whether accounts are held to their networks")] = True
    account: Annotated[
        tuple[AccountNetworks, ...], Count(0, 10_000), Described("The networks that one account belongs to")
    ] = ()
    pairs: Annotated[int, Between(100, 1_000_000), Described("The most accounts and places remembered at once")] = (
        10_000
    )
    then: Annotated[Consequence, Described("What becomes of the account as used from elsewhere")] = (
        Consequence.QUARANTINE
    )


class Detector:
    """Compares each accepted credential with the list. Wants no events when nothing is listed."""

    __slots__ = ("_listed", "_told", "handlers")

    def __init__(self, config: Config) -> None:
        networks: dict[str, list[Network]] = {}
        for each in config.account:
            networks.setdefault(each.name.casefold(), []).extend(each.networks)
        self._listed = {name: NetSet(dict.fromkeys(nets)) for name, nets in networks.items()}
        self._told: Table[Pair, Instant] = Table(config.pairs, config.pairs // 8)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = (
            {AuthSucceeded: self._succeeded} if networks else {}
        )

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if not self.elsewhere(event.account, event.source):
            return _NOTHING
        pair = Pair(subject_of(event.source), event.account)
        told = self._told.get(pair)
        if told is not None and event.at - told < HOUR:
            return _NOTHING
        self._told.renew(pair, event.at, event.source)
        evidence = (("account", str(event.account)), ("method", event.method), ("transport", str(event.transport)))
        return (Finding(event.at, NAME, pair, "elsewhere", 9, event.proven, evidence, (event.account,)),)

    def elsewhere(self, account: Account, address: Address) -> bool:
        """Tell whether an account is used from outside the networks that are listed for it."""
        listed = self._of(account)
        return listed is not None and not listed.covers(address)

    def _of(self, account: Account) -> NetSet | None:
        """Give the networks that are listed for an account, under the most exact of its names."""
        return next((self._listed[name] for name in account.called() if name in self._listed), None)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"accountnets_pairs": len(self._told), "accountnets_pairs_evicted": self._told.evicted}
