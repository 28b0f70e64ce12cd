"""Sets of networks: what covers an address, what is left of a network, who has the latest end.

Pure and order-free: the same networks give the same answer in whatever order they come. Addresses are packed bytes, so
that comparing them compares numbers; nothing here knows what a set is used for. IPv4-mapped IPv6 networks are put
right at the door (`plain`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from sipguard.address import Address, Network
from sipguard.model import Instant

_MAPPED = b"\0" * 10 + b"\xff\xff"


def plain(network: Network) -> Network:
    """Give an IPv4-mapped IPv6 network as the IPv4 network it is, and any other as it stands."""
    address, prefix = network
    if prefix >= 96 and len(address) == 16 and address.startswith(_MAPPED):
        return Network(address[12:], prefix - 96)
    return network


def is_network(network: Network) -> bool:
    """Tell whether a network is one: 4 or 16 bytes, a prefix in range, no bit set beyond it."""
    bits = len(network.address) * 8
    if bits not in (32, 128) or not 0 <= network.prefix <= bits:
        return False
    return int.from_bytes(network.address, "big") & ((1 << (bits - network.prefix)) - 1) == 0


def last_of(network: Network) -> Address:
    """Give the highest address inside a network."""
    length = len(network.address)
    rest = (1 << (length * 8 - network.prefix)) - 1
    return (int.from_bytes(network.address, "big") | rest).to_bytes(length, "big")


def prefixes(first: Address, last: Address) -> list[Network]:
    """Cut the range from `first` to `last`, both included and of one family, into the fewest networks."""
    length = len(first)
    low, high = int.from_bytes(first, "big"), int.from_bytes(last, "big")
    found = []
    while low <= high:
        aligned = (low & -low).bit_length() - 1 if low else length * 8
        fitting = (high - low + 1).bit_length() - 1
        bits = min(aligned, fitting)
        found.append(Network(low.to_bytes(length, "big"), length * 8 - bits))
        low += 1 << bits
    return found


class NetSet:
    """An immutable set of networks that answers in a microsecond, however many it holds."""

    __slots__ = ("_spans",)

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        by_length: dict[int, list[tuple[Address, Address]]] = {4: [], 16: []}
        for network in map(plain, networks):
            by_length[len(network.address)].append((network.address, last_of(network)))
        self._spans: dict[int, tuple[list[Address], list[Address]]] = {
            length: _merged(spans) for length, spans in by_length.items()
        }

    def __bool__(self) -> bool:
        """Tell whether there is any address in it."""
        return any(firsts for firsts, _ in self._spans.values())

    def covers(self, address: Address) -> bool:
        """Tell whether an address lies in one of the networks. An IPv4-mapped address counts as the IPv4 one."""
        if len(address) == 16 and address.startswith(_MAPPED):
            address = address[12:]
        spans = self._spans.get(len(address))
        if spans is None:
            return False
        index = bisect_right(spans[0], address)
        return index > 0 and address <= spans[1][index - 1]

    def overlaps(self, network: Network) -> bool:
        """Tell whether the network has an address in common with this set."""
        network = plain(network)
        spans = self._spans.get(len(network.address))
        if spans is None:
            return False
        index = bisect_left(spans[1], network.address)
        return index < len(spans[0]) and spans[0][index] <= last_of(network)

    def networks(self) -> list[Network]:
        """Give the fewest networks that say the same, IPv4 first, in the order of their addresses."""
        return [
            network
            for firsts, lasts in self._spans.values()
            for first, last in zip(firsts, lasts, strict=True)
            for network in prefixes(first, last)
        ]

    def subtract_from(self, network: Network) -> list[Network]:
        """Give the fewest networks that hold what of `network` is not in this set."""
        network = plain(network)
        firsts, lasts = self._spans[len(network.address)]
        low, end = network.address, last_of(network)
        left = []
        index = bisect_left(lasts, low)
        while index < len(firsts) and firsts[index] <= end:
            if firsts[index] > low:
                left += prefixes(low, _step(firsts[index], -1))
            if lasts[index] >= end:
                return left
            low = _step(lasts[index], 1)
            index += 1
        return left + prefixes(low, end)


def _step(address: Address, by: int) -> Address:
    return (int.from_bytes(address, "big") + by).to_bytes(len(address), "big")


def _merged(spans: list[tuple[Address, Address]]) -> tuple[list[Address], list[Address]]:
    """Join spans that overlap or touch; give firsts and lasts in order."""
    firsts: list[Address] = []
    lasts: list[Address] = []
    for first, last in sorted(spans):
        if lasts and (first <= lasts[-1] or first == _step(lasts[-1], 1)):
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return firsts, lasts


def cover(networks: Iterable[Network]) -> list[Network]:
    """Give the fewest networks that hold exactly the same addresses, IPv4 first, in the order of their addresses."""
    return NetSet(networks).networks()


def subtract(networks: Iterable[Network], holes: Iterable[Network]) -> list[Network]:
    """Give the fewest networks that hold what of `networks` is in none of the `holes`."""
    without = NetSet(holes)
    return [left for network in cover(networks) for left in without.subtract_from(network)]


def disjoint(items: Iterable[tuple[Network, Instant]]) -> list[tuple[Network, Instant]]:
    """Cut overlapping networks so that every address lies in one, with the latest end of all that covered it.

    A network inside a wider one that ends no earlier vanishes; one that ends later is cut out of the wider. Nothing is
    joined, so a second pass changes nothing, and adding one network to a result equals adding it to what it came from.
    """
    cut: list[tuple[Network, Instant]] = []
    for network, end, inner in _survivors(items):
        pieces = NetSet(inner).subtract_from(network) if inner else [network]
        cut += [(piece, end) for piece in pieces]
    return sorted(cut, key=lambda item: (len(item[0].address), item[0]))


def _survivors(items: Iterable[tuple[Network, Instant]]) -> Sequence[tuple[Network, Instant, list[Network]]]:
    """Drop what a wider network outlasts; list with each that stays the outlasting ones directly inside it."""
    kept: list[tuple[Network, Instant, list[Network]]] = []
    around: list[tuple[Network, Instant, list[Network]]] = []
    ordered = sorted(
        ((plain(network), end) for network, end in items),
        key=lambda item: (len(item[0].address), item[0].address, item[0].prefix, -item[1]),
    )
    for network, end in ordered:
        while around and not around[-1][0].covers(network.address):
            around.pop()
        if around and around[-1][1] >= end:
            continue
        entry: tuple[Network, Instant, list[Network]] = (network, end, [])
        if around:
            around[-1][2].append(network)
        kept.append(entry)
        around.append(entry)
    return kept
