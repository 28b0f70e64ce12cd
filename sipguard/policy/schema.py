"""What an operator may say: one frozen dataclass per table, put together from the stages' own settings.

Only data, no checking and no library: the packet process imports this without pydantic. What the file's form looks
like is told by the markers; `load.py` reads it. A default here is the default everywhere (`conf/policy.toml` says the
same, and a test compares).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, TypeAlias

from sipguard.address import Network
from sipguard.constraint import Amount, Between, Count, Described, DurationBetween, Matching, PortNumber
from sipguard.decide import dialled, force, ladder, limitset
from sipguard.decide.callrules import MOST_MONEY, Calls, Carrier
from sipguard.decide.parties import Group
from sipguard.detect import catalogue
from sipguard.model import DAY, HOUR, MINUTE, Span
from sipguard.numbering import tariff
from sipguard.numbering.plan import DEFAULT, NONE, DialPlan, PlanName
from sipguard.policy.marker import Inlined, Key, NamesOf, NetworksOf
from sipguard.policy.shell import Shell
from sipguard.track import limits

Label: TypeAlias = Annotated[str, Matching(r"[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]{0,63})", "1 to 64 characters")]

ADDRESSES = 'Networks, addresses and host names, like "192.0.2.0/24" or "office.example.net".'


class Mode(StrEnum):
    """Whether the guard acts."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class Strangers(StrEnum):
    """Whether addresses that nobody listed may send SIP at all."""

    OPEN = "open"
    CLOSED = "closed"


class Scope(StrEnum):
    """What a ban closes to its subject."""

    SIP = "sip"
    ALL = "all"
    EXCEPT = "except"


class Backend(StrEnum):
    """What holds the bans in the kernel."""

    AUTO = "auto"
    NFTABLES = "nftables"
    IPTABLES = "iptables"
    DRYRUN = "dryrun"


@dataclass(frozen=True, slots=True)
class Site:
    """A place of the operator's own, with its phones; always allowed. One `[[site]]`."""

    name: Annotated[Label, Described("What reports call it; no other site or trunk has the same.")]
    networks: Annotated[tuple[Network, ...], NetworksOf("addresses"), Count(1, 10_000), Described(ADDRESSES)]
    names: Annotated[tuple[str, ...], NamesOf("addresses")] = ()
    dialplan: Annotated[PlanName, Described('How numbers are dialled there; "default": as [numbering] says.')] = DEFAULT


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier that calls are exchanged with; always allowed. One `[[trunk]]`."""

    name: Annotated[Label, Described("What reports call it; no other site or trunk has the same.")]
    networks: Annotated[
        tuple[Network, ...],
        NetworksOf("addresses"),
        Count(1, 10_000),
        Described(ADDRESSES + ' A name like "_sip._udp.example.com" is looked up as SRV.'),
    ]
    names: Annotated[tuple[str, ...], NamesOf("addresses")] = ()
    dialplan: Annotated[
        PlanName,
        Described('How it wants numbers; "default": as [numbering] says, without outside line and extensions.'),
    ] = DEFAULT
    channels: Annotated[
        int,
        Between(0, 1_000_000),
        Described("Calls at a time that the carrier allows; 0: not known, for all of these."),
    ] = 0
    calls_per_second: Annotated[int, Between(0, 1_000_000), Described("Calls a second that the carrier allows.")] = 0
    daily_spend: Annotated[int, Amount(MOST_MONEY), Described("What the carrier lets you spend a day.")] = 0
    max_rate: Annotated[int, Amount(MOST_MONEY), Described("The dearest minute that the carrier connects.")] = 0
    margin: Annotated[
        int, Between(0, 90), Described("Per cent that the guard stays below these, so that it stops calls first.")
    ] = 10


@dataclass(frozen=True, slots=True)
class NamedPlan:
    """Another way of dialling, for the sites and trunks that name it. One `[[dialplan]]`."""

    name: Annotated[PlanName, Described("What sites and trunks call it; no other plan has the same.")]
    plan: Annotated[DialPlan, Inlined()] = field(default_factory=DialPlan)


class FeedMode(StrEnum):
    """What becomes of who is on a list."""

    SHADOW = "shadow"
    BLOCK = "block"


class FeedFormat(StrEnum):
    """How a list is written."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"


FeedSource: TypeAlias = Annotated[
    str,
    Matching(r"(https://[\x21-\x7e]{4,1000}|/[^\x00-\x1f\x7f]{1,1000})", 'an "https://" address or an absolute path'),
]


@dataclass(frozen=True, slots=True)
class FeedList:
    """A list of addresses that others keep; allowed addresses are never banned by it. One `[[feed]]`."""

    name: Annotated[Label, Described("What reports call it; no other list has the same.")]
    source: Annotated[FeedSource, Described("Where it comes from; never shown or logged, as it may hold a key.")]
    format: Annotated[
        FeedFormat, Described("One address or network a line (text, also DROP's), a table (csv), or json.")
    ] = FeedFormat.TEXT
    refresh: Annotated[Span, DurationBetween(MINUTE, DAY), Described("How often it is fetched.")] = HOUR
    mode: Annotated[
        FeedMode, Described("Only report who comes from it (shadow), or ban all of it (block). Begin with shadow.")
    ] = FeedMode.SHADOW


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Settings of `[enforcement]`: what a ban and a throttle mean in the kernel."""

    backend: Annotated[
        Backend,
        Described("What holds the bans: nftables, iptables with ipset, nothing (dryrun), or the first that works."),
    ] = Backend.AUTO
    scope: Annotated[
        Scope, Described("What a ban closes: the SIP ports, all ports of this host, or all except those named.")
    ] = Scope.SIP
    except_ports: Annotated[
        tuple[PortNumber, ...],
        Count(1, 64),
        Described('Ports (TCP and UDP) that stay open to the banned with scope = "except"; no SIP port.'),
    ] = (22,)
    stranger_rate: Annotated[
        int, Between(10, 100_000), Described("Packets a second that one stranger may send to the SIP ports.")
    ] = 100
    strangers_rate: Annotated[
        int, Between(100, 1_000_000), Described("Packets a second that all strangers together may send there.")
    ] = 5000
    known_rate: Annotated[
        int,
        Between(100, 1_000_000),
        Described(
            "Packets a second of one registered or allowed address that are read, or held; more pass, none is dropped."
        ),
    ] = 2000
    throttle_rate: Annotated[
        int, Between(1, 1000), Described("Messages a second that a throttled source may still send.")
    ] = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """All that an operator has said, checked. `Policy()` is the default policy."""

    mode: Annotated[Mode, Described("Only say what would be done (observe), or do it (enforce).")] = Mode.OBSERVE
    gate: Annotated[
        bool,
        Described("Hold strangers' packets, and calls that may cost money, until they are judged (in enforce mode)."),
    ] = True
    ports: Annotated[tuple[PortNumber, ...], Count(1, 64), Described("Where the PBX listens for SIP, UDP and TCP.")] = (
        5060,
        5061,
        5080,
        50600,
    )
    strangers: Annotated[
        Strangers, Described("Whether any address may send SIP (open), or only those that are listed here (closed).")
    ] = Strangers.OPEN
    pbx: Annotated[
        tuple[Network, ...],
        Count(0, 1000),
        Described("Addresses of PBXs behind this host, or in a recording; this host's own need not be listed."),
    ] = ()
    allowed: Annotated[
        tuple[Network, ...], NetworksOf("allowed"), Count(0, 10_000), Described("Never banned. " + ADDRESSES)
    ] = ()
    allowed_names: Annotated[tuple[str, ...], NamesOf("allowed")] = ()
    sites: Annotated[
        tuple[Site, ...],
        Key("site"),
        Count(0, 1000),
        Described("A place of your own, with its phones: never banned, and called by its name in reports."),
    ] = ()
    trunks: Annotated[
        tuple[Trunk, ...],
        Key("trunk"),
        Count(0, 1000),
        Described("A carrier that you exchange calls with: never banned, and called by its name in reports."),
    ] = ()
    numbering: DialPlan = field(default_factory=DialPlan)
    dialplans: Annotated[
        tuple[NamedPlan, ...],
        Key("dialplan"),
        Count(0, 100),
        Described(
            "Another way of dialling, for the sites and trunks that name it; without a country in [numbering]'s."
        ),
    ] = ()
    groups: Annotated[
        tuple[Group, ...],
        Key("group"),
        Count(0, 1000),
        Described("Accounts that rules and limits speak of together."),
    ] = ()
    feeds: Annotated[
        tuple[FeedList, ...],
        Key("feed"),
        Count(0, 16),
        Described("A list of addresses that others keep: watched, or banned."),
    ] = ()
    ban: ladder.Config = field(default_factory=ladder.Config)
    ward: force.Wardship = field(default_factory=force.Wardship)
    neighbours: force.Neighbours = field(default_factory=force.Neighbours)
    track: limits.Config = field(default_factory=limits.Config)
    detect: catalogue.Config = field(default_factory=catalogue.Config)
    refuse: dialled.Config = field(default_factory=dialled.Config)
    rates: tariff.Config = field(default_factory=tariff.Config)
    calls: Calls = field(default_factory=Calls)
    limits: limitset.Config = field(default_factory=limitset.Config)
    enforcement: Enforcement = field(default_factory=Enforcement)
    shell: Annotated[Shell, Inlined()] = field(default_factory=Shell)

    def carriers(self) -> tuple[Carrier, ...]:
        """Give what the carriers allow, in the order of the trunks."""
        return tuple(
            Carrier(each.name, each.channels, each.calls_per_second, each.daily_spend, each.max_rate, each.margin)
            for each in self.trunks
        )

    def home(self) -> tuple[str, ...]:
        """Give the countries that are not abroad: those that are named, else the dial plan's; empty: nobody knows."""
        own = self.numbering.country
        return self.calls.home or (() if own == NONE else (own,))
