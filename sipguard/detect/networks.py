"""One attack shared by neighbours: many addresses of one network fail, each too seldom to be seen alone.

What it sees
    Rejected credentials of proven sources, counted per /24 (per /48 in IPv6), and per autonomous system where the guard
    has a database of them, in a fast and in a slow window. Sources count only where there are at least `sources` of
    them, and none for more than half of what is needed. While a network is over the limit, a source in it is found with
    its second failure; for an autonomous system that is `as_failures`, `as_sources`, and the fourth. An account that
    stands registered at a source does not count there, and one that succeeds is forgotten there.

Why it matters
    Whoever rents a network has 256 addresses, and in IPv6 65,536 networks, for the price of one.

Known false alarms
    A phone with a wrong password in the network of the attacker, as its neighbours fail. A provider's network where
    many customers fail at one time, because the PBX has lost its accounts, and none of them stands registered any more.

Ways around it
    Addresses of many networks; then `accounts` sees what is guessed at, unless every guess is at another account. One
    failure per address within the slow window.

Options
    enabled, failures, window, slow_failures, slow_window, sources, as_failures, as_sources, networks, then

References
    RFC 3261 section 22; RFC 6177 for what one customer has of IPv6.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from sipguard.address import Address, Network, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import AuthFailed, AuthSucceeded, Event
from sipguard.model import DAY, MINUTE, NOWHERE, SECOND, Account, Consequence, Excuse, Finding, Instant, Span
from sipguard.table import Table, neighbourhood
from sipguard.window import Crowd, party

NAME = "networks"
_NOTHING: tuple[Finding, ...] = ()
K = TypeVar("K", bound=Hashable)
_BITS = 24
_ACCOUNT = (1 << _BITS) - 1
_OWN = 2
_OWN_IN_AS = 4


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.networks]`."""

    enabled: Annotated[bool, Described("Whether guessing shared by a network is looked for")] = True
    failures: Annotated[
        int, Between(2, 1000), Described("Failed credentials of one /24 or /48 within the window that make findings")
    ] = 20
    window: Annotated[Span, DurationBetween(10 * SECOND, DAY), Described("How long a failure counts for that")] = (
        10 * MINUTE
    )
    slow_failures: Annotated[int, Between(2, 1000), Described("The same within the slow window")] = 60
    slow_window: Annotated[Span, DurationBetween(MINUTE, 30 * DAY), Described("How long a failure counts there")] = DAY
    sources: Annotated[int, Between(2, 100), Described("Different sources of the network that must have failed")] = 3
    as_failures: Annotated[
        int, Between(2, 10_000), Described("Failures of one autonomous system within the slow window that do the same")
    ] = 300
    as_sources: Annotated[int, Between(2, 1000), Described("Different sources of it that must have failed")] = 30
    networks: Annotated[int, Between(100, 1_000_000), Described("The most networks remembered at once")] = 5_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.BLOCK


class Detector:
    """Counts failures per network; `asn` gives the autonomous system of an address, 0 where it is not known."""

    __slots__ = ("_asn", "_config", "_most", "_networks", "_systems", "handlers")

    def __init__(self, config: Config, asn: Callable[[Address], int] = NOWHERE.asn) -> None:
        self._config = config
        self._asn = asn
        self._most = 2 * max(config.failures, config.slow_failures)
        self._networks: Table[bytes, Crowd] = Table(config.networks)
        self._systems: Table[int, Crowd] = Table(max(config.networks // 10, 100))
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            AuthFailed: self._failed,
            AuthSucceeded: self._succeeded,
        }

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        if not event.proven or event.registered or event.excuse is Excuse.STALE:
            return _NOTHING
        at, config, source = event.at, self._config, event.source
        who = _who(source, event.account)
        crowd = _crowd(self._networks, neighbourhood(source), source)
        crowd.mark(at, who, self._most, self._most // 4)
        for span, failures in ((config.window, config.failures), (config.slow_window, config.slow_failures)):
            marks = crowd.since(at - span)
            if _of(marks, who) < _OWN:
                continue
            if parties := crowd.shared(at - span, failures, config.sources, _BITS):
                return (_finding(event, "network", (len(marks), len(parties)), span),)
        return self._failed_in_system(event, who)

    def _failed_in_system(self, event: AuthFailed, who: int) -> Sequence[Finding]:
        number = self._asn(event.source)
        if not number:
            return _NOTHING
        config = self._config
        crowd = _crowd(self._systems, number, event.source)
        crowd.mark(event.at, who, 2 * config.as_failures, max(config.as_failures // config.as_sources, _OWN_IN_AS))
        marks = crowd.since(event.at - config.slow_window)
        if len(marks) < config.as_failures or _of(marks, who) < _OWN_IN_AS:
            return _NOTHING
        parties = crowd.shared(event.at - config.slow_window, config.as_failures, config.as_sources, _BITS)
        if not parties:
            return _NOTHING
        return (_finding(event, f"AS{number}", (len(marks), len(parties)), config.slow_window),)

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if event.method != "REGISTER":  # other requests may be let in whatever credential they carry
            return _NOTHING
        crowd = self._networks.get(neighbourhood(event.source))
        if crowd is not None:
            crowd.forget(_who(event.source, event.account))
        system = self._systems.get(self._asn(event.source)) if len(self._systems) else None
        if system is not None:
            system.forget(_who(event.source, event.account))
        return _NOTHING

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what the networks of a source have by now, and how much makes a finding."""
        config, found = self._config, []
        crowd = self._networks.get(neighbourhood(source))
        if crowd is not None:
            found.append(("failures", len(crowd.since(at - config.window)), config.failures))
            found.append(("slow_failures", len(crowd.since(at - config.slow_window)), config.slow_failures))
        system = self._systems.get(self._asn(source))
        if system is not None:
            found.append(("as_failures", len(system.since(at - config.slow_window)), config.as_failures))
        return found

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"networks_failing": len(self._networks), "networks_failing_evicted": self._networks.evicted}


def _crowd(table: Table[K, Crowd], key: K, owner: Address) -> Crowd:
    crowd = table.get(key)
    if crowd is None:
        crowd = Crowd()
        table.put(key, crowd, owner)
        table.keep(key)
    else:
        table.touch(key)
    return crowd


def _who(source: Address, account: Account) -> int:
    """Give a source and an account of it one number, from whose upper bits the source can be read."""
    return party(sender_key(source)) >> _BITS << _BITS | party(str(account).encode()) & _ACCOUNT


def _of(marks: Sequence[int], who: int) -> int:
    source = who >> _BITS
    return sum(each >> _BITS == source for each in marks)


def _finding(event: AuthFailed, identifier: str, counts: tuple[int, int], span: Span) -> Finding:
    failures, sources = counts
    evidence: tuple[tuple[str, str | int], ...] = (
        ("shared_by", identifier if identifier.startswith("AS") else _name(event.source)),
        ("failures", failures),
        ("sources", sources),
        ("within_seconds", span // SECOND),
        ("account", str(event.account)),
    )
    subject = subject_of(event.source)
    return Finding(event.at, NAME, subject, identifier, 7, event.proven, evidence, (event.account,))


def _name(source: Address) -> str:
    """Write the /24 or /48 of an address."""
    near = neighbourhood(source)
    return str(Network(near + bytes(len(source) - len(near)), 8 * len(near)))
