"""Many banned neighbours are one attacker: from some number on, their whole /24 or /48 is banned.

Only bans of proven addresses count. A network that holds an exempt or a trusted address is never banned as a whole.
"""

from __future__ import annotations

from sipguard.address import Address, Network
from sipguard.model import Instant, Span
from sipguard.table import Table, neighbourhood

_MOST = 20_000


def around(network: Network) -> Network:
    """Give the /24 or /48 around a sender."""
    kept = neighbourhood(network.address)
    return Network(kept + bytes(len(network.address) - len(kept)), 24 if network.version == 4 else 48)


class Aggregate:
    """Counts the banned senders of each neighbourhood."""

    __slots__ = ("_banned",)

    def __init__(self) -> None:
        self._banned: Table[bytes, dict[Address, Instant]] = Table(_MOST)

    def banned(self, at: Instant, network: Network, most: int, window: Span) -> Network | None:
        """Note a ban; gives the neighbourhood when it is the `most`-th of different senders within the window."""
        home = neighbourhood(network.address)
        hosts = self._banned.get(home)
        if hosts is None:
            hosts = {}
            self._banned.put(home, hosts, network.address)
        hosts.pop(network.address, None)
        hosts[network.address] = at
        while hosts and next(iter(hosts.values())) <= at - window:
            del hosts[next(iter(hosts))]
        if len(hosts) < most:
            return None
        hosts.clear()
        return around(network)

    def counters(self) -> dict[str, int]:
        """Give the fill."""
        return {"neighbourhoods": len(self._banned)}
