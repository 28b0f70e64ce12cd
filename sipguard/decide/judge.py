"""Findings and orders to decisions, and decisions to holds. The only place that says who is banned.

In this order: an exempt subject is only reported; whoever is not proven is throttled, never banned; whoever is trusted
is never throttled, and banned only when collateral allows it; a ban's length comes from the ladder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sipguard.address import Network, subject_of
from sipguard.decide.collateral import Collateral
from sipguard.decide.exempt import RESERVED, Exempt
from sipguard.decide.ladder import Config, Ladder
from sipguard.decide.ledger import Ledger
from sipguard.model import (
    Action,
    Alert,
    Consequence,
    Decision,
    DecisionVerdict,
    Finding,
    Held,
    Hold,
    Instant,
    Order,
    OrderVerb,
    Record,
    Release,
    SetName,
)
from sipguard.table import Table

_TOLD_MOST = 20_000


class Judge:
    """Makes decisions; keeps the ladder, the ledger and the patience with offices."""

    __slots__ = ("_collateral", "_config", "_consequences", "_exempt", "_own", "_told", "ladder", "ledger")

    def __init__(
        self,
        config: Config,
        consequences: Mapping[str, Consequence],
        exempt: Exempt,
        own: Callable[[Network], bool],
        most: int,
    ) -> None:
        self._config = config
        self._consequences = consequences
        self._exempt = exempt
        self._own = own
        self._collateral = Collateral()
        self._told: Table[tuple[str, Network, str], Instant] = Table(_TOLD_MOST, _TOLD_MOST // 8)
        self.ladder = Ladder(config)
        self.ledger = Ledger(most)

    def adopt(self, config: Config, consequences: Mapping[str, Consequence]) -> None:
        """Go by these settings from now on; what is in force stays as it was decided."""
        self._config = config
        self._consequences = consequences
        self.ladder.adopt(config)

    def find(self, finding: Finding) -> list[Action]:
        """Decide on a finding; empty when its subject is banned already."""
        subject = finding.subject
        if not isinstance(subject, Network):
            return [Record(finding.at, finding), self._report(finding, "detect." + finding.detector)]
        if self.ledger.until(SetName.BLOCKED, subject) is not None:
            return []
        rule = f"detect.{finding.detector}.then"
        spared = self.spared(subject)
        verdict, act = self._weigh(finding, subject, spared)
        if verdict is not DecisionVerdict.BLOCK and self._said_lately(finding, subject):
            return []  # said already, and still so: whoever sends on must not fill the records
        return [Record(finding.at, finding), *act(finding, subject, spared or rule)]

    def _weigh(
        self, finding: Finding, subject: Network, spared: str
    ) -> tuple[DecisionVerdict, Callable[[Finding, Network, str], list[Action]]]:
        """Say what a finding comes to, and how that is done."""
        consequence = self._consequences[finding.detector]
        if spared:
            return DecisionVerdict.EXEMPT, self._spare
        if consequence is Consequence.REPORT:
            return DecisionVerdict.REPORT, self._note
        if consequence is Consequence.THROTTLE or not finding.proven:
            return DecisionVerdict.THROTTLE, self._throttle
        if self._healthy(finding, subject):
            return DecisionVerdict.REPORT, self._tell_office
        return DecisionVerdict.BLOCK, self._ban

    def _said_lately(self, finding: Finding, subject: Network) -> bool:
        key = (finding.detector, subject, finding.identifier)
        last = self._told.get(key)
        if last is not None and finding.at - last < self._config.throttle // 2:
            return True
        self._told.put(key, finding.at, subject.address)
        return False

    def _ban(self, finding: Finding, subject: Network, rule: str) -> list[Action]:
        return self.ban(finding.at, subject, (finding.detector,), rule)

    def _spare(self, finding: Finding, _subject: Network, rule: str) -> list[Action]:
        return [Record(finding.at, self._decision(finding, DecisionVerdict.EXEMPT, rule))]

    def _note(self, finding: Finding, _subject: Network, rule: str) -> list[Action]:
        return [self._report(finding, rule)]

    def order(self, at: Instant, order: Order) -> list[Action]:
        """Do what the operator says, but never ban an exempt address, which is answered with an `exempt` decision."""
        network = _sender(order.network)
        if order.verb is OrderVerb.UNBAN:
            return self._unban(at, network, order)
        spared = self.spared(network)
        if spared:
            rule, why = spared, f"{network} is {_ROLES.get(spared, spared)}"
            decision = Decision(at, DecisionVerdict.EXEMPT, network, 0, ("order",), rule, why)
            return [Record(at, decision)]
        return self.ban(at, network, ("order",), "order", span=order.span, reason=order.reason or order.by)

    def spared(self, network: Network) -> str:
        """Say which role spares a network: own, pbx, allowed, trunk, reserved; empty when none does."""
        if role := self._exempt.why(network):
            return role
        if self._own(network):
            return "own"
        return "reserved" if RESERVED.overlaps(network) else ""

    def ban(
        self, at: Instant, network: Network, because: tuple[str, ...], rule: str, *, span: int = 0, reason: str = ""
    ) -> list[Action]:
        """Ban a network by the ladder, or for `span`; what holds it otherwise is lifted."""
        offence, until = self.ladder.climb(at, network)
        if span:
            until = at + span
        decision = Decision(at, DecisionVerdict.BLOCK, network, until, because, rule, reason, offence.count)
        told: list[Action] = [Record(at, decision), Record(at, offence)]
        told += self.hold(at, Held(SetName.BLOCKED, network, until), because)
        return told

    def hold(self, at: Instant, held: Held, because: tuple[str, ...]) -> list[Action]:
        """Put an element in force."""
        gone = self.ledger.hold(held)
        told: list[Action] = [Release(at, each, ("full",)) for each in gone]
        told.append(Hold(at, held, because))
        return told

    def release(self, at: Instant, name: SetName, network: Network, because: tuple[str, ...]) -> list[Action]:
        """Take an element out of force; empty when it was not in it."""
        until = self.ledger.until(name, network)
        if until is None:
            return []
        self.ledger.release(name, network)
        return [Release(at, Held(name, network, until), because)]

    def lift(self, at: Instant, network: Network, because: str) -> list[Action]:
        """Lift every ban and throttle that touches a network: it has become exempt."""
        told: list[Action] = []
        for name in (SetName.BLOCKED, SetName.THROTTLED):
            for held in self.ledger.overlapping(name, network):
                told += self.release(at, name, held, (because,))
                decision = Decision(at, DecisionVerdict.RELEASE, held, 0, (because,), because)
                told.append(Record(at, decision))
        return told

    def _healthy(self, finding: Finding, subject: Network) -> bool:
        if self.ledger.until(SetName.TRUSTED, subject) is None:
            return False
        accounts = dict(finding.evidence).get("accounts", 1)
        return self._collateral.spares(finding.at, subject, int(accounts))

    def _tell_office(self, finding: Finding, subject: Network, rule: str) -> list[Action]:
        tried = dict(finding.evidence).get("tried", "?")
        text = (
            f"a phone at {subject} keeps failing with the account {tried}; others there are fine, so nothing is banned"
        )
        return [
            Record(finding.at, self._decision(finding, DecisionVerdict.REPORT, rule, "collateral")),
            Alert(finding.at, "wrong-password", str(subject), text),
        ]

    def _throttle(self, finding: Finding, subject: Network, rule: str) -> list[Action]:
        if self.ledger.until(SetName.TRUSTED, subject) is not None:
            return [Record(finding.at, self._decision(finding, DecisionVerdict.REPORT, rule, "trusted"))]
        until = finding.at + self._config.throttle
        reason = "" if finding.proven else "unproven"
        decision = Decision(finding.at, DecisionVerdict.THROTTLE, subject, until, (finding.detector,), rule, reason)
        held = Held(SetName.THROTTLED, subject, until)
        return [Record(finding.at, decision), *self.hold(finding.at, held, (finding.detector,))]

    def _unban(self, at: Instant, network: Network, order: Order) -> list[Action]:
        told: list[Action] = []
        for name in (SetName.BLOCKED, SetName.THROTTLED, SetName.WATCHED):
            told += self.release(at, name, network, ("order",))
        forgiven = self.ladder.forgive(network)
        if forgiven is not None:
            told.append(Record(at, forgiven))
        if told:
            reason = order.reason or order.by
            decision = Decision(at, DecisionVerdict.RELEASE, network, 0, ("order",), "order", reason)
            told.insert(0, Record(at, decision))
        return told

    def _report(self, finding: Finding, rule: str) -> Record:
        return Record(finding.at, self._decision(finding, DecisionVerdict.REPORT, rule))

    def _decision(self, finding: Finding, verdict: DecisionVerdict, rule: str, reason: str = "") -> Decision:
        return Decision(finding.at, verdict, finding.subject, 0, (finding.detector,), rule, reason)


_ROLES = {
    "own": "this host's or the PBX's own address",
    "pbx": "the PBX's address",
    "allowed": "on the allowlist",
    "trunk": "a trunk",
    "reserved": "no single sender's address: loopback, link-local, multicast or unspecified",
}


def _sender(network: Network) -> Network:
    """Widen a single IPv6 address (or anything within a /64) to the /64 that stands for its sender."""
    if network.version == 6 and network.prefix > 64:
        return subject_of(network.address)
    return network
