"""What may be taken of a list, whoever keeps it and however sure it seems. Pure; raises `ListError` alone.

Single entries are left out and counted: too wide, private or reserved. The whole list is refused when it is empty, too
long, covers too much of the internet, or holds less than half of what it held before: then something is wrong with the
list, and what it said before is better than what it says now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sipguard.address import Network, parse_network, subject_of
from sipguard.feeds.formats import ListError
from sipguard.netset import NetSet

WIDEST = {4: 16, 6: 32}
MOST = 100_000
"""Entries of one list, of which at most `MOST_NETWORKS` may be wider than one sender."""
MOST_NETWORKS = 10_000
MOST_ADDRESSES = 2**26
"""IPv4 addresses that one list may cover: one of 64 on the internet, four times what Spamhaus DROP covers."""
MOST_SITES = 2**28
"""The same for IPv6, in /48 networks: as many as 4096 providers (/32) have."""
FEW = 10
"""A list that held fewer than this may shrink as it likes."""

RESERVED = NetSet(
    parse_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3", "::/8", "64:ff9b::/32", "fc00::/7", "fe80::/9", "ff00::/8",
    )
)  # fmt: skip
"""RFC 6890: private, shared, link-local, multicast, future use, and the translators' prefixes (RFC 6052, RFC 8215)."""


class Checked(NamedTuple):
    """What is left of a list, each network once and in none of the others, and how many were left out, by reason."""

    networks: tuple[Network, ...]
    left_out: dict[str, int]


def check(networks: Iterable[Network], before: int = 0) -> Checked:
    """Take what may be taken of a list that held `before` networks. Raises ListError when none of it may be."""
    left_out: dict[str, int] = {}
    taken: list[Network] = []
    for network in networks:
        why = _fault(network)
        if why:
            left_out[why] = left_out.get(why, 0) + 1
        else:
            taken.append(subject_of(network.address) if network.version == 6 and network.prefix > 64 else network)
    outermost = _outermost(taken)
    _refuse(outermost, before)
    return Checked(outermost, left_out)


def _fault(network: Network) -> str:
    if network.prefix < WIDEST[network.version]:
        return "too wide"
    return "reserved" if RESERVED.overlaps(network) else ""


def _outermost(networks: Sequence[Network]) -> tuple[Network, ...]:
    """Leave out doubles and what lies inside another, and sort: sorted, a network is followed by those inside it."""
    found: list[Network] = []
    for network in sorted(set(networks), key=lambda each: (len(each.address), each)):
        if not found or not found[-1].covers(network.address):
            found.append(network)
    return tuple(found)


def _refuse(networks: Sequence[Network], before: int) -> None:
    if not networks:
        raise ListError("has no usable entry")
    if len(networks) > MOST:
        raise ListError(f"has more than {MOST:,} entries")
    if sum(network.prefix not in (32, 64) for network in networks) > MOST_NETWORKS:
        raise ListError(f"has more than {MOST_NETWORKS:,} entries that are whole networks")
    if sum(2 ** (32 - network.prefix) for network in networks if network.version == 4) > MOST_ADDRESSES:
        raise ListError("covers more than one of 64 IPv4 addresses")
    if sum(2 ** max(0, 48 - network.prefix) for network in networks if network.version == 6) > MOST_SITES:
        raise ListError("covers more than 4096 providers' IPv6 networks")
    if before >= FEW and 2 * len(networks) < before:
        raise ListError(f"has shrunk from {before:,} entries to {len(networks):,}, less than half")
