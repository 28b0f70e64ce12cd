"""The literal list of all detectors: their tables in the policy, and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sipguard.detect import (
    accountnets,
    accounts,
    canary,
    costlycalls,
    credentials,
    dialplan,
    diversion,
    enumeration,
    fingerprint,
    firstabroad,
    flood,
    geography,
    ghostcall,
    identity,
    longcalls,
    malformed,
    networks,
    newdestination,
    orphancalls,
    passwordfound,
    prefixburst,
    samekey,
    spam,
    sweep,
    takeover,
    tdos,
    testcall,
    tlsprobe,
    tollfreepump,
    wangiri,
)
from sipguard.event import Event
from sipguard.lesson import Notes
from sipguard.model import NOWHERE, Consequence, Finding, Lookups
from sipguard.track.spending import SOMEWHERE, House


@dataclass(frozen=True, slots=True)
class Config:
    """The tables of `[detect]`, one for each detector."""

    accountnets: accountnets.Config = field(default_factory=accountnets.Config)
    accounts: accounts.Config = field(default_factory=accounts.Config)
    canary: canary.Config = field(default_factory=canary.Config)
    costlycalls: costlycalls.Config = field(default_factory=costlycalls.Config)
    credentials: credentials.Config = field(default_factory=credentials.Config)
    dialplan: dialplan.Config = field(default_factory=dialplan.Config)
    diversion: diversion.Config = field(default_factory=diversion.Config)
    enumeration: enumeration.Config = field(default_factory=enumeration.Config)
    fingerprint: fingerprint.Config = field(default_factory=fingerprint.Config)
    firstabroad: firstabroad.Config = field(default_factory=firstabroad.Config)
    flood: flood.Config = field(default_factory=flood.Config)
    geography: geography.Config = field(default_factory=geography.Config)
    ghostcall: ghostcall.Config = field(default_factory=ghostcall.Config)
    identity: identity.Config = field(default_factory=identity.Config)
    longcalls: longcalls.Config = field(default_factory=longcalls.Config)
    malformed: malformed.Config = field(default_factory=malformed.Config)
    networks: networks.Config = field(default_factory=networks.Config)
    newdestination: newdestination.Config = field(default_factory=newdestination.Config)
    orphancalls: orphancalls.Config = field(default_factory=orphancalls.Config)
    passwordfound: passwordfound.Config = field(default_factory=passwordfound.Config)
    prefixburst: prefixburst.Config = field(default_factory=prefixburst.Config)
    samekey: samekey.Config = field(default_factory=samekey.Config)
    spam: spam.Config = field(default_factory=spam.Config)
    sweep: sweep.Config = field(default_factory=sweep.Config)
    takeover: takeover.Config = field(default_factory=takeover.Config)
    tdos: tdos.Config = field(default_factory=tdos.Config)
    testcall: testcall.Config = field(default_factory=testcall.Config)
    tlsprobe: tlsprobe.Config = field(default_factory=tlsprobe.Config)
    tollfreepump: tollfreepump.Config = field(default_factory=tollfreepump.Config)
    wangiri: wangiri.Config = field(default_factory=wangiri.Config)


class Detector(Protocol):
    """What every detector is: handlers by event type, dispatched from one table, and counters."""

    handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]]

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        ...


def detectors(
    config: Config, look: Lookups = NOWHERE, house: House = SOMEWHERE, notes: Notes | None = None
) -> Sequence[Detector]:
    """Make the detectors that the policy enables, in the order in which they speak.

    `look` says where addresses are, `house` what is at home, and what time it is there; `notes` takes what they learn.
    """
    offered: Sequence[tuple[bool, Callable[[], Detector]]] = (
        (config.credentials.enabled, lambda: credentials.Detector(config.credentials)),
        (config.samekey.enabled, lambda: samekey.Detector(config.samekey)),
        (config.canary.enabled, lambda: canary.Detector(config.canary, notes)),
        (config.flood.enabled, lambda: flood.Detector(config.flood)),
        (config.ghostcall.enabled, lambda: ghostcall.Detector(config.ghostcall)),
        (config.spam.enabled, lambda: spam.Detector(config.spam)),
        (config.sweep.enabled, lambda: sweep.Detector(config.sweep)),
        (config.tdos.enabled, lambda: tdos.Detector(config.tdos)),
        (config.tlsprobe.enabled, lambda: tlsprobe.Detector(config.tlsprobe)),
        (config.accounts.enabled, lambda: accounts.Detector(config.accounts)),
        (config.enumeration.enabled, lambda: enumeration.Detector(config.enumeration)),
        (config.identity.enabled, lambda: identity.Detector(config.identity, notes)),
        (config.networks.enabled, lambda: networks.Detector(config.networks, look.asn)),
        (config.passwordfound.enabled, lambda: passwordfound.Detector(config.passwordfound)),
        (config.accountnets.enabled, lambda: accountnets.Detector(config.accountnets)),
        (config.geography.enabled, lambda: geography.Detector(config.geography, look)),
        (config.takeover.enabled, lambda: takeover.Detector(config.takeover, look, notes)),
        (config.dialplan.enabled, lambda: dialplan.Detector(config.dialplan)),
        (config.fingerprint.enabled, lambda: fingerprint.Detector(config.fingerprint)),
        (config.malformed.enabled, lambda: malformed.Detector(config.malformed)),
        (config.prefixburst.enabled, lambda: prefixburst.Detector(config.prefixburst, house)),
        (config.costlycalls.enabled, lambda: costlycalls.Detector(config.costlycalls, house)),
        (config.longcalls.enabled, lambda: longcalls.Detector(config.longcalls, house)),
        (config.testcall.enabled, lambda: testcall.Detector(config.testcall, house, notes)),
        (config.diversion.enabled, lambda: diversion.Detector(config.diversion, house)),
        (config.orphancalls.enabled, lambda: orphancalls.Detector(config.orphancalls, house)),
        (config.firstabroad.enabled, lambda: firstabroad.Detector(config.firstabroad, house, notes)),
        (config.newdestination.enabled, lambda: newdestination.Detector(config.newdestination, house, notes)),
        (config.tollfreepump.enabled, lambda: tollfreepump.Detector(config.tollfreepump)),
        (config.wangiri.enabled, lambda: wangiri.Detector(config.wangiri, house, notes)),
    )
    return [make() for enabled, make in offered if enabled]


def consequences(config: Config) -> Mapping[str, Consequence]:
    """Say what the policy attaches to the findings of each detector."""
    return {
        accountnets.NAME: config.accountnets.then,
        accounts.NAME: config.accounts.then,
        canary.NAME: config.canary.then,
        costlycalls.NAME: config.costlycalls.then,
        credentials.NAME: config.credentials.then,
        dialplan.NAME: config.dialplan.then,
        diversion.NAME: config.diversion.then,
        enumeration.NAME: config.enumeration.then,
        fingerprint.NAME: config.fingerprint.then,
        firstabroad.NAME: config.firstabroad.then,
        flood.NAME: config.flood.then,
        geography.NAME: config.geography.then,
        ghostcall.NAME: config.ghostcall.then,
        identity.NAME: config.identity.then,
        longcalls.NAME: config.longcalls.then,
        malformed.NAME: config.malformed.then,
        networks.NAME: config.networks.then,
        newdestination.NAME: config.newdestination.then,
        orphancalls.NAME: config.orphancalls.then,
        passwordfound.NAME: config.passwordfound.then,
        prefixburst.NAME: config.prefixburst.then,
        samekey.NAME: config.samekey.then,
        spam.NAME: config.spam.then,
        sweep.NAME: config.sweep.then,
        takeover.NAME: config.takeover.then,
        tdos.NAME: config.tdos.then,
        testcall.NAME: config.testcall.then,
        tlsprobe.NAME: config.tlsprobe.then,
        tollfreepump.NAME: config.tollfreepump.then,
        wangiri.NAME: config.wangiri.then,
    }
