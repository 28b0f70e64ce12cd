"""The literal list of all detectors: their tables in the policy, and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

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


class Table(Protocol):
    """A detector's table: whatever else it holds, it can be switched off."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def enabled(self) -> bool:
        """Tell whether there is to be one."""
        ...


class Detector(Protocol):
    """What every detector is: handlers by event type, dispatched from one table, and counters."""

    handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]]

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        ...


class Detectors:
    """Those that the policy enables, in the order in which they speak.

    Where the policy changes, those stay as they are, with all that they have counted, for whom nothing has changed: an
    attacker does not begin anew because somebody has edited another table. Another `then` makes a detector anew as
    well: what it has told of already shall come to the new consequence at once, not when it would tell of it again.
    """

    __slots__ = ("_look", "_made", "_notes", "all", "new")

    def __init__(self, look: Lookups = NOWHERE, notes: Notes | None = None) -> None:
        """Begin with none; `look` says where addresses are, `notes` takes what is learned."""
        self._look = look
        self._notes = notes
        self._made: dict[type, tuple[Table, House, Detector]] = {}
        self.all: Sequence[Detector] = ()
        self.new: Sequence[Detector] = ()
        """Those that the last `adopt` made."""

    def adopt(self, config: Config, house: House = SOMEWHERE) -> None:
        """Have those that the policy enables; `house` says what is at home, and what time it is there."""
        earlier, self._made = self._made, {}
        new = []
        for table, home, make in self._offered(config, house):
            if not table.enabled:
                continue
            made = earlier.get(type(table))
            if made is None or made[0] != table or not home.like(made[1]):
                made = table, home, make()
                new.append(made[2])
            self._made[type(table)] = made
        self.all = [detector for _, _, detector in self._made.values()]
        self.new = new

    def _offered(self, config: Config, house: House) -> Sequence[tuple[Table, House, Callable[[], Detector]]]:
        look, notes = self._look, self._notes
        return (
            (config.credentials, SOMEWHERE, lambda: credentials.Detector(config.credentials)),
            (config.samekey, SOMEWHERE, lambda: samekey.Detector(config.samekey)),
            (config.canary, SOMEWHERE, lambda: canary.Detector(config.canary, notes)),
            (config.flood, SOMEWHERE, lambda: flood.Detector(config.flood)),
            (config.ghostcall, SOMEWHERE, lambda: ghostcall.Detector(config.ghostcall)),
            (config.spam, SOMEWHERE, lambda: spam.Detector(config.spam)),
            (config.sweep, SOMEWHERE, lambda: sweep.Detector(config.sweep)),
            (config.tdos, SOMEWHERE, lambda: tdos.Detector(config.tdos)),
            (config.tlsprobe, SOMEWHERE, lambda: tlsprobe.Detector(config.tlsprobe)),
            (config.accounts, SOMEWHERE, lambda: accounts.Detector(config.accounts)),
            (config.enumeration, SOMEWHERE, lambda: enumeration.Detector(config.enumeration)),
            (config.identity, SOMEWHERE, lambda: identity.Detector(config.identity, notes)),
            (config.networks, SOMEWHERE, lambda: networks.Detector(config.networks, look.asn)),
            (config.passwordfound, SOMEWHERE, lambda: passwordfound.Detector(config.passwordfound)),
            (config.accountnets, SOMEWHERE, lambda: accountnets.Detector(config.accountnets)),
            (config.geography, SOMEWHERE, lambda: geography.Detector(config.geography, look)),
            (config.takeover, SOMEWHERE, lambda: takeover.Detector(config.takeover, look, notes)),
            (config.dialplan, SOMEWHERE, lambda: dialplan.Detector(config.dialplan)),
            (config.fingerprint, SOMEWHERE, lambda: fingerprint.Detector(config.fingerprint)),
            (config.malformed, SOMEWHERE, lambda: malformed.Detector(config.malformed)),
            (config.prefixburst, house, lambda: prefixburst.Detector(config.prefixburst, house)),
            (config.costlycalls, house, lambda: costlycalls.Detector(config.costlycalls, house)),
            (config.longcalls, house, lambda: longcalls.Detector(config.longcalls, house)),
            (config.testcall, house, lambda: testcall.Detector(config.testcall, house, notes)),
            (config.diversion, house, lambda: diversion.Detector(config.diversion, house)),
            (config.orphancalls, house, lambda: orphancalls.Detector(config.orphancalls, house)),
            (config.firstabroad, house, lambda: firstabroad.Detector(config.firstabroad, house, notes)),
            (config.newdestination, house, lambda: newdestination.Detector(config.newdestination, house, notes)),
            (config.tollfreepump, SOMEWHERE, lambda: tollfreepump.Detector(config.tollfreepump)),
            (config.wangiri, house, lambda: wangiri.Detector(config.wangiri, house, notes)),
        )


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
