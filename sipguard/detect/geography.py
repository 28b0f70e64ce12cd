"""Geography: requests and successes from countries, or autonomous systems, that the policy does not want.

What it sees
    REGISTER and INVITE of strangers from a country or an autonomous system that is denied, or that is not among those
    allowed. Right credentials that come from such a place, or from a country that is not among those listed for their
    account: that is an account in the wrong hands, or its owner on a journey. A list for an account stands above the
    general ones, a listed system above its country. Needs a database (`[geoip]`); an address that it does not know is
    never found.

Why it matters
    A PBX whose phones are all in one country has no business with most of the world, where most guessing comes from.

Known false alarms
    Travellers, and VPNs that come out abroad. Databases made of what registries delegated say where an organisation is,
    not where an address is used; networks change hands.

Ways around it
    A rented host in an allowed country. An address that the database does not know.

Options
    enabled, allow, deny, allow_systems, deny_systems, account, sources, then

References
    ISO 3166-1 (countries), RFC 6793 (numbers of autonomous systems).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import AccountName, Between, Count, CountryCode, Described, SystemNumber
from sipguard.event import Asked, AuthSucceeded, Event, Standing
from sipguard.model import HOUR, Account, Consequence, Finding, Instant, Lookups, Pair
from sipguard.table import Table, neighbourhood

NAME = "geography"
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER
_METHODS = frozenset({"REGISTER", "INVITE"})


@dataclass(frozen=True, slots=True)
class AccountCountries:
    """Where one account may be used from."""

    name: Annotated[AccountName, Described('The account, as "1001", or with its realm as "1001@example.net".')]
    countries: Annotated[tuple[CountryCode, ...], Count(1, 300), Described("The countries it may be used from")]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.geography]`."""

    enabled: Annotated[bool, Described("Whether countries and autonomous systems are looked at")] = True
    allow: Annotated[
        tuple[CountryCode, ...], Count(0, 300), Described("The only countries that are wanted; none named: all are")
    ] = ()
    deny: Annotated[tuple[CountryCode, ...], Count(0, 300), Described("Countries that are not wanted")] = ()
    allow_systems: Annotated[
        tuple[SystemNumber, ...], Count(0, 10_000), Described("Autonomous systems wanted in any country")
    ] = ()
    deny_systems: Annotated[
        tuple[SystemNumber, ...], Count(0, 10_000), Described("Autonomous systems that are not wanted")
    ] = ()
    account: Annotated[
        tuple[AccountCountries, ...], Count(0, 10_000), Described("Where one account may be used from")
    ] = ()
    sources: Annotated[int, Between(1000, 10_000_000), Described("The most sources remembered at once")] = 20_000
    then: Annotated[Consequence, Described("What becomes of the source, or of the account as used from there")] = (
        Consequence.REPORT
    )


class Detector:
    """Reports a source, or an account at a place, once an hour at the most; wants no events when nothing is listed."""

    __slots__ = ("_accounts", "_config", "_look", "_sources", "_used", "handlers")

    strangers: ClassVar = frozenset({Asked})

    def __init__(self, config: Config, look: Lookups) -> None:
        self._config = config
        self._look = look
        self._accounts: dict[str, frozenset[str]] = {}
        for each in config.account:
            name = each.name.casefold()
            self._accounts[name] = self._accounts.get(name, frozenset()).union(each.countries)
        self._sources: Table[bytes, tuple[Instant, bool]] = Table(config.sources, config.sources // 8, neighbourhood)
        self._used: Table[Pair, Instant] = Table(config.sources, config.sources // 8)
        listed = config.allow or config.deny or config.allow_systems or config.deny_systems
        handlers: dict[type[Event], Callable[[Any], Sequence[Finding]]] = {}
        if listed:
            handlers[Asked] = self._asked
        if listed or config.account:
            handlers[AuthSucceeded] = self._succeeded
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = handlers

    def _asked(self, event: Asked) -> Sequence[Finding]:
        if event.standing is not _STRANGER or event.request.method not in _METHODS:
            return _NOTHING
        key = sender_key(event.source)
        told = self._sources.get(key)
        if told is not None and event.at - told[0] < HOUR and (told[1] or not event.shown):
            return _NOTHING
        why = self._unwanted(event.source)
        if not why:
            return _NOTHING
        self._sources.renew(key, (event.at, event.shown), event.source)
        evidence = (*self._place(event.source), ("why", why), ("method", event.request.method))
        return (Finding(event.at, NAME, subject_of(event.source), "place", 4, event.shown, evidence),)

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        listed = self._of(event.account)
        if listed is None:
            why, severity = self._unwanted(event.source), 8
        else:
            country = self._look.country(event.source)
            why, severity = ("not allowed for the account" if country and country not in listed else ""), 9
        if not why:
            return _NOTHING
        pair = Pair(subject_of(event.source), event.account)
        told = self._used.get(pair)
        if told is not None and event.at - told < HOUR:
            return _NOTHING
        self._used.renew(pair, event.at, event.source)
        evidence = (*self._place(event.source), ("why", why), ("method", event.method))
        return (Finding(event.at, NAME, pair, "account", severity, event.proven, evidence, (event.account,)),)

    def _of(self, account: Account) -> frozenset[str] | None:
        """Give the countries that are listed for an account, under the most exact of its names."""
        if not self._accounts:
            return None
        return next((self._accounts[name] for name in account.called() if name in self._accounts), None)

    def _unwanted(self, source: Address) -> str:
        """Say why a place is not wanted; empty when it is, or when nobody knows where it is."""
        config = self._config
        country, system = self._look.country(source), self._look.asn(source)
        if system and system in config.deny_systems:
            return "its system is denied"
        if system and system in config.allow_systems:
            return ""
        if country and country in config.deny:
            return "its country is denied"
        if country and country in config.allow:
            return ""
        if (country and config.allow) or (system and config.allow_systems):
            return "not among what is allowed"
        return ""

    def _place(self, source: Address) -> tuple[tuple[str, str | int], ...]:
        return (("country", self._look.country(source)), ("system", self._look.asn(source)))

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "geography_sources": len(self._sources),
            "geography_sources_evicted": self._sources.evicted,
            "geography_accounts": len(self._used),
            "geography_accounts_evicted": self._used.evicted,
        }
