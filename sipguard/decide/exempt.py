"""Whom no ban may hit: own addresses, the PBX's, trunks, and whatever the operator allows.

Checked for every decision by overlap, so that a network that merely holds an exempt address is spared as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sipguard.address import Address, Network, parse_network
from sipguard.model import Names, Role
from sipguard.netset import NetSet

RESERVED = NetSet(
    parse_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/127", "fe80::/10", "ff00::/8"),
        *("64:ff9b::/96", "64:ff9b:1::/48"),
    )
)
"""Unspecified, loopback, link-local and multicast (RFC 6890): a ban of these hits the host or its whole link.

Also what a NAT64 gives to all of IPv4 (RFC 6052, RFC 8215): one /64 of it is everybody.
"""


_KNOWN = 1000
"""Networks whose roles are remembered: whoever scans is asked for at each of his packets. Full, it begins anew."""

reserved = lru_cache(maxsize=_KNOWN)(RESERVED.overlaps)
"""Tells whether a network, or a part of it, is reserved."""


_TRUNK = Role.TRUNK


class Exempt:
    """The exempt networks by role; policy and resolved names each replace what they said before."""

    __slots__ = ("_allowed", "_known", "_said", "_sets", "_trunks")

    def __init__(self) -> None:
        self._said: dict[tuple[Role, str], tuple[Network, ...]] = {}
        self._sets: tuple[tuple[Role, NetSet], ...] = ()
        self._trunks: tuple[tuple[str, NetSet], ...] = ()
        self._allowed: NetSet | None = None  # each packet is looked up in it
        self._known: dict[Network, tuple[Role, ...]] = {}  # the roles of networks asked for lately

    def say(self, names: Sequence[Names]) -> None:
        """Take up lists, each in place of the one with the same role and name; an empty list takes it away."""
        for each in names:
            if each.networks:
                self._said[(each.role, each.name)] = each.networks
            else:
                self._said.pop((each.role, each.name), None)
        self._sets = tuple(
            (role, NetSet(self.networks(role))) for role in Role if any(said == role for said, _ in self._said)
        )
        self._trunks = tuple(
            [(name.removeprefix("trunk "), NetSet(nets)) for (role, name), nets in self._said.items() if role is _TRUNK]
        )
        self._allowed = NetSet(self.passing()) or None
        self._known.clear()

    def networks(self, role: Role) -> tuple[Network, ...]:
        """List the networks of one role, in the order they were said, without doubles."""
        return tuple(dict.fromkeys(net for (said, _), nets in self._said.items() if said == role for net in nets))

    def passing(self) -> tuple[Network, ...]:
        """List what passes the kernel before any ban: allowed networks and trunks, without doubles."""
        return tuple(dict.fromkeys(self.networks(Role.ALLOWED) + self.networks(Role.TRUNK)))

    def passes(self, address: Address) -> bool:
        """Tell whether an address is on the allowlist or a trunk's."""
        return self._allowed is not None and self._allowed.covers(address)

    def trunk(self, address: Address) -> str | None:
        """Give the name of the trunk at an address: the policy's, or the host's that it was resolved from."""
        return next((name for name, nets in self._trunks if nets.covers(address)), None)

    def listed(self, role: Role, address: Address) -> list[str]:
        """Name the lists of a role that an address is on."""
        return [name for (said, name), nets in self._said.items() if said is role and NetSet(nets).covers(address)]

    def why(self, network: Network) -> str:
        """Say which role spares a network or a part of it; empty when nothing does."""
        roles = self.roles(network)
        return str(roles[0]) if roles else ""

    def roles(self, network: Network) -> tuple[Role, ...]:
        """List every role that a network, or a part of it, has."""
        roles = self._known.get(network)
        if roles is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            roles = self._known[network] = tuple([role for role, nets in self._sets if nets.overlaps(network)])
        return roles

    def lists(self, network: Network) -> list[tuple[Role, str]]:
        """Name the lists that a network, or a part of it, is on."""
        return [said for said, nets in self._said.items() if NetSet(nets).overlaps(network)]
