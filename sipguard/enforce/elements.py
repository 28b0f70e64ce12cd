"""Which kernel set an element belongs to, and how a set of intervals becomes another. Pure.

Hosts (an IPv4 address, an IPv6 /64) live in hash sets, where one element costs microseconds. Networks live in interval
sets, which must never hold overlapping elements: every change is worked out from what was just read.

The keys of interval sets are concatenations (address . protocol family) so that the kernel keeps an interval as one
element. In a set of addresses alone it keeps two, a start and an end, and forgets them at different times: there an
expired ban cut a hole into a newer one, or took its end away so that it reached up to the next (tried, Linux 6.18).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sipguard.address import Network, show
from sipguard.enforce.reconcile import is_host
from sipguard.enforce.ruletext import TABLE
from sipguard.model import MILLISECOND, Enforced, Held, Instant, SetName, Span
from sipguard.netfilter import sets
from sipguard.netset import NetSet, cover, disjoint, is_network, last_of, prefixes

HASHED = tuple(f"{name}{version}" for name in SetName if name is not SetName.ALLOWED for version in (4, 6))
"""The kernel's sets of hosts."""

SIDES = {4: ("blocked_nets4", "blocked_next4"), 6: ("blocked_nets6", "blocked_next6")}
"""The kernel's two sets of banned networks of a family: one is home, the other empty, or filled to take its place."""

NETWORKS = ("allowed4", "allowed6", "blocked_nets4", "blocked_nets6")
"""Sets of networks, each by the name of its home."""

INTERVALS = ("allowed4", "allowed6", *SIDES[4], *SIDES[6])
"""All the kernel's sets of networks."""

_FAMILY = {4: b"\x02\0\0\0", 16: b"\x0a\0\0\0"}  # meta nfproto, padded to four bytes

SAME: Span = 100 * MILLISECOND
"""Ends closer than this are one: the kernel rounds to its ticks, and reading takes time."""


def kernel_set(held: Held) -> str:
    """Name the kernel set for an element. Raises ValueError, with words for the operator, where there is none."""
    name, network, _until = held
    if not is_network(network):
        raise ValueError(f"{network.address.hex()}/{network.prefix} is not a network")
    if name is SetName.ALLOWED:
        return f"allowed{network.version}"
    if is_host(network):
        return f"{name}{network.version}"
    if name is SetName.BLOCKED:
        return f"blocked_nets{network.version}"
    raise ValueError(f"{network}: {name} holds single IPv4 addresses and IPv6 /64 networks only")


def by_set(holds: Iterable[Held], answers: dict[Held, Enforced]) -> dict[str, list[Held]]:
    """Sort elements by the kernel set they belong to; answer at once for those that can be in none."""
    found: dict[str, list[Held]] = {}
    for held in holds:
        try:
            found.setdefault(kernel_set(held), []).append(held)
        except ValueError as error:
            answers[held] = Enforced(held, ok=False, why=str(error))
    return found


def host_of(key: bytes) -> Network:
    """Give the host that a key of a hash set stands for."""
    return Network(key, 32 if len(key) == 4 else 64)


def end_of(element: sets.Element, now: Instant) -> Instant:
    """Give when an element ends; 0 where somebody put it in without an end."""
    return now + element.expires * MILLISECOND if element.timeout else 0


def as_text(holds: Iterable[Held], now: Instant) -> str:
    """Write elements for `nft`: only for replacing a whole table in one transaction. What is over is left out."""
    by_set: dict[str, list[str]] = {}
    for held in sorted(holds, key=lambda one: (one.set, len(one.network.address), one.network)):
        timeout = milliseconds(held.until, now)
        if timeout or held.set is SetName.ALLOWED:
            name = kernel_set(held)
            shown = f"{held.network} . ipv{held.network.version}" if name in INTERVALS else show(held.network.address)
            by_set.setdefault(name, []).append(shown + (f" timeout {timeout}ms" if timeout else ""))
    lines = [f"add element inet {TABLE} {name} {{ {', '.join(listed)} }}" for name, listed in by_set.items()]
    return "".join(f"{line}\n" for line in lines)


def known_as(kernel_name: str) -> SetName:
    """Give the set that a kernel set belongs to."""
    return SetName(kernel_name.rstrip("46").removesuffix("_nets").removesuffix("_next"))


def milliseconds(until: Instant, now: Instant) -> int:
    """Give the timeout for an end, rounded up, at least 1 and at most what the kernel takes; 0 when it is over."""
    left = until - now
    return min(-(-left // MILLISECOND), sets.LONGEST_MILLISECONDS) if left > 0 else 0


def pieces(found: Iterable[tuple[Instant, sets.Element]]) -> dict[Network, tuple[Instant, sets.Element]]:
    """Read an interval set as networks, each with its end (0: none) and the element it came from."""
    read: dict[Network, tuple[Instant, sets.Element]] = {}
    for at, element in found:
        first, last = element.key[:-4], element.last[:-4]
        if len(first) == len(last) in {4, 16}:
            for network in prefixes(first, last):
                read[network] = end_of(element, at), element
    return read


@dataclass(frozen=True, slots=True)
class Wish:
    """A change of one interval set. `take` goes where it stands exactly so, `cut` is cleared of whatever covers it."""

    put: tuple[Held, ...] = ()
    take: tuple[Network, ...] = ()
    cut: tuple[Network, ...] = ()


def target(present: Mapping[Network, Instant], wish: Wish, *, lasting: bool) -> dict[Network, Instant]:
    """Work out what an interval set should hold. With `lasting` (allowed) nothing ends and neighbours are joined."""
    gone = {*wish.take, *(held.network for held in wish.put)}
    holes = NetSet(wish.cut)
    left = [
        (piece, until)
        for network, until in present.items()
        if network not in gone
        for piece in (holes.subtract_from(network) if wish.cut else [network])
    ]
    wanted = left + [(held.network, held.until) for held in wish.put]
    if lasting:
        return dict.fromkeys(cover(network for network, _until in wanted), 0)
    return dict(disjoint(wanted))


def steps(
    present: Mapping[Network, tuple[Instant, sets.Element]],
    wanted: Mapping[Network, Instant],
    now: Instant,
    *,
    renews: bool = False,
) -> tuple[list[bytes], list[bytes]]:
    """Write the elements to delete, as they were read, and those to add. What stays the same is not touched.

    `renews`: the kernel takes the new end of an element that is there, which costs a hundredth of a deletion.
    """
    differs = {network for network, (until, _one) in present.items() if abs(wanted.get(network, 0) - until) > SAME}
    deleted = {
        (one.key, one.last)
        for network, (until, one) in present.items()
        if network not in wanted
        or (one.key, one.last) != keys(network)
        or (network in differs and not (renews and until and wanted[network]))
    }
    kept = {
        network
        for network, (_until, one) in present.items()
        if (one.key, one.last) not in deleted and network not in differs
    }
    delete = [sets.single(first, last=last) for first, last in sorted(deleted)]
    add = []
    for network, until in wanted.items():
        timeout = milliseconds(until, now) if until else 0
        if network in kept or (until and not timeout):
            continue
        first, last = keys(network)
        add.append(sets.single(first, timeout, last))
    return delete, add


def keys(network: Network) -> tuple[bytes, bytes]:
    """Give the first and last key of a network in an interval set: the address, then the protocol family."""
    family = _FAMILY[len(network.address)]
    return network.address + family, last_of(network) + family
