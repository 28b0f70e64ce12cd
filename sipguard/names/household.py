"""Without whom this host is cut off, or its operators are: gateways, resolvers, NAT64, addresses of logged-in people.

Promises: what cannot be read is nobody, and raises nothing; a name that somebody could choose (a host name in place of
an address) is never looked up. What follows is not decided here.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from sipguard.address import Network, parse_address, show
from sipguard.errors import AdapterError
from sipguard.model import Names, Role
from sipguard.names.lookup import Answer

EVERY = 5.0
"""Seconds between two looks."""

NAT64_EVERY = 3600.0
MOST = 1_000
"""The most addresses of one kind, and sessions looked at."""

_BYTES = 1 << 20
_RECORD, _ADDRESS = 384, 348  # bytes of a struct utmp, and where in it the address stands: utmp(5)
_USER_PROCESS = 7
_EMBEDDED = (b"\xc0\0\0\xaa", b"\xc0\0\0\xab")  # ipv4only.arpa (RFC 7050)
_PLACES = {96: (12, 13, 14, 15), 64: (9, 10, 11, 12), 56: (7, 9, 10, 11), 48: (6, 7, 9, 10), 40: (5, 6, 7, 9)}
_PLACES |= {32: (4, 5, 6, 7)}  # where the four bytes stand behind a prefix (RFC 6052 section 2.2)


class Household:
    """Looks under `root`, and tells `changed` of each kind that is not as it was."""

    def __init__(
        self,
        changed: Callable[[Names], None],
        look: Callable[[str], Awaitable[Answer]],
        root: Path = Path("/"),
    ) -> None:
        self._changed = changed
        self._look = look
        self._root = root
        self._said: dict[str, Names] = {}

    def present(self) -> list[Names]:
        """Give what was found last."""
        return [names for names in self._said.values() if names.networks]

    def see(self) -> None:
        """Look at everything that needs no question to the network."""
        self._say(Role.LIFELINE, "gateway", gateways(self._read("proc/net/route"), self._read("proc/net/ipv6_route")))
        texts = [self._read("etc/resolv.conf"), self._read("run/systemd/resolve/resolv.conf")]
        self._say(Role.LIFELINE, "resolver", [net for text in texts for net in resolvers(text)])
        sessions = [self._text(path) for path in self._sessions()]
        logged_in = [net for text in sessions for net in session(text)]
        self._say(Role.OPERATOR, "logged in", [*logged_in, *utmp(self._bytes("run/utmp"))])

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        due = 0.0
        while True:
            self.see()
            now = asyncio.get_running_loop().time()
            if now >= due:
                due = now + NAT64_EVERY
                await self._ask_nat64()
            await asyncio.sleep(EVERY)

    async def _ask_nat64(self) -> None:
        try:
            answer = await self._look("ipv4only.arpa")
        except AdapterError:
            return  # no answer takes nothing away
        self._say(Role.LIFELINE, "NAT64", nat64(answer.networks))

    def _say(self, role: Role, name: str, found: Iterable[Network]) -> None:
        networks = tuple(sorted(set(found), key=lambda net: (len(net.address), net)))[:MOST]
        names = Names(role, name, networks)
        if self._said.get(name, Names(role, name, ())) != names:
            self._said[name] = names
            self._changed(names)

    def _sessions(self) -> list[Path]:
        try:
            return sorted((self._root / "run/systemd/sessions").iterdir())[:MOST]
        except OSError:
            return []

    def _read(self, path: str) -> str:
        return self._text(self._root / path)

    def _text(self, path: Path) -> str:
        return self._bytes(str(path)).decode("ascii", "replace")

    def _bytes(self, path: str) -> bytes:
        try:
            with (self._root / path).open("rb") as file:
                return file.read(_BYTES)
        except OSError:
            return b""


def gateways(route: str, route6: str) -> list[Network]:
    """Read the default gateways of proc_net(5) `route` and `ipv6_route`."""
    found = []
    for line in route.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "0" * 8 and len(fields[2]) == 8 and fields[2].strip("0"):
            found.append(_one(_hex(fields[2])[::-1]))  # the kernel writes a number of this host's order
    for line in route6.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[:2] == ["0" * 32, "00"] and len(fields[4]) == 32 and fields[4].strip("0"):
            found.append(_one(_hex(fields[4])))
    return [net for net in found if net is not None]


def resolvers(text: str) -> list[Network]:
    """Read the name servers of resolv.conf(5)."""
    lines = (line.split() for line in text.splitlines())
    return _addresses(words[1].partition("%")[0] for words in lines if words[:1] == ["nameserver"] and len(words) > 1)


def session(text: str) -> list[Network]:
    """Read where a session of systemd-logind(8) comes from; none where it is local, closing, or tells a name."""
    told = dict(line.partition("=")[::2] for line in text.splitlines())
    if told.get("REMOTE") != "1" or told.get("STATE") == "closing":
        return []
    return _addresses([told.get("REMOTE_HOST", "").partition("%")[0]])


def utmp(data: bytes) -> list[Network]:
    """Read where those come from who are logged in by a login record; see the manual page of the same name."""
    found = []
    for offset in range(0, min(len(data), MOST * _RECORD) - _RECORD + 1, _RECORD):
        kind = struct.unpack_from("=h", data, offset)[0]
        address = data[offset + _ADDRESS : offset + _ADDRESS + 16]
        if kind == _USER_PROCESS and any(address):
            found.append(_one(address if any(address[4:]) else address[:4]))
    return [net for net in found if net is not None]


def nat64(networks: Sequence[Network]) -> list[Network]:
    """Read the prefixes by which a NAT64 makes IPv6 of IPv4, from the answer for ipv4only.arpa (RFC 7050 section 3)."""
    found = []
    for address in (net.address for net in networks if len(net.address) == 16):
        for prefix, places in _PLACES.items():
            if bytes(address[place] for place in places) in _EMBEDDED:
                found.append(Network(address[: prefix // 8] + bytes(16 - prefix // 8), prefix))
                break
    return found


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _addresses(texts: Iterable[str]) -> list[Network]:
    found = []
    for text in texts:
        try:
            found.append(_one(parse_address(text)))
        except ValueError:
            continue
    return [net for net in found if net is not None]


def _one(address: bytes) -> Network | None:
    """Give an address as a network of one; None for what is no address, and for loopback and link-local ones."""
    if len(address) not in {4, 16}:
        return None
    plain = parse_address(show(address))
    if plain[:1] == b"\x7f" and len(plain) == 4:
        return None
    if len(plain) == 16 and (plain[:2] == b"\xfe\x80" or not any(plain[:15])):
        return None
    return Network(plain, len(plain) * 8)
