"""The engine's part at the gate: exactly one verdict for each held packet. Pure, like all of the engine.

What is asked before a message is heard, in this order: was its copy judged already; is it the ACK to a refusal of ours;
is the caller, or the number, one for whom no call is made; is the account shielded from this place; is there a place
for one more guess. What is turned away here is no evidence against anybody: it is not heard at all. Then it is heard,
and when a detector objects to it, it is dropped, alone. ACK, answers, what belongs to a known dialog, a call for help
from where devices are registered, and BYE, CANCEL and PRACK always pass, the last but for guesses: PBXs judge the
credential in a BYE to a call that never was. A REGISTER is never refused.

Where nothing may be touched, the same is asked of copies of what the kernel would have held, and told; then they are
heard whatever was said of them, for the PBX has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from sipguard.address import Network, sender_key, show, subject_of
from sipguard.decide.dialled import Dialled
from sipguard.decide.exempt import Exempt
from sipguard.decide.force import Force
from sipguard.decide.guesses import Attempt, Guesses, Limit
from sipguard.decide.judge import Judge
from sipguard.decide.rehearsal import Rehearsal
from sipguard.detect.accountnets import Detector as AccountNets
from sipguard.event import Answered, AuthFailed, AuthSucceeded, CallAttempted, Event, Rang
from sipguard.holding import Holding
from sipguard.intake import Heard, Intake, Passage
from sipguard.model import (
    ACCEPTED,
    MINUTE,
    SECOND,
    Account,
    Action,
    Alert,
    Consequence,
    Excuse,
    Finding,
    Frame,
    Held,
    Instant,
    SetName,
    Span,
    Verdict,
    VerdictKind,
)
from sipguard.policy.schema import Policy
from sipguard.sip.message import SipRequest
from sipguard.table import Table
from sipguard.tolls import Tolls
from sipguard.track.sides import Side, Sides
from sipguard.track.tracker import Tracker
from sipguard.track.transaction import account_of, fingerprint, key_of
from sipguard.track.trust import Trusts
from sipguard.wire.ip import is_extended
from sipguard.wire.l4 import Datagram, Segment

COPIES: Span = 32 * SECOND
"""64 times T1: for so long a copy of what was turned away gets the same answer, and its ACK is awaited."""

_SAID_MOST = 20_000
_ALERTED_MOST = 1_000
_DROPPED = Verdict(VerdictKind.DROP)
_DEFERRED = Verdict(VerdictKind.DEFER)
_NOTHING: tuple[Finding, ...] = ()
_FAR, _NOBODY = Side.FAR, Side.NOBODY  # bound once: look-ups of members are slow in Python 3.11
_CALLING = frozenset({"INVITE", "REFER"})
_ENDING = frozenset({"BYE", "CANCEL", "PRACK"})


class Verdicts:
    """Judges held packets; `hear` is the engine's own way with a message, and appends what comes of it."""

    def __init__(
        self,
        policy: Policy,
        intake: Intake,
        tracker: Tracker,
        sides: Sides,
        judge: Judge,
        force: Force,
        trusts: Trusts,
        exempt: Exempt,
        tolls: Tolls,
        hear: Callable[[Instant, Heard | Passage, list[Action]], None],
    ) -> None:
        self._intake = intake
        self._tracker = tracker
        self._sides = sides
        self._judge = judge
        self._force = force
        self._trusts = trusts
        self._exempt = exempt
        self._tolls = tolls
        self._hear = hear
        self._held = True  # the message at hand; else only a copy of it is here
        self._counts = {f"{way}_{kind}": 0 for way in ("gate", "would") for kind in VerdictKind}
        self._rehearsal = Rehearsal(exempt, force.ledger)
        self._said: Table[bytes, tuple[Instant, Verdict]] = Table(_SAID_MOST, _SAID_MOST // 8)
        self._refused: Table[bytes, Instant] = Table(_SAID_MOST, _SAID_MOST // 8)
        self._alerted: Table[str, Instant] = Table(_ALERTED_MOST)
        self._guesses = Guesses(_limit_of(policy))
        self.adopt(policy)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            AuthFailed: self._failed,
            AuthSucceeded: self._succeeded,
            Answered: self._answered,
            Rang: self._answered,
            CallAttempted: self._let_in,
        }

    def adopt(self, policy: Policy) -> None:
        """Go by a policy from now on."""
        nets = policy.detect.accountnets
        bound = nets.enabled and nets.then in {Consequence.QUARANTINE, Consequence.BLOCK}
        self._nets = AccountNets(nets) if bound else None
        self._dialled = Dialled(policy.refuse, policy.numbering, [named.plan for named in policy.dialplans])
        self._code = policy.refuse.code
        self._guesses.adopt(_limit_of(policy))

    def counters(self) -> dict[str, int]:
        """Give how often each verdict was given, and the fill and evictions of what is remembered."""
        return {
            **self._counts,
            **self._guesses.counters(),
            **self._rehearsal.counters(),
            "gate_said": len(self._said),
            "gate_said_evicted": self._said.evicted + self._refused.evicted,
        }

    # --- One packet ---------------------------------------------------------------------------------------------------

    def frame(self, at: Instant, frame: Frame) -> list[Action]:
        """Judge a held packet; the verdict is the last of what is given."""
        actions: list[Action] = []
        self._held = True
        shut_out, other_ports = self._intake.shut_out, self._intake.other_ports
        packet = self._intake.unpack(at, frame)
        if type(packet) is Datagram:
            verdict = self._message(at, self._intake.datagram(packet, frame.hook), actions)
        elif type(packet) is Segment:
            verdict = self._segment(at, Holding(at, frame, packet, self._intake), actions)
        elif self._intake.shut_out > shut_out:
            verdict = _DROPPED
        else:  # hundreds of headers before SIP are there to hide it, and the PBX's kernel steps over all of them
            hidden = self._intake.other_ports == other_ports and is_extended(frame.packet)
            verdict = _DROPPED if hidden else ACCEPTED
        self._counts["gate_accept" if verdict is ACCEPTED else f"gate_{verdict.kind}"] += 1
        actions.append(verdict)
        return actions

    def rehearse(self, at: Instant, frame: Frame) -> list[Action]:
        """Tell what would have become of a packet that went on; messages alone are judged, not segments of a stream."""
        actions: list[Action] = []
        self._held = False
        for heard in self._intake.read(at, frame):
            if isinstance(heard, Passage) or not self._rehearsal.waits(heard, self._sides.sender(heard)):
                self._hear(at, heard, actions)
                continue
            kind = self._message(at, heard, actions).kind
            self._counts[f"would_{kind}"] += 1
            actions.extend(self._rehearsal.told(at, heard.source, kind))
        return actions

    def _segment(self, at: Instant, holding: Holding, actions: list[Action]) -> Verdict:
        if holding.ready is not None:
            return _BARE[holding.ready]
        judged, number = holding.judged(), 0
        for each in holding.heard:
            if number >= len(judged) or each is not judged[number] or not isinstance(each, Heard):
                self._hear(at, each, actions)
                continue
            verdict = self._message(at, each, actions)
            if verdict.kind is not VerdictKind.ACCEPT:
                if verdict.kind is VerdictKind.DEFER:
                    return _made(*holding.keep_before(number))
                if not holding.mask(number):
                    holding.stall()
            number += 1
        return _made(*holding.outcome())

    def _message(self, at: Instant, heard: Heard, actions: list[Action]) -> Verdict:
        known = verdict = self._said_before(at, heard) if self._said else None
        side = self._sides.sender(heard)
        if verdict is None and isinstance(heard.message, SipRequest) and side is not _NOBODY:
            judge = self._coming if side is _FAR else self._leaving
            verdict = judge(at, heard, heard.message, actions)
        if verdict is None or not self._held:
            objected = self._objected(at, heard, side, actions)
            verdict = verdict or objected
        if verdict is not ACCEPTED and known is None and verdict.kind is not VerdictKind.DEFER:
            self._said.renew(_copy_of(heard), (at, verdict), heard.source)
        return verdict

    def _said_before(self, at: Instant, heard: Heard) -> Verdict | None:
        """Give what was said lately against the same message of the same sender."""
        said = self._said.get(_copy_of(heard))
        return said[1] if said is not None and at - said[0] <= COPIES else None

    def _objected(self, at: Instant, heard: Heard, side: Side, actions: list[Action]) -> Verdict:
        """Hear a message, and drop it where what is heard speaks against it."""
        objections = self._judge.objections
        self._hear(at, heard, actions)
        shut = self._force.ledger.blocked(heard.source) and not self._exempt.passes(heard.source)
        return _DROPPED if side is _FAR and (shut or self._judge.objections > objections) else ACCEPTED

    # --- From outside -------------------------------------------------------------------------------------------------

    def _coming(self, at: Instant, heard: Heard, request: SipRequest, actions: list[Action]) -> Verdict | None:
        """Judge a request to the PBX before it is heard; None: nothing speaks against hearing it."""
        method = request.method
        if method == "ACK":
            return self._acknowledged(at, heard, request)
        if method not in _CALLING and not request.credentials:
            return None  # the common request: nothing can speak against it yet
        if request.to_tag and self._tracker.in_dialog(heard, request):
            return None
        place = subject_of(heard.source)
        devices = self._trusts.accounts(place)
        passes = self._exempt.passes(heard.source)
        helping = method == "INVITE" and self._dialled.is_emergency(request.uri)
        if (helping and (devices or passes)) or ((helping or method in _ENDING) and self._at_home(heard, request)):
            return None
        if method in _CALLING and not helping:
            who = self._unwanted(heard, request, place, devices)
            if who is not None:
                proven = bool(devices) or passes or self._shown(at, heard, request)
                return self._refuse(at, heard, request, str(who), actions, proven=proven)
        if passes or not request.credentials:
            return None
        return self._guess(at, heard, request, devices)

    def _guess(self, at: Instant, heard: Heard, request: SipRequest, devices: frozenset[Account]) -> Verdict | None:
        account, proven = self._tracker.credential(at, heard, request)
        wards = self._force.wards
        for each in request.credentials:
            tried = account_of(each)
            mine = tried in devices or self._tracker.stands(heard.source, tried)
            if wards.shielded(tried) and not mine:
                return _DROPPED
        attempt = Attempt(heard.source, key_of(heard.source, request), fingerprint(request), account, proven)
        return None if self._guesses.may_go(at, attempt, devices) else _DEFERRED

    def _at_home(self, heard: Heard, request: SipRequest) -> bool:
        """Tell whether whoever sends a credential is registered from there, trusted or not."""
        tried = [account_of(each) for each in request.credentials]
        return bool(tried) and all(self._tracker.stands(heard.source, account) for account in tried)

    def _shown(self, at: Instant, heard: Heard, request: SipRequest) -> bool:
        return bool(request.credentials) and self._tracker.credential(at, heard, request)[1]

    def _unwanted(
        self, heard: Heard, request: SipRequest, place: Network, devices: frozenset[Account]
    ) -> Account | None:
        """Give the account that may not place this call: the one whose credential it bears, or whose device sends it.

        A name in From is believed of a device registered from there alone: anybody can write anybody's name.
        """
        wards, caller = self._force.wards, request.from_user.decode("utf-8", "replace")
        tried = [account_of(each) for each in request.credentials]
        claimed = [each for each in sorted(devices) if each.username == caller] if not tried else []
        for account in (*tried, *claimed):
            if wards.holds(account, place, healthy=account in devices):
                return account
            if self._nets is not None and self._nets.elsewhere(account, heard.source):
                return account
        return None

    # --- From the PBX -------------------------------------------------------------------------------------------------

    def _leaving(self, at: Instant, heard: Heard, request: SipRequest, actions: list[Action]) -> Verdict | None:
        """Judge a request that the PBX sends to where no device is registered."""
        if request.method == "ACK":
            return self._acknowledged(at, heard, request)
        if request.method != "INVITE" or self._dialled.is_emergency(request.uri):
            return None
        if request.to_tag and self._tracker.calls.continues(at, heard, request):
            return None
        refusal = self._tolls.refusal(at, heard, request, held=self._held)
        if refusal is None:
            return None
        if self._held:  # else it leaves, and is heard as a call
            self._tolls.refused(at, heard, request, refusal.rule, actions)
        return self._refuse(at, heard, request, refusal.rule, actions, proven=True, said=refusal.why)

    # --- Refusing -----------------------------------------------------------------------------------------------------

    def _refuse(
        self,
        at: Instant,
        heard: Heard,
        request: SipRequest,
        why: str,
        actions: list[Action],
        *,
        proven: bool,
        said: str = "",
    ) -> Verdict:
        """Refuse a call, aloud only to whoever holds his address: others would be sent what they never asked for."""
        told = self._alerted.get(why)
        if told is None or at - told > MINUTE:
            self._alerted.renew(why, at, heard.source)
            kind, was = ("call-refused", "was") if self._held else ("would-refuse", "would have been")
            text = (
                f"a call from {show(heard.source)} to {show(heard.target)} {was} refused: {why}"
                + f": {said}" * bool(said)
            )
            actions.append(Alert(at, kind, why, text))
        if not proven:
            return _DROPPED
        self._refused.renew(_transaction(heard, request), at, heard.source)
        place = subject_of(heard.source)
        if heard.flow is None and self._sides.sender(heard) is Side.FAR and not self._judge.spared(place):
            watched = self._force.ledger.until(SetName.WATCHED, place) or 0
            if watched < at + COPIES:  # its ACK begins harmlessly, and would not be held
                actions.extend(self._force.hold(at, Held(SetName.WATCHED, place, at + COPIES), ("refused",)))
        return Verdict(VerdictKind.REFUSE, self._code)

    def _acknowledged(self, at: Instant, heard: Heard, request: SipRequest) -> Verdict | None:
        """Take in the ACK to an answer that was ours: the other side knows nothing of it."""
        refused = self._refused.get(_transaction(heard, request))
        return _DROPPED if refused is not None and at - refused <= 2 * COPIES else None

    # --- What the PBX made of it --------------------------------------------------------------------------------------

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        if event.excuse is Excuse.NONE:  # whoever is excused is not to be silenced before the detector speaks
            self._guesses.failed(event.at, event.source, event.account, proven=event.proven)
        return _NOTHING

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if event.method == "REGISTER":  # other requests may be let in whatever credential they carry
            self._guesses.succeeded(event.source, event.account)
        return _NOTHING

    def _answered(self, event: Answered | Rang) -> Sequence[Finding]:
        self._guesses.answered(event.source, key_of(event.source, event.response))
        return _NOTHING

    def _let_in(self, event: CallAttempted) -> Sequence[Finding]:
        """Take a call that leaves for an answer: the carrier may let it ring only many seconds later."""
        call = event.call
        if call.account is not None and call.source is not None and not call.ambiguous:
            self._guesses.let_in(call.source, call.account)
        return _NOTHING

    def forgive(self, network: Network) -> None:
        """Forget what a source has failed with."""
        self._guesses.forgive(network.address)


def _copy_of(heard: Heard) -> bytes:
    """Name a message and its copies alike."""
    return blake2b(heard.source + heard.message.raw, digest_size=12).digest()


def _made(kind: VerdictKind, packet: bytes | None) -> Verdict:
    return _BARE[kind] if packet is None else Verdict(kind, packet=packet)


_BARE = {VerdictKind.ACCEPT: ACCEPTED, VerdictKind.DROP: _DROPPED, VerdictKind.DEFER: _DEFERRED}


def _limit_of(policy: Policy) -> Limit:
    config = policy.detect.credentials
    bites = config.enabled and config.then in {Consequence.BLOCK, Consequence.THROTTLE}
    return Limit(config.failures if bites else 0, config.window)


def _transaction(heard: Heard, request: SipRequest) -> bytes:
    """Name the transaction of an INVITE and its ACK alike (RFC 3261 section 17.1.1.3)."""
    parts = sender_key(heard.source), request.call_id, request.branch, b"%d" % request.cseq
    return blake2b(b"\0".join(parts), digest_size=12).digest()
