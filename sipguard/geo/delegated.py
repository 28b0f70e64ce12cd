"""The registries' public files of what they have delegated (delegated-extended, version 2), to networks and countries.

Each of AFRINIC, APNIC, ARIN, LACNIC and the RIPE NCC writes one a day. A line is `registry|cc|type|start|value|date|
status|opaque-id`, and a first line says how many there are. A network that a registry has delegated is written down for
the country of whoever got it, which need not be where it is used. Opens no file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from sipguard.address import Network, parse_address
from sipguard.errors import AdapterError
from sipguard.netset import prefixes

_IN_USE = frozenset({"allocated", "assigned"})
_NOBODY = frozenset({"", "ZZ"})  # ISO 3166-1 leaves ZZ to its users; registries write it for "nowhere"
_SLACK = 100
"""One in so many lines that the header counts may be missing, since registries do not count quite alike."""


@dataclass(slots=True)
class Delegated:
    """What a file says: networks by country, when it was made (seconds since 1970), and what was passed over."""

    name: str
    networks: list[tuple[Network, str]] = field(default_factory=list)
    built: int = 0
    passed_over: int = 0  # lines of addresses that could not be read


def read(name: str, lines: Iterable[str]) -> Delegated:
    """Read a file's lines. Raises AdapterError when it is no such file, holds nothing, or breaks off."""
    found = Delegated(name)
    announced, seen = -1, 0
    for line in lines:
        parts = line.rstrip("\r\n").split("|")
        if line.startswith("#") or len(parts) < 6 or parts[-1] == "summary":
            continue
        if announced < 0:
            announced, found.built = _header(name, parts)
            continue
        seen += 1
        if parts[2] not in {"ipv4", "ipv6"} or len(parts) < 7 or parts[6] not in _IN_USE:
            continue
        country = parts[1].upper()
        if country in _NOBODY:
            continue
        networks = list(_networks(parts[2], parts[3], parts[4]))
        if not networks or len(country) != 2 or not country.isascii() or not country.isalpha():
            found.passed_over += 1
            continue
        found.networks += [(network, country) for network in networks]
    if not found.networks:
        _refuse(name, "holds no delegated network")
    if seen < announced - announced // _SLACK:
        _refuse(name, f"breaks off: its first line promises {announced} lines, {seen} are there")
    return found


def _header(name: str, parts: list[str]) -> tuple[int, int]:
    """Read the first line: version|registry|serial|records|startdate|enddate|offset."""
    if parts[0] not in {"2", "2.3"} or not _is_number(parts[3]):
        _refuse(name, "is no delegated-extended file: its first line is not that of version 2")
    return int(parts[3]), _day(parts[5])


def _day(text: str) -> int:
    try:
        day = dt.datetime.strptime(text, "%Y%m%d").replace(tzinfo=dt.UTC)
    except ValueError:
        return 0
    return int(day.timestamp())


def _networks(kind: str, start: str, value: str) -> Iterator[Network]:
    """Give the networks of one line: an IPv4 line counts addresses, an IPv6 line has a prefix length."""
    try:
        address = parse_address(start)
    except ValueError:
        return
    if not _is_number(value):
        return
    if kind == "ipv6" and len(address) == 16:
        prefix = int(value)
        if 1 <= prefix <= 128 and int.from_bytes(address) & ((1 << (128 - prefix)) - 1) == 0:
            yield Network(address, prefix)
    elif kind == "ipv4" and len(address) == 4:
        last = int.from_bytes(address) + int(value) - 1
        if last < 1 << 32:
            yield from prefixes(address, last.to_bytes(4))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _refuse(name: str, why: str) -> NoReturn:
    raise AdapterError("geo", f"{name} {why}")
