"""What all rules of our table are written with: its name, chains, and look-ups of addresses in sets. Pure text."""

from __future__ import annotations

from collections.abc import Iterable

from sipguard.enforce.base import Layout

TABLE = "sipguard"
HALF = "ffff:ffff:ffff:ffff::"  # an IPv6 sender is known by its /64


def source(version: int, *, far: str = "saddr") -> str:
    """Give the expression by which a sender (or, with `far="daddr"`, a receiver) is known in sets."""
    return f"ip {far}" if version == 4 else f"ip6 {far} & {HALF}"


def network(version: int, *, far: str = "saddr") -> str:
    """Give the expression by which an address is looked up in sets of networks (see `elements.py` for its form)."""
    return f"ip {far} . meta nfproto" if version == 4 else f"ip6 {far} . meta nfproto"


def chain(name: str, rules: Iterable[str], hook: str = "") -> list[str]:
    """Write a chain emptied and filled; a base chain where a hook is given. It comes after the chains it names."""
    head = f"add chain inet {TABLE} {name}" + (f" {{ type filter hook {hook}; policy accept; }}" if hook else "")
    return [head, f"flush chain inet {TABLE} {name}", *(f"add rule inet {TABLE} {name} {rule}" for rule in rules)]


def ports(layout: Layout) -> str:
    """Give the SIP ports as an anonymous set."""
    return f"{{ {', '.join(map(str, sorted(set(layout.ports))))} }}"


def known_measure(layout: Layout, what: str, then: str, counter: str, *, far: str = "saddr") -> list[str]:
    """Give the rules for who is known and comes faster than his measure; where the meter is full nobody does."""
    limit = f"limit rate over {layout.known_rate}/second burst {2 * layout.known_rate} packets"
    return [
        f"update @known_meter_{what}{version} {{ {source(version, far=far)} {limit} }} counter name {counter} {then}"
        for version in (4, 6)
    ]


def lookups(name: str, then: str, *, far: str = "saddr") -> list[str]:
    """Give the two rules, one for each family, for whoever is held in a set; `allowed` is one of networks."""
    find = network if name == "allowed" else source
    return [f"{find(version, far=far)} @{name}{version} {then}" for version in (4, 6)]
