"""Which end of a message is the PBX. Live, the kernel's hook tells; in a capture, the addresses that were named.

In a capture for which nobody named the PBX's addresses, it is the side that answers on a SIP port, or that challenges:
no phone does that. Never the replaying host's own addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from sipguard.address import Address, Network
from sipguard.intake import Heard
from sipguard.model import Hook
from sipguard.netset import NetSet, plain
from sipguard.sip.message import SipResponse
from sipguard.table import Table, neighbourhood

_ANSWERING = 4096
_CHALLENGES = frozenset({401, 407})


class Side(Enum):
    """Who sent a message."""

    PBX = 1
    FAR = 2
    NOBODY = 3  # two others talk; none of our business


# Bound once: in Python 3.11 a look-up of an enumeration's member costs as much as a small function.
_PREROUTING, _INPUT, _OUTPUT = Hook.PREROUTING, Hook.INPUT, Hook.OUTPUT
_PBX, _FAR, _NOBODY = Side.PBX, Side.FAR, Side.NOBODY


class Sides:
    """Tells the sides apart; `pbx` are the PBX's addresses, empty where nobody named them."""

    __slots__ = ("_answering", "_hosts", "_named", "_ports", "_serving", "_wider")

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = frozenset(ports)
        self._named = False
        self._hosts: frozenset[Address] = frozenset()  # looked up in a tenth of the time of a network set
        self._wider: NetSet | None = None
        self._answering: Table[Address, None] = Table(_ANSWERING, _ANSWERING // 4, neighbourhood)
        self._serving: Table[tuple[Address, int], None] = Table(_ANSWERING, _ANSWERING // 4)

    def listen(self, ports: Sequence[int]) -> None:
        """Take these for the SIP ports from now on."""
        self._ports = frozenset(ports)

    def name(self, networks: Iterable[Network]) -> None:
        """Take these for the PBX's addresses from now on; none at all means that they have to be inferred."""
        pbx = tuple(map(plain, networks))
        self._named = bool(pbx)
        self._hosts = frozenset(net.address for net in pbx if net.prefix == 8 * len(net.address))
        wider = [net for net in pbx if net.prefix < 8 * len(net.address)]
        self._wider = NetSet(wider) if wider else None

    def sender(self, heard: Heard) -> Side:
        """Tell who sent a message."""
        hook = heard.hook
        if hook is _PREROUTING or hook is _INPUT:
            return _FAR
        if hook is _OUTPUT:
            return _PBX
        if not self._named:
            return self._inferred(heard)
        hosts, wider = self._hosts, self._wider
        to_pbx = heard.target in hosts or (wider is not None and wider.covers(heard.target))
        if heard.source not in hosts and (wider is None or not wider.covers(heard.source)):
            return _FAR if to_pbx else _NOBODY
        if to_pbx:  # both on one host: the server is where the SIP port is
            return _PBX if self._serves(heard) else _FAR
        return _PBX

    def answered(self, address: Address) -> None:
        """Note that an address answered a credential that was sent to it, where nobody named the PBX."""
        if not self._named and address not in self._answering:
            self._answering.put(address, None, address)

    def is_pbx(self, address: Address) -> bool:
        """Tell whether the address is the PBX's, by name or as far as it was inferred."""
        return self._covers(address) if self._named else address in self._answering

    def owns(self, network: Network) -> bool:
        """Tell whether a network's first address is the PBX's."""
        return self.is_pbx(network.address)

    def _covers(self, address: Address) -> bool:
        return address in self._hosts or (self._wider is not None and self._wider.covers(address))

    def serves_to(self, client: Address, server: Address) -> bool:
        """Tell whether a connection is one of somebody else's to the PBX, as far as that is known."""
        if not self._named:
            return client not in self._answering
        return self._covers(server) and not self._covers(client)

    def _inferred(self, heard: Heard) -> Side:
        message, source, serving = heard.message, (heard.source, heard.source_port), self._serving
        if type(message) is SipResponse:
            if message.code in _CHALLENGES and source not in serving:
                serving.put(source, None, heard.source)
            return _PBX if heard.source_port in self._ports or source in serving else _FAR
        if (heard.target, heard.target_port) in serving:
            return _FAR
        if source in serving:
            return _PBX
        return _FAR if heard.target_port in self._ports else _PBX

    def _serves(self, heard: Heard) -> bool:
        if heard.source_port in self._ports and heard.target_port in self._ports:
            return type(heard.message) is SipResponse
        return heard.source_port in self._ports
