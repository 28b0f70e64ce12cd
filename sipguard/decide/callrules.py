"""Settings of `[calls]` and `[[calls.rule]]`: where calls may go, whose, when, and at what price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sipguard.constraint import AccountName, Amount, Count, CountryCode, Described, Matching, Switch
from sipguard.decide.parties import Label
from sipguard.decide.wallclock import ALWAYS, HoursText, Weekday, ZoneName

CLASSES = (
    "geographic|mobile|fixed-or-mobile|toll-free|premium|shared-cost|personal|satellite|global|other|unallocated"
    "|short-code|extension|unreadable"
)
ABROAD = "international"
HOME = "national"

Place = Annotated[
    str,
    Matching(
        rf"([A-Z]{{2}}|{ABROAD}|{HOME}|{CLASSES}|=?\+?[0-9*#]{{1,20}})",
        'a country "SO", a class "premium", "international", "national", a prefix "+252" or a number "=+4930123456"',
    ),
]

_ALLOW = "Where calls may go: countries, classes, prefixes, numbers; the most exact word said of a number wins."
_DENY = "Where no call may go; written like `allow`."
_OUTBOUND = "Whether calls may leave at all."
_ABROAD_TOO = "Whether calls may go abroad; needs home."
_COUNTRIES = "The only countries that calls may go to; none named: no such limit."
_HIGHEST = "No call may cost more a minute; needs rates."
_UNKNOWN = "Whether calls may leave whose price the rates do not know; without rates all may."
MOST_MONEY = 1_000_000_000_000  # a million of the currency


@dataclass(frozen=True, slots=True)
class CallRule:
    """What differs for some accounts, groups, sites or trunks, or at some hours. One `[[calls.rule]]`."""

    accounts: Annotated[
        tuple[AccountName, ...], Count(0, 10_000), Described("For whom: these accounts; nobody named: everybody.")
    ] = ()
    groups: Annotated[tuple[Label, ...], Count(0, 1000), Described("And these groups.")] = ()
    sites: Annotated[tuple[Label, ...], Count(0, 1000), Described("Only for calls from these sites.")] = ()
    trunks: Annotated[tuple[Label, ...], Count(0, 1000), Described("Only for calls over these trunks.")] = ()
    hours: Annotated[HoursText, Described('When, on the clock of `zone`; "18:00-08:00" goes past midnight.')] = ALWAYS
    weekdays: Annotated[
        tuple[Weekday, ...], Count(0, 7), Described("On which days; none named: on all. A night is its first day's.")
    ] = ()
    outbound: Annotated[Switch, Described(_OUTBOUND)] = Switch.INHERIT
    international: Annotated[Switch, Described(_ABROAD_TOO)] = Switch.INHERIT
    countries: Annotated[tuple[CountryCode, ...], Count(0, 300), Described(_COUNTRIES)] = ()
    allow: Annotated[tuple[Place, ...], Count(0, 10_000), Described(_ALLOW)] = ()
    deny: Annotated[tuple[Place, ...], Count(0, 10_000), Described(_DENY)] = ()
    highest_rate: Annotated[int, Amount(MOST_MONEY), Described(_HIGHEST)] = 0
    unknown_rate: Annotated[Switch, Described(_UNKNOWN)] = Switch.INHERIT


@dataclass(frozen=True, slots=True)
class Calls:
    """Where calls may go. Of two words that both fit a number the more exact one wins; an emergency call always goes.

    More exact is: a number, a prefix of five digits or more, a class, a prefix of up to four, a country,
    international or national. Of equally exact ones the rule of the narrower party (account, group, site, trunk,
    everybody; the one with hours before the one without), of one party the one that refuses. outbound, international,
    countries, highest_rate and unknown_rate are those of the narrowest rule that says them. An `allow` lifts them when
    its rule is as narrow; prices only when it names a number or a prefix of five digits or more.
    """

    home: Annotated[
        tuple[CountryCode, ...], Count(0, 300), Described("The countries that are not abroad; none: the dial plan's.")
    ] = ()
    zone: Annotated[ZoneName, Described('The time zone of `hours`, like "Europe/Berlin"; "local" is this host\'s.')] = (
        "local"
    )
    outbound: Annotated[Switch, Described(_OUTBOUND)] = Switch.ON
    international: Annotated[Switch, Described(_ABROAD_TOO)] = Switch.ON
    countries: Annotated[tuple[CountryCode, ...], Count(0, 300), Described(_COUNTRIES)] = ()
    allow: Annotated[tuple[Place, ...], Count(0, 10_000), Described(_ALLOW)] = ()
    deny: Annotated[tuple[Place, ...], Count(0, 10_000), Described(_DENY)] = ()
    highest_rate: Annotated[int, Amount(MOST_MONEY), Described(_HIGHEST)] = 0
    unknown_rate: Annotated[Switch, Described(_UNKNOWN)] = Switch.OFF
    rule: Annotated[tuple[CallRule, ...], Count(0, 1000)] = ()

    @property
    def default(self) -> CallRule:
        """Give what holds for everybody at all hours, as a rule."""
        return CallRule(
            outbound=self.outbound,
            international=self.international,
            countries=self.countries,
            allow=self.allow,
            deny=self.deny,
            highest_rate=self.highest_rate,
            unknown_rate=self.unknown_rate,
        )


@dataclass(frozen=True, slots=True)
class Carrier:
    """What a carrier allows on a trunk, kept to with a margin, so that the guard stops calls before the carrier does.

    0 everywhere: not said. Money in micros; `margin` in per cent. One for each `[[trunk]]`, in the policy's order.
    """

    name: str
    channels: int = 0
    calls_per_second: int = 0
    daily_spend: int = 0
    max_rate: int = 0
    margin: int = 10

    def within(self, value: int) -> int:
        """Give a value less the margin, rounded down, but at least 1 of anything that there is."""
        return max(1, value * (100 - self.margin) // 100) if value else 0
