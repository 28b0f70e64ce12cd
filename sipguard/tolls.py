"""Calls and money as one stage: counts calls, and says which may not leave, which must end, and who has had enough.

It decides by `decide/destinations.py` (where calls may go), `decide/limits.py` (how much is too much) and
`decide/misdials.py` (how often an account may try in vain). It has one say at the gate, `refusal`, before an INVITE
leaves; one on each event of a call, `happened`; and one in time, `advance`. Where nothing could be held back (no gate,
or it was open), a call that should not have left is ended, as one is that goes on beyond a limit. Calls for help are
told of, and nothing else happens to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sipguard.address import Address, show, subject_of
from sipguard.call import Call, CallLegs, CallState, Direction, LimitReset, NumberClass
from sipguard.decide.books import Grade
from sipguard.decide.destinations import Destinations, Refusal
from sipguard.decide.force import Force
from sipguard.decide.limits import Limits, Tripped
from sipguard.decide.limitset import Scope
from sipguard.decide.misdials import Misdials
from sipguard.decide.parties import Parties
from sipguard.decide.saying import say_subject, say_value
from sipguard.decide.wallclock import Zone
from sipguard.event import (
    CallAnswered,
    CallAttempted,
    CallConfirmed,
    CallEnded,
    CallEvent,
    CallMoved,
    CallRefused,
    CallUnconfirmed,
)
from sipguard.intake import Heard
from sipguard.meanings import Meanings
from sipguard.model import (
    MINUTE,
    Account,
    Action,
    Alert,
    Decision,
    DecisionVerdict,
    Instant,
    Lookups,
    Order,
    OrderVerb,
    Rates,
    Record,
    Span,
)
from sipguard.policy.schema import Policy
from sipguard.sip.message import SipRequest
from sipguard.table import Table
from sipguard.track.calls import Calls

QUARANTINED = "ward.quarantine"
MISDIALS = "limits.misdials"
CLOSED = "refuse.destinations"
_ALERTED_MOST = 10_000
_NOBODY = b"\0\0\0\0"
_SCOPES = {str(scope): scope for scope in Scope}
_EMERGENCY, _OUTBOUND = NumberClass.EMERGENCY, Direction.OUTBOUND


class Tolls:
    """Counts and refuses. `happened` is the engine's own way with an event; `end` has a running call hung up."""

    __slots__ = (
        "_alerted",
        "_calls",
        "_counts",
        "_destinations",
        "_end",
        "_force",
        "_happened",
        "_look",
        "_meanings",
        "_misdials",
        "_parties",
        "_passed",
        "_past",
        "_policy",
        "_resets",
        "limits",
        "offset",
    )

    def __init__(
        self,
        policy: Policy,
        meanings: Meanings,
        calls: Calls,
        force: Force,
        look: Lookups,
        happened: Callable[[CallEvent, list[Action]], None],
        end: Callable[[Instant, Call, str], list[Action]],
    ) -> None:
        self._meanings = meanings
        self._calls = calls
        self._force = force
        self._look = look
        self._happened = happened
        self._end = end
        self.offset: Span = 0  # of the wall clock
        self._passed: tuple[Instant, str] = (-1, "")  # which call the gate has just let pass, not to judge it twice
        self._alerted: Table[tuple[str, str], Instant] = Table(_ALERTED_MOST)
        self._past: Table[str, CallState] = Table(policy.limits.running, policy.limits.running)
        self._resets: Table[tuple[str, str], LimitReset] = Table(policy.limits.subjects, policy.limits.subjects)
        self._counts = dict.fromkeys(("calls_out", "calls_refused", "calls_overdue", "calls_for_help"), 0)
        self._set(policy)

    def _set(self, policy: Policy) -> None:
        self._policy = policy
        self._parties = Parties(policy.groups, self._meanings.site, policy.home())
        self._misdials = Misdials(policy.limits)
        self.limits = Limits(policy.limits, policy.carriers(), self._parties)
        self._weigh()

    def _weigh(self) -> None:
        policy, zone = self._policy, Zone(self._look.zone(self._policy.calls.zone))
        known = self._meanings.deck is not None
        self._destinations = Destinations(policy.calls, policy.carriers(), self._parties, zone, deck=known)

    def adopt(self, at: Instant, policy: Policy) -> None:
        """Go by a policy from now on; what was counted is counted again by it, where it says anything else of calls."""
        if replace(policy, mode=self._policy.mode, detect=self._policy.detect) == self._policy:
            self._policy = policy
            return
        self._meanings.adopt(policy)
        self._set(policy)
        states = {state.key: state for state in self._past.values()}
        for call in self._calls.live():  # one that began long ago may be none of the last ones
            if call.direction is _OUTBOUND:
                states[call.key] = self._calls.state_of(call)
        self.limits.restore(list(states.values()), list(self._resets.values()), at)
        self._reach()
        for call in self._calls.live():
            self.limits.noticed(at, call)

    def restore(self, calls: Sequence[CallState], resets: Sequence[LimitReset]) -> None:
        """Take up what was counted before a restart."""
        for state in calls:
            self._past.put(state.key, state, _NOBODY)
        for reset in resets:
            self._resets.put((reset.scope, reset.subject), reset, _NOBODY)
        self.limits.restore(calls, resets, max([max(each.began, each.ended) for each in calls], default=0))
        self._reach()

    def _reach(self) -> None:
        """Let the calls that can be hung up be counted as such, whether anything was heard of them or not."""
        for call in self._calls.live():
            if self._calls.leg(call)[0] is not None:
                self.limits.reachable(call)

    def priced(self, _at: Instant, rates: Rates) -> Sequence[Action]:
        """Take up a rate deck; calls that run keep their price. Raises ValueError for what is none."""
        self._meanings.priced(rates)
        self._weigh()
        return ()

    # --- At the gate --------------------------------------------------------------------------------------------------

    def refusal(self, at: Instant, heard: Heard, request: SipRequest, *, held: bool) -> Refusal | None:
        """Say why an INVITE that the PBX sends may not leave; None when it may. Nothing is counted.

        One that is not `held` leaves all the same; what is said of it here is not said again.
        """
        if not self._calls.leaves(heard, request):
            return None
        call = self._calls.preview(at, heard, request)
        found = self._against(at, call) or self._closed(call, request.uri)
        self._passed = (at if found is None or not held else -1, call.key)
        return None if found is None else Refusal(found.rule, f"{found.why} It was the call of {_whose(call)}.")

    def refused(self, at: Instant, heard: Heard, request: SipRequest, rule: str, actions: list[Action]) -> None:
        """Learn that an INVITE was kept from leaving by a rule."""
        for event in self._calls.refused(at, heard, request):
            if isinstance(event, CallRefused):
                self._happened(event, actions)
                if _is_misdial(rule):
                    actions += self._misdialled(at, event.call)

    def _against(self, at: Instant, call: Call) -> Refusal | None:
        if call.called.kind is _EMERGENCY:
            return None
        account = call.account
        if account is not None and self._is_quarantined(account, call.source):
            return Refusal(QUARANTINED, f"{account} is under quarantine; sipguard release {account.username} ends it.")
        if self._meanings.is_closed(call.called):
            return Refusal(CLOSED, f"{call.called.dialled} begins like a number in {CLOSED}.")
        if (refusal := self._destinations.judge(call, at + self.offset)) is not None:
            return refusal
        return self.limits.refusal(at, call)

    def _closed(self, call: Call, uri: bytes) -> Refusal | None:
        """Look at the very number that leaves: one that passes for another way of a call may go elsewhere."""
        if call.called.kind is _EMERGENCY or not self._meanings.dialled.is_closed(uri):
            return None
        return Refusal(CLOSED, f"{call.called.dialled} is sent to a number that begins like one in {CLOSED}.")

    def _is_quarantined(self, account: Account, source: Address | None) -> bool:
        wards = self._force.wards
        if source is None:
            return wards.quarantined(account)
        return wards.holds(account, subject_of(source), healthy=True)

    # --- What happened ------------------------------------------------------------------------------------------------

    def happened(self, event: CallEvent) -> list[Action]:
        """Count what happened to a call, and say what follows."""
        at, call, kind = event.at, event.call, type(event)
        if call.direction is not _OUTBOUND:
            return []
        if kind is CallAttempted:
            return self._attempted(at, call)
        if kind is CallAnswered:
            told = [self._record(at, call), *self._reached(at, call)]
            return [*told, *self._tripped(self.limits.answered(at, call))]
        if kind is CallMoved:
            if call.answered:
                return self._reached(at, call)
            return [self._record(at, call), *self._tripped(self.limits.moved(at, call))]
        if kind is CallEnded:
            return [self._record(at, call), *self._tripped(self.limits.ended(at, call))]
        if kind is CallRefused:
            self._counts["calls_refused"] += 1
        if kind is CallConfirmed or kind is CallUnconfirmed:
            return self._tripped(self.limits.noticed(at, call))
        return []

    def _attempted(self, at: Instant, call: Call) -> list[Action]:
        self._counts["calls_out"] += 1
        told: list[Action] = [self._record(at, call)]
        if call.called.kind is _EMERGENCY:
            self._counts["calls_for_help"] += 1
            text = f"an emergency call to {call.called.dialled} by {_whose(call)}"
            return [*told, Alert(at, "emergency-call", _whose(call), text)]
        refusal = None if self._passed == (at, call.key) else self._against(at, call)
        told += self._tripped(self.limits.began(at, call))
        if refusal is not None:
            told += self._over(at, call, refusal.why)
        return told

    def _misdialled(self, at: Instant, call: Call) -> list[Action]:
        account = call.account
        if account is None or call.ambiguous or self._force.wards.quarantined(account):
            return []
        if not self._misdials.refused(at, account, call.called):
            return []
        reason = "was refused too many different numbers"
        told = self._force.quarantine(at, account, ("limits",), MISDIALS, reason=reason)
        return [*told, *self.decided(told)]

    def decided(self, told: Sequence[Action]) -> list[Action]:
        """End the running calls of whoever has come under quarantine, by what was decided."""
        ended: list[Action] = []
        for each in told:
            if not isinstance(each, Record) or not isinstance(each.what, Decision):
                continue
            verdict, subject = each.what.verdict, each.what.subject
            if verdict is DecisionVerdict.RELEASE and isinstance(subject, Account):
                self._misdials.forget(subject)
            elif verdict is DecisionVerdict.QUARANTINE:
                for call in list(self._calls.live()):
                    account = call.account
                    if account is not None and self._is_quarantined(account, call.source):
                        ended += self._over(each.at, call, f"{account} is under quarantine.")
        return ended

    def _over(self, at: Instant, call: Call, why: str) -> list[Action]:
        """Have a call ended, if it costs and is no call for help."""
        if call.ended or call.direction is not _OUTBOUND or call.called.kind is _EMERGENCY:
            return []
        self._counts["calls_overdue"] += 1
        return self._end(at, call, why)

    def _tripped(self, found: Sequence[Tripped]) -> list[Action]:
        told: list[Action] = []
        for each in found:
            who = say_subject(each.scope, each.subject)
            value, limit = say_value(each.kind, each.value), say_value(each.kind, each.threshold)
            if each.hang_up:
                told += self._over(each.at, each.call, f"{who} has {value}; {each.rule} ends at {limit}.")
                continue
            kind = "limit-warning" if each.level is Grade.WARN else "limit-reached"
            told += self._say(each.at, kind, who, f"{who} has {value}; {each.rule} is {limit}", each.rule)
        return told

    def _say(self, at: Instant, kind: str, who: str, text: str, rule: str) -> list[Action]:
        """Tell the operator, once a minute of the same."""
        last = self._alerted.get((rule, who))
        if last is not None and at - last < MINUTE:
            return []
        self._alerted.renew((rule, who), at, _NOBODY)
        return [Alert(at, kind, who, text)]

    def _record(self, at: Instant, call: Call) -> Record:
        state = self._calls.state_of(call)
        self._past.renew(call.key, state, _NOBODY)
        return Record(at, state)

    def _reached(self, at: Instant, call: Call) -> list[Action]:
        """Have it kept how to reach the ends of a call, so that it can be ended after a restart."""
        text = "" if call.called.kind is _EMERGENCY else self._calls.legs_of(call)
        return [Record(at, CallLegs(at, call.key, text))] if text else []

    # --- Time, orders, questions --------------------------------------------------------------------------------------

    def advance(self, now: Instant) -> list[Action]:
        """Look at the calls that are due."""
        return self._tripped(self.limits.advance(now))

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which a running call is to be looked at."""
        return self.limits.next_deadline()

    def order(self, at: Instant, order: Order) -> list[Action]:
        """Hang up one call, or set the counters of one subject to nothing; empty where there is none."""
        if order.verb is OrderVerb.HANG_UP:
            found = [call for call in self._calls.live() if call.key == order.subject]
            return self._end(at, found[0], order.reason or f"ordered by {order.by}") if found else []
        told: list[Action] = []
        scope = _SCOPES.get(order.scope or "account")
        for each in self.limits.reset(at, scope, str(order.subject)) if scope is not None else ():
            self._resets.renew((each.scope, each.subject), each, _NOBODY)
            told.append(Record(at, each))
        return told

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        return {**self._counts, **self.limits.counters(), "calls_past": len(self._past)}


def _is_misdial(rule: str) -> bool:
    """Tell whether a rule refuses a destination, and no fault of others or of the rates makes it do so.

    What others have used up (a trunk's places or money) is no reason to put under quarantine whoever dials next.
    """
    if rule.endswith(".unknown_rate"):
        return False
    return rule.startswith(("calls.", "refuse.", "limits.account.expensive_")) or rule.endswith(".max_rate")


def _whose(call: Call) -> str:
    if call.account is not None:
        return str(call.account)
    return call.caller or show(call.source or call.carrier or _NOBODY)
