"""What numbers mean and cost under a policy: dial plans by site and trunk, the rate deck, whose an address is.

Asked by the tracker for each call; it counts and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from sipguard.address import Address
from sipguard.call import Call, Called, NumberClass, Rate
from sipguard.decide.dialled import Dialled
from sipguard.decide.exempt import Exempt
from sipguard.model import Rates, Role
from sipguard.numbering.plans import Plans
from sipguard.numbering.rates import Deck, unpack
from sipguard.numbering.target import Reason
from sipguard.numbering.world import the_world
from sipguard.policy.schema import Policy

_EMERGENCY = NumberClass.EMERGENCY


class Meanings:
    """Reads and prices. `trusts` tells whether a device is registered from an address."""

    __slots__ = ("_exempt", "_labels", "_plans", "_sites", "_trusts", "deck", "dialled")

    def __init__(self, policy: Policy, exempt: Exempt, trusts: Callable[[Address], bool]) -> None:
        self._exempt = exempt
        self._trusts = trusts
        self.deck: Deck | None = None
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Go by a policy from now on; the deck stays until another comes."""
        self._sites = frozenset([each.name for each in policy.sites])
        self._labels = {host: each.name for each in policy.sites for host in each.names}
        self._labels.update({host: each.name for each in policy.trunks for host in each.names})
        self.dialled = Dialled(policy.refuse, policy.numbering, [named.plan for named in policy.dialplans])
        self._plans = Plans(
            policy.numbering,
            {each.name: each.plan for each in policy.dialplans},
            trunks={each.name: each.dialplan for each in policy.trunks},
            sites={each.name: each.dialplan for each in policy.sites},
            also_emergency=policy.refuse.emergency,
            world=the_world(),
        )

    def priced(self, rates: Rates) -> None:
        """Take up a rate deck. Raises ValueError for one that `numbering/rates.py` has not packed."""
        self.deck = unpack(rates.packed) if rates.packed else None

    @property
    def currency(self) -> str:
        """The currency of the deck, "" without one."""
        return "" if self.deck is None else self.deck.currency

    def trunk(self, address: Address) -> str | None:
        """Name the trunk at an address as the policy does; None where there is none."""
        name = self._exempt.trunk(address)
        return None if name is None else self._labels.get(name, name)

    def site(self, address: Address) -> str:
        """Name the site at an address as the policy does; empty where there is none."""
        for name in self._exempt.listed(Role.ALLOWED, address) if self._sites else ():
            label = self._labels.get(name, name.removeprefix("site "))
            if label in self._sites:
                return label
        return ""

    def read(self, uri: bytes, far: Address) -> Called:
        """Say what a number means that `far` sends, or is sent: a phone dials otherwise than a trunk is dialled to."""
        return self._by_plan(uri, far, phone=self._trusts(far))

    def sent(self, uri: bytes, far: Address, *, phone: bool) -> Called:
        """Say what a number means that the PBX sends to `far`, where a phone is called or, as far as is known, none.

        What is for help under any plan, and so leaves unasked, is for help also where it is counted.
        """
        called = self._by_plan(uri, far, phone=phone)
        if called.kind is _EMERGENCY or not self.dialled.is_emergency(uri):
            return called
        return Called(called.dialled, _EMERGENCY, why=Reason.EMERGENCY)

    def _by_plan(self, uri: bytes, far: Address, *, phone: bool) -> Called:
        trunk = self.trunk(far)
        if trunk is not None:
            return self._plans.of_trunk(trunk).read(uri)
        site = self.site(far)
        if site or phone:
            return self._plans.of_site(site).read(uri)
        return self._plans.of_trunk("").read(uri)

    def is_emergency(self, uri: bytes, far: Address) -> bool:
        """Tell whether a call is for help."""
        return self.read(uri, far).kind is _EMERGENCY

    def is_closed(self, called: Called) -> bool:
        """Tell whether `[refuse] destinations` lets no call go there."""
        return self.dialled.is_closed(b"sip:%b@-" % called.dialled.encode())

    def price(self, call: Call) -> Rate | None:
        """Say what a call costs; None where nobody knows."""
        return None if self.deck is None or not call.called.e164 else self.deck.rate(call.called.e164)
