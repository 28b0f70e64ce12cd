"""What rules of iptables are written with: sets, ports, measures, counters. Pure text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

PREFIX = "sipguard_"
"""What the names of our sets and measures begin with."""

_PORTS_MOST = 15  # of one multiport match


def in_set(name: str, version: int, way: str = "src") -> str:
    """Match whose source (or, with `dst`, destination) is in a set."""
    return f"-m set --match-set {PREFIX}{name}{version} {way}"


def port_matches(ports: Iterable[int], side: str, protocols: Sequence[str] = ("udp", "tcp")) -> Iterator[str]:
    """Give matches of which one fits each packet from (`sports`) or to (`dports`) one of these ports."""
    listed = sorted(set(ports))
    for protocol in protocols:
        for start in range(0, len(listed), _PORTS_MOST):
            part = ",".join(map(str, listed[start : start + _PORTS_MOST]))
            yield f"-p {protocol} -m multiport --{side} {part}"


def above(name: str, rate: int, burst: int, version: int, key: str = "srcip") -> str:
    """Match what is above a rate of each address.

    The rate is part of the name: while a rule with this name stands, the kernel goes by that one's rate.
    """
    mask = f" --hashlimit-{key.removesuffix('ip')}mask 64" if version == 6 else ""
    return (
        f"-m hashlimit --hashlimit-above {rate}/sec --hashlimit-burst {burst} --hashlimit-mode {key}{mask} "
        f"--hashlimit-htable-max 65536 --hashlimit-htable-expire 10000 --hashlimit-name {PREFIX}{name}{version}_{rate}"
    )


def altogether(name: str, rate: int, times: int, version: int) -> str:
    """Match what is above a rate of all senders together; the name is one for the whole family."""
    return (
        f"-m hashlimit --hashlimit-above {rate}/sec --hashlimit-burst {times * rate} --hashlimit-htable-expire 10000 "
        f"--hashlimit-name {PREFIX}{name}{version}_{rate}"
    )


def flooding(chain: str, version: int) -> Iterator[str]:
    """Drop, and remember who is too fast for a minute, to be named; a full set names no more.

    Few are put in at a time: to try it on a full set costs as much as all the rest, and the kernel's log gets a line.
    """
    yield f"-A {chain} {in_set('flooders', version)} {counted('flooded')} -j DROP"
    yield f"-A {chain} {altogether('flooders', 50, 1, version)} {counted('flooded')} -j DROP"
    yield f"-A {chain} -j SET --add-set {PREFIX}flooders{version} src --timeout 60"
    yield f"-A {chain} {counted('flooded')} -j DROP"


def counted(name: str) -> str:
    """Name a rule, so that what it counts can be told."""
    return f'-m comment --comment "sipguard {name}"'
