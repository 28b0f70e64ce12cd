"""Findings and orders to decisions. The only place that says who is banned, and who is not.

On a sender, in this order: who is exempt is only reported; who is not proven is throttled, never banned; who is trusted
is never throttled; where healthy devices are, what fails is put under quarantine, and the place is not banned. On an
account: it is quarantined or shielded as the policy says; used from one place, it is quarantined there alone. What was
said lately is not said again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sipguard.address import Network, subject_of
from sipguard.decide.collateral import Collateral
from sipguard.decide.exempt import Exempt, reserved
from sipguard.decide.force import COLLATERAL, Force
from sipguard.decide.wards import Ward
from sipguard.model import (
    EVERY_OTHER,
    MINUTE,
    SECOND,
    Account,
    Action,
    Alert,
    Consequence,
    Decision,
    DecisionVerdict,
    Finding,
    Held,
    Instant,
    Order,
    OrderVerb,
    Pair,
    Record,
    Role,
    SetName,
    Span,
    Subject,
)
from sipguard.table import Table
from sipguard.window import paced

FORCED = "order.force"
"""The rule of a ban that the operator ordered although somebody needed is hit."""

_TOLD_MOST = 10_000
_FORCED_MOST = 1_000
_ANYWHERE = b"\0\0\0\0"
_UNPROVEN = 1000
_WITHIN = 10 * SECOND
"""Unproven senders that are found within that time and told one by one; a burst of them, and as many again evenly."""

_THROTTLED_MOST = 10_000


class Judge:
    """Makes decisions and has `Force` put them in force. `own` and `registered` are asked about a network."""

    __slots__ = (
        "_collateral",
        "_consequences",
        "_crowd_told",
        "_exempt",
        "_force",
        "_forced",
        "_own",
        "_registered",
        "_told",
        "_unproven",
        "objections",
        "passed_over",
    )

    def __init__(
        self,
        force: Force,
        consequences: Mapping[str, Consequence],
        exempt: Exempt,
        own: Callable[[Network], bool],
        registered: Callable[[Network], frozenset[Account]],
    ) -> None:
        self._force = force
        self._forced: dict[Network, None] = {}
        self._consequences = consequences
        self._exempt = exempt
        self._own = own
        self._registered = registered
        self.objections = 0  # findings that speak against letting through the packet they were made of
        self._collateral = Collateral()
        self._told: Table[tuple[str, Subject, str], Instant] = Table(_TOLD_MOST, _TOLD_MOST // 8)
        self._unproven: Instant = 0
        self._crowd_told: Instant = 0
        self.passed_over = 0

    def adopt(self, consequences: Mapping[str, Consequence]) -> None:
        """Attach these consequences to findings from now on."""
        self._consequences = consequences

    def restore(self, decisions: Iterable[Decision | Held]) -> None:
        """Take up what was decided before a restart."""
        for each in decisions:
            self._force.restore(each)
            if isinstance(each, Decision) and each.rule == FORCED and isinstance(each.subject, Network):
                self.let_force(each.subject)

    def find(self, finding: Finding) -> list[Action]:
        """Decide on a finding; empty when its subject is banned already, or the same was said lately."""
        subject = finding.subject
        if isinstance(subject, Network):
            self.objections += self._objects(finding, subject)
            if self._force.ledger.until(SetName.BLOCKED, subject) is not None:
                return []
            told = self._sender(finding, subject)
        elif isinstance(subject, Pair):
            told = self._pair(finding, subject)
        else:
            told = self._account(finding, subject)
        if not told or type(told[0]) is Alert:
            return told
        return [Record(finding.at, finding), *told]

    def spared(self, network: Network) -> str:
        """Say which role spares a network: own, pbx, allowed, trunk, reserved; empty when none does."""
        if role := self._exempt.why(network):
            return role
        if self._own(network):
            return "own"
        return "reserved" if reserved(network) else ""

    def _objects(self, finding: Finding, subject: Network) -> bool:
        """Tell whether a packet should not have come: not where devices are, whose owner is told instead.

        What is only needed otherwise (a gateway that strangers may stand behind) is spared a ban, not this.
        """
        against = self._consequences[finding.detector] in _AGAINST_SENDERS
        return against and not self._registered(subject) and not self._untouchable(subject)

    # --- On a sender --------------------------------------------------------------------------------------------------

    def _sender(self, finding: Finding, subject: Network) -> list[Action]:
        at, rule, because = finding.at, f"detect.{finding.detector}.then", (finding.detector,)
        consequence = self._consequences[finding.detector]
        if consequence not in _AGAINST_SENDERS:
            return self._once(finding, DecisionVerdict.REPORT, rule)
        if spared := self.spared(subject):
            return self._once(finding, DecisionVerdict.EXEMPT, spared)
        if consequence is Consequence.THROTTLE or not finding.proven:
            return self._throttle(finding, subject, rule)
        registered = self._registered(subject)
        if registered:
            ward = self._collateral.ward(at, subject, finding.accounts, registered)
            if ward is not None:
                if self._in_force(at, consequence, ward) or self._said_lately(finding, ward):
                    return []
                return self._force.quarantine(at, ward, because, rule, reason=COLLATERAL)
            if not finding.accounts:  # not a matter of passwords: a place with devices is reported, not banned
                return self._once(finding, DecisionVerdict.REPORT, rule, "trusted")
        return self._ban(at, subject, because, rule)

    def _throttle(self, finding: Finding, subject: Network, rule: str) -> list[Action]:
        at = finding.at
        if self._force.ledger.until(SetName.TRUSTED, subject) is not None:
            return self._once(finding, DecisionVerdict.REPORT, rule, "trusted")
        if not finding.proven and not self._was_said(finding) and self._is_crowded(at):
            return self._crowd(at)
        if self._said_lately(finding):
            return []
        return self._force.throttle(at, subject, (finding.detector,), rule, "" if finding.proven else "unproven")

    def _ban(self, at: Instant, subject: Network, because: tuple[str, ...], rule: str) -> list[Action]:
        told = self._force.ban(at, subject, because, rule)
        whole = self._force.neighbourhood(at, subject)
        if whole is not None and not self.spared(whole):
            told += self._force.ban(
                at, whole, because, "neighbours.senders", reason="many of its addresses were banned"
            )
        return told

    # --- On an account ------------------------------------------------------------------------------------------------

    def _account(self, finding: Finding, account: Account) -> list[Action]:
        at, rule, because = finding.at, f"detect.{finding.detector}.then", (finding.detector,)
        consequence = self._consequences[finding.detector]
        if self._in_force(at, consequence, account) or self._said_lately(finding):
            return []
        if not account.realm:  # a name that was called or claimed, not one that anybody has authenticated with
            return [Record(at, self._decision(finding, DecisionVerdict.REPORT, rule))]
        if consequence is Consequence.QUARANTINE:
            return self._force.quarantine(at, account, because, rule)
        if consequence in _SHIELDING:
            return self._force.shield(at, account, because, rule)
        return [Record(at, self._decision(finding, DecisionVerdict.REPORT, rule))]

    def _pair(self, finding: Finding, pair: Pair) -> list[Action]:
        """Decide on an account as used from one place: that alone is quarantined, and the owner elsewhere is not."""
        rule = f"detect.{finding.detector}.then"
        if self._consequences[finding.detector] not in _AGAINST_PAIRS:
            return self._once(finding, DecisionVerdict.REPORT, rule)
        if spared := self.spared(pair.network):
            return self._once(finding, DecisionVerdict.EXEMPT, spared)
        if self._in_force(finding.at, Consequence.QUARANTINE, pair) or self._said_lately(finding):
            return []
        return self._force.quarantine(finding.at, pair, (finding.detector,), rule)

    # --- Orders -------------------------------------------------------------------------------------------------------

    def order(self, at: Instant, order: Order) -> list[Action]:
        """Do what the operator says; an exempt address, or one that locks somebody out, is answered with `exempt`."""
        reason = order.reason or order.by
        network = order.subject if isinstance(order.subject, str) else _widened(order.subject)
        if order.verb is OrderVerb.RELEASE:
            return self._release(at, network, reason)
        if order.verb is OrderVerb.QUARANTINE and isinstance(network, str):
            return self._quarantine(at, network, order.span, reason)
        if isinstance(network, str) or order.verb not in _ON_NETWORKS:
            return []
        if order.verb is OrderVerb.UNBAN:
            self._forced.pop(network, None)
            return self._force.unban(at, network, reason)
        if fixed := self._untouchable(network):
            return [_exempted(at, network, fixed, f"{network} is {_ROLES.get(fixed, fixed)}")]
        hit = self._hit(network)
        if not hit:
            return self._force.ban(at, network, ("order",), "order", span=order.span, reason=reason)
        told = ", ".join(hit)
        if not order.force:
            why = f"a ban of {network} would hit {told}; with --force it is done all the same"
            return [_exempted(at, network, "lock-out", why)]
        self.let_force(network)
        reason = f"{reason} (hits {told})".lstrip()
        return self._force.ban(at, network, ("order",), FORCED, span=order.span, reason=reason)

    def _release(self, at: Instant, whose: Network | str, reason: str) -> list[Action]:
        wards = self._force.wards
        told = [action for ward in wards.of(whose) for action in self._force.free(at, ward, reason)]
        wider = wards.over(_named(whose)) if isinstance(whose, str) and not told else []
        if wider:
            why = f"{whose} is under quarantine as all that is called {wider[0]}: release that"
            return [Record(at, Decision(at, DecisionVerdict.EXEMPT, _named(str(whose)), 0, ("order",), "order", why))]
        return told

    def _quarantine(self, at: Instant, name: str, span: Span, reason: str) -> list[Action]:
        """Put all accounts of a name under quarantine, or the one whose realm is said, whether they are known or not.

        Nothing comes of a name that stands for others.
        """
        account = _named(name)
        if account == EVERY_OTHER or not account.username:
            return []
        return self._force.quarantine(at, account, ("order",), "order", span=span, reason=reason or "ordered")

    def let_force(self, network: Network) -> None:
        """Remember that the operator banned a network knowing whom it hits."""
        self._forced[network] = None
        while len(self._forced) > _FORCED_MOST:
            del self._forced[next(iter(self._forced))]

    def lift(self, at: Instant, network: Network, because: str) -> list[Action]:
        """Lift what touches a network that must not be locked out, but for what the operator forced."""
        forced = [each for each in self._forced if self._force.ledger.until(SetName.BLOCKED, each) is not None]
        return self._force.lift(at, network, because, keep=forced)

    def _untouchable(self, network: Network) -> str:
        """Say which role keeps a network from every ban, forced or not."""
        fixed = [role for role in self._exempt.roles(network) if role not in _LOCKED_OUT]
        if fixed or self._own(network):
            return str(fixed[0]) if fixed else "own"
        return "reserved" if reserved(network) else ""

    def _hit(self, network: Network) -> list[str]:
        """Say whom a ban of a network would lock out."""
        found = [f"{name} ({role})" for role, name in self._exempt.lists(network) if role in _LOCKED_OUT]
        devices = len(self._force.ledger.overlapping(SetName.TRUSTED, network))
        return found + [f"{devices} addresses with registered devices"] * bool(devices)

    # --- Saying things once -------------------------------------------------------------------------------------------

    def _once(self, finding: Finding, verdict: DecisionVerdict, rule: str, reason: str = "") -> list[Action]:
        if self._said_lately(finding):
            return []
        return [Record(finding.at, self._decision(finding, verdict, rule, reason))]

    def _in_force(self, at: Instant, consequence: Consequence, ward: Ward) -> bool:
        """Tell whether what would be decided on an account holds already, and for more than half of its time yet."""
        config, wards = self._force.config.ward, self._force.wards
        if consequence is Consequence.QUARANTINE or isinstance(ward, Pair):
            return wards.quarantined_until(ward) > at + config.quarantine // 2
        return consequence in _SHIELDING and wards.shielded_until(ward) > at + config.shield // 2

    def _was_said(self, finding: Finding) -> bool:
        last = self._told.get((finding.detector, finding.subject, finding.identifier))
        return last is not None and finding.at - last < self._force.config.ban.throttle // 2

    def _said_lately(self, finding: Finding, ward: Pair | None = None) -> bool:
        """Tell whether the same was said a moment ago: whoever sends on and on must not fill the records.

        That one phone fails and that somebody tries many accounts are two things to say of a place.
        """
        subject = finding.subject
        many = ward is not None and ward.account == EVERY_OTHER
        key = (finding.detector, subject, finding.identifier + " of many" * many)
        last = self._told.get(key)
        if last is not None and finding.at - last < self._force.config.ban.throttle // 2:
            return True
        self._told.put(key, finding.at, subject.address if isinstance(subject, Network) else _ANYWHERE)
        return False

    # --- Forged crowds ------------------------------------------------------------------------------------------------

    def _is_crowded(self, at: Instant) -> bool:
        """Tell whether more unproven senders are found than can be real; what is said of them would be the flood.

        Each costs a record and an element of a kernel set, and a million forged addresses take a second to send. Nobody
        hides in the crowd who does harm: a ban takes a proof, and what is proven is never in it.
        """
        due = paced(self._unproven, at, _UNPROVEN, _WITHIN)
        if due - at > _WITHIN or self._force.ledger.size(SetName.THROTTLED) >= _THROTTLED_MOST:
            return True
        self._unproven = due
        return False

    def _crowd(self, at: Instant) -> list[Action]:
        """Count a sender that is passed over; the operator is told once in a while."""
        self.passed_over += 1
        if at < self._crowd_told:
            return []
        self._crowd_told = at + 10 * MINUTE
        text = "more addresses send what only attackers send than are told one by one; most are forged"
        return [Alert(at, "unproven-crowd", "", text)]

    def counters(self) -> dict[str, int]:
        """Give how many unproven senders were found and passed over, being too many."""
        return {"passed_over": self.passed_over}

    def _decision(self, finding: Finding, verdict: DecisionVerdict, rule: str, reason: str = "") -> Decision:
        return Decision(finding.at, verdict, finding.subject, 0, (finding.detector,), rule, reason)


_ON_NETWORKS = frozenset({OrderVerb.BAN, OrderVerb.UNBAN})
_AGAINST_SENDERS = frozenset({Consequence.BLOCK, Consequence.THROTTLE})
_AGAINST_PAIRS = frozenset({Consequence.BLOCK, Consequence.QUARANTINE})
_SHIELDING = frozenset({Consequence.SHIELD, Consequence.BLOCK})
_LOCKED_OUT = frozenset({Role.LIFELINE, Role.OPERATOR})
_ROLES = {
    "own": "this host's or the PBX's own address",
    "pbx": "the PBX's address",
    "allowed": "on the allowlist",
    "trunk": "a trunk",
    "reserved": "no single sender's address: loopback, link-local, multicast, unspecified or NAT64",
}


def _exempted(at: Instant, network: Network, rule: str, why: str) -> Record:
    return Record(at, Decision(at, DecisionVerdict.EXEMPT, network, 0, ("order",), rule, why))


def _named(name: str) -> Account:
    """Give what stands for all accounts that a list may call so: `1001`, `1001@pbx`."""
    return Account(name.casefold(), "")


def _widened(network: Network) -> Network:
    """Widen a single IPv6 address (or anything within a /64) to the /64 that stands for its sender."""
    if network.version == 6 and network.prefix > 64:
        return subject_of(network.address)
    return network
