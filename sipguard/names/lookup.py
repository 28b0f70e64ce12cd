"""One look-up of one host name: the hosts file first, then A and AAAA, or SRV and its targets' A and AAAA.

Promises: `look` gives addresses that could be a trunk's, sorted, at most `MOST` of them, or raises `AdapterError`; an
answer with an address in it that can be nobody's (0.0.0.0/8, ::, multicast, broadcast) is refused whole, as it is
either a mistake or somebody else's. What follows from an answer is not decided here.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
from dns.rdatatype import RdataType
from dns.rdtypes.IN.SRV import SRV

from sipguard.address import Address, Network, parse_address, show
from sipguard.errors import AdapterError

ADAPTER = "names"

MOST = 64
"""The most addresses one name may have."""

TARGETS = 16
"""The most SRV targets that are followed, in the order of their priority."""

LIFETIME = 5.0
"""Seconds that one question may take, over all name servers."""

_NOTHING = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name is at present. `ttl` in seconds; `complete` is False when a part of the questions failed."""

    networks: tuple[Network, ...]
    ttl: float
    complete: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """The outcome of one question: records, their time to live, and what failed ("" for none)."""

    addresses: tuple[Address, ...] = ()
    targets: tuple[str, ...] = ()
    ttl: float = float("inf")
    failure: str = ""


class Lookup:
    """Looks names up with the machine's resolver settings, or the `servers` given (address, port)."""

    def __init__(
        self, hosts: Path = Path("/etc/hosts"), servers: Iterable[str] = (), port: int = 53, lifetime: float = LIFETIME
    ) -> None:
        self._hosts = hosts
        self._servers = list(servers)
        self._port = port
        self._lifetime = lifetime

    def _resolver(self) -> dns.asyncresolver.Resolver:
        """Read the resolver's settings anew: they change when a network comes up."""
        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
        except dns.exception.DNSException as error:
            raise AdapterError(ADAPTER, f"no name server is configured: {error}") from error
        if self._servers:
            resolver.nameservers = list(self._servers)
            resolver.port = self._port
        resolver.lifetime = self._lifetime
        return resolver

    async def look(self, name: str) -> Answer:
        """Give the addresses of `name`. Raises AdapterError: not found, not answered, or not to be trusted."""
        fixed = self._in_hosts(name)
        if fixed:
            return Answer(_checked(name, fixed), float("inf"), complete=True)
        resolver = self._resolver()
        parts = await self._services(resolver, name) if name.startswith("_") else await _hosts(resolver, name)
        addresses = [address for part in parts for address in part.addresses]
        failures = [part.failure for part in parts if part.failure]
        if not addresses:
            raise AdapterError(ADAPTER, f"{name}: {failures[0] if failures else 'has no address'}")
        return Answer(_checked(name, addresses), min(part.ttl for part in parts), complete=not failures)

    async def _services(self, resolver: dns.asyncresolver.Resolver, name: str) -> list[_Part]:
        """Follow an SRV name (RFC 2782) to the addresses of its targets."""
        service = await _ask(resolver, name, dns.rdatatype.SRV)
        found = [service]
        for target in service.targets[:TARGETS]:
            found += await _hosts(resolver, target)
        return found

    def _in_hosts(self, name: str) -> list[Address]:
        """Give a name's addresses in the hosts file (hosts(5)); it goes before DNS, as operators expect."""
        try:
            lines = self._hosts.read_text(errors="replace").splitlines()
        except OSError:
            return []
        wanted = name.rstrip(".").lower()
        found: list[Address] = []
        for line in lines:
            fields = line.partition("#")[0].lower().split()
            if wanted in fields[1:]:
                try:
                    found.append(parse_address(fields[0]))
                except ValueError:
                    continue
        return found


async def _hosts(resolver: dns.asyncresolver.Resolver, name: str) -> list[_Part]:
    return list(await asyncio.gather(_ask(resolver, name, dns.rdatatype.A), _ask(resolver, name, dns.rdatatype.AAAA)))


async def _ask(resolver: dns.asyncresolver.Resolver, name: str, kind: RdataType) -> _Part:
    """Ask one question. That there is no such record is an empty part, anything else a failure."""
    try:
        answer = await resolver.resolve(name, kind, search=False)
    except _NOTHING:
        return _Part()
    except (dns.exception.DNSException, OSError) as error:
        return _Part(failure=f"{dns.rdatatype.to_text(kind)}: {' '.join(str(error).split())[:200]}")
    ttl = float(answer.chaining_result.minimum_ttl)
    if kind == dns.rdatatype.SRV:
        records = sorted((record for record in answer if isinstance(record, SRV)), key=lambda record: record.priority)
        return _Part(targets=tuple(str(record.target) for record in records if str(record.target) != "."), ttl=ttl)
    return _Part(addresses=tuple(parse_address(str(record)) for record in answer), ttl=ttl)


def _checked(name: str, addresses: Iterable[Address]) -> tuple[Network, ...]:
    """Sort and check. Raises AdapterError for an answer that no trunk can have."""
    found = sorted(set(addresses), key=lambda address: (len(address), address))
    if len(found) > MOST:
        raise AdapterError(ADAPTER, f"{name}: answer refused, {len(found)} addresses are more than {MOST}")
    for address in found:
        parsed = ipaddress.ip_address(address)
        broadcast = address == b"\xff\xff\xff\xff"
        if parsed.is_unspecified or parsed.is_multicast or broadcast or (len(address) == 4 and address[0] == 0):
            raise AdapterError(ADAPTER, f"{name}: answer refused, {show(address)} can be nobody's address")
    return tuple(Network(address, len(address) * 8) for address in found)
