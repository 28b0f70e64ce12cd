"""What should be held against what is held: the smallest change. Pure.

This is the last door before the kernel: whatever was decided, nothing that overlaps `never` is ever added.
"""

from __future__ import annotations

from collections.abc import Iterable

from sipguard.address import Network
from sipguard.enforce.base import Plan
from sipguard.model import SECOND, Held, Instant, SetName, Span
from sipguard.netset import NetSet, cover, disjoint, plain

HARMFUL = frozenset({SetName.BLOCKED, SetName.THROTTLED})
"""The sets that take something away from an address."""

LONGEST: Instant = 250 * 365 * 86_400 * SECOND
"""Every later end counts as this one: the kernel's own limit lies at 584 years."""

_ORDER = {name: place for place, name in enumerate(SetName)}


def is_host(network: Network) -> bool:
    """Tell whether a network is what one sender is known by: an IPv4 address or an IPv6 /64."""
    return network.prefix == (32 if len(network.address) == 4 else 64)


def plan(wanted: Iterable[Held], enforced: Iterable[Held], never: NetSet, slack: Span = SECOND) -> Plan:
    """Give the change that makes `enforced` what is wanted. Ends that differ by up to `slack` count as the same.

    Blocked networks are made disjoint first (the kernel refuses overlaps) and cut around `never`; a host or a /64 that
    touches `never` is left out whole.
    """
    target = wish(wanted, never)
    present = {(held.set, held.network): held.until for held in enforced}
    add, refresh = [], []
    for key, until in target.items():
        if key not in present:
            add.append(Held(*key, until))
        elif abs(min(present[key], LONGEST) - until) > slack:
            refresh.append(Held(*key, until))
    remove = [Held(*key, until) for key, until in present.items() if key not in target]
    return Plan(_ordered(add), _ordered(remove), _ordered(refresh))


def wish(wanted: Iterable[Held], never: NetSet) -> dict[tuple[SetName, Network], Instant]:
    """Give the elements that hold exactly what is wanted, disjoint, each with the latest end asked for."""
    hosts: dict[tuple[SetName, Network], Instant] = {}
    nets: list[tuple[Network, Instant]] = []
    allowed: list[Network] = []
    for name, network, until in wanted:
        network, until = plain(network), min(until, LONGEST)  # noqa: PLW2901 - put right once, at the door
        if name is SetName.ALLOWED:
            allowed.append(network)
        elif name is SetName.BLOCKED and not is_host(network):
            nets.append((network, until))
        elif name not in HARMFUL or not never.overlaps(network):
            hosts[name, network] = max(until, hosts.get((name, network), until))
    target: dict[tuple[SetName, Network], Instant] = {(SetName.ALLOWED, network): 0 for network in cover(allowed)}
    target.update(hosts)
    cut = [(left, until) for network, until in nets for left in never.subtract_from(network)]
    # A cut can leave a piece as small as a host: it goes, or joins, where hosts are held.
    for network, until in disjoint(cut):
        key = (SetName.BLOCKED, network)
        target[key] = max(until, target.get(key, until))
    return target


def _ordered(holds: Iterable[Held]) -> tuple[Held, ...]:
    return tuple(sorted(holds, key=lambda held: (_ORDER[held.set], len(held.network.address), held.network)))
