"""The guard as one machine: inputs and time in, actions out. Read `model.py` first.

    Frame ─intake▶ SipMessage ─track▶ Event ─detect▶ Finding ─decide▶ Decision ─▶ Action

A pure function of what it is fed: nothing in here or below reads a clock, a file, a socket or a random number, so a
recording of the inputs gives the same actions again. Live and replay differ only in who calls `feed` and `advance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from sipguard import model
from sipguard.address import Address, Network
from sipguard.call import Call, Doubt, Media
from sipguard.decide.exempt import Exempt
from sipguard.decide.feeds import Feeds
from sipguard.decide.force import Force
from sipguard.decide.judge import Judge
from sipguard.decide.ledger import Ledger
from sipguard.detect.catalogue import Detector, Detectors, consequences
from sipguard.detect.listeners import Listeners
from sipguard.endings import Endings
from sipguard.event import Asked, AuthFailed, CallEnded, CallEvent, Event, Recalled, Registered, Standing, Unregistered
from sipguard.explain import Parts, why
from sipguard.intake import Heard, Intake, Passage
from sipguard.learning import Learning
from sipguard.meanings import Meanings
from sipguard.model import (
    NOWHERE,
    Action,
    Alert,
    Clock,
    Decision,
    DecisionVerdict,
    Enforced,
    Feed,
    Flow,
    Frame,
    Held,
    Hook,
    Instant,
    Lookups,
    Names,
    Order,
    OrderVerb,
    Origin,
    Rates,
    Record,
    Role,
    Sensor,
    SetName,
    Sheet,
    State,
    Verdict,
)
from sipguard.policy.schema import Mode, Policy, Strangers
from sipguard.policy.wants import force_of, house_of, names_of
from sipguard.senses import Senses
from sipguard.tolls import Tolls
from sipguard.track.journal import Journal
from sipguard.track.sides import Sides
from sipguard.track.tracker import Tracker
from sipguard.track.trust import Trusts
from sipguard.trusting import Trusting
from sipguard.verdicts import Verdicts

Input: TypeAlias = model.Input | Policy

_NOTHING: tuple[Action, ...] = ()
_NEVER: Instant = 1 << 63
# Bound once: in Python 3.11 a look-up of an enumeration's member costs as much as a small function.
_STRANGER, _TRUSTED, _EXEMPT = Standing.STRANGER, Standing.TRUSTED, Standing.EXEMPT
_PREROUTING, _OUTPUT, _CLOSED = Hook.PREROUTING, Hook.OUTPUT, Strangers.CLOSED
_GATE, _REHEARSAL = Origin.GATE, Origin.REHEARSAL
_HELD_MOST = 1_100_000


class Engine:
    """Decides. Inputs come in the order of their time; time never goes backwards (an earlier one is taken as now)."""

    def __init__(self, policy: Policy, state: State, look: Lookups = NOWHERE) -> None:
        """Begin with a policy and what earlier `Record` deltas fold to; what that calls for is in the first actions."""
        self._policy = policy
        self._look = look
        self._now: Instant = 0
        self._frames = self._findings = self._flows = 0
        self._clock_offset = 0
        self._senses = Senses()
        self._exempt = Exempt()
        self._sides = Sides(policy.ports)
        self._intake = Intake(policy.ports, self._shut)
        self._force = Force(force_of(policy), _HELD_MOST)
        told = self._meanings = Meanings(policy, self._exempt, self._force.ledger.trusts)
        self._learning = Learning()
        self._notes = self._learning.notes
        asked = told.trunk, self._wake, told.read, told.price, told.sent, self._notes
        self._tracker = Tracker(policy.track, self._sides, self._standing, *asked)
        self._endings = Endings(self._tracker.calls.shares, managed=policy.shell.managed)
        self._tolls = Tolls(policy, told, self._tracker.calls, self._force, look, self._happened, self._end)
        self._blocked = self._force.ledger.blocked
        self._trusts = Trusts(policy.track.registrations, self._force.wards.doubts)
        owned, known, window = self._sides.owns, self._trusts.accounts, policy.detect.credentials.window
        self._judge = Judge(self._force, consequences(policy.detect), self._exempt, owned, known)
        self._trusting = Trusting(self._trusts, self._force, self._judge, self._wake, window, self._notes)
        self._trusting.costs = lambda place: Role.TRUNK in self._exempt.roles(place)
        self._trusting.shown = self._tracker.shown_until
        self._feeds = Feeds(self._force, self._judge.spared)
        self._journal = Journal()
        parts = self._intake, self._tracker, self._sides, self._judge, self._force, self._trusts, self._exempt
        self._verdicts = Verdicts(policy, *parts, self._tolls, self._hear)
        self._detectors = Detectors(look, self._notes)
        self._listeners = Listeners()
        self._set_detectors()
        self._doors: Mapping[type, Callable[[Instant, Any], Sequence[Action]]] = {
            Order: self._order,
            Sensor: self._senses.sensed,
            Enforced: self._enforced,
            Names: lambda at, names: self._named(at, [names]),
            Policy: self._adopt,
            Clock: self._clock,
            Flow: self._flow,
            Feed: self._feeds.say,
            Rates: self._tolls.priced,
            Media: self._media,
        }
        self._pending: list[Action] = []  # what a restored state calls for; told at the first instant that is fed
        self._next: Instant = 0  # no deadline lies before it; kept here so that a frame costs one comparison
        self._restore(state)

    # --- The one door -------------------------------------------------------------------------------------------------

    def feed(self, at: Instant, what: Input) -> Sequence[Action]:
        """Take one input; gives what is to be done, in order. A gate frame gives exactly one `Verdict`, the last."""
        due: Sequence[Action] = _NOTHING
        if at > self._now:
            if at >= self._next:
                due = self.advance(at)
            self._now = at
        else:
            at = self._now
        if type(what) is Frame:
            done = self._frame(at, what)
            if not due and (not done or type(done[0]) is Verdict):  # nothing happened, so nothing new can fall due
                return done
        else:
            done = self._doors[type(what)](at, what)
        deadline = self.next_deadline()
        self._next = _NEVER if deadline is None else deadline
        return [*due, *done] if due else done

    def advance(self, now: Instant) -> Sequence[Action]:
        """Fire what is due up to `now`."""
        self._now = max(self._now, now)
        actions: list[Action] = []
        if not self._learning.began:  # detectors know what they knew before they hear of anything
            actions += self._learning.begin(self._now)
            self._recall(self._now, self._detectors.all)
        for event in self._tracker.advance(now):
            self._happened(event, actions)
        self._force.advance(now)
        actions += (*self._feeds.advance(now), *self._tolls.advance(now), *self._endings.advance(now))
        actions += self._learning.advance(now)
        if self._pending:
            actions = [*(_at(self._now, action) for action in self._pending), *actions]
            self._pending = []
        return actions

    def next_deadline(self) -> Instant | None:
        """Give the instant at which `advance` has something to do; None when nothing waits."""
        if self._pending:
            return self._now
        earliest = self._tracker.next_deadline()
        for part in (self._force, self._feeds, self._tolls, self._endings, self._learning):
            other = part.next_deadline()
            if other is not None and (earliest is None or other < earliest):
                earliest = other
        return earliest

    # --- Questions, without effect ------------------------------------------------------------------------------------

    def wanted(self) -> Iterator[Held]:
        """Go through every element that should be in the kernel now."""
        return self._force.ledger.wanted()

    def in_force(self) -> Ledger:
        """Give what `wanted` goes through, set by set, as it changes."""
        return self._force.ledger

    def spared(self, network: Network) -> str:
        """Say which role keeps a network from any ban; empty when none does."""
        return self._judge.spared(network)

    def doubtful(self, most: int) -> Sequence[Doubt]:
        """Give up to `most` calls that may be over, others each time; `Media` says what the kernel knows."""
        return self._tracker.calls.doubtful(most)

    def why(self, subject: Network | str | Sheet, at: Instant = 0) -> dict[str, Any]:
        """Say what is known of a subject, or of calls, accounts and limits, at `at`: `explain.py`, `callsheet.py`."""
        parts = self._judge, self._exempt, self._force, self._feeds, self._tracker, self._journal, self._detectors.all
        rest = -self._clock_offset, self._tracker.calls.live(), self._tolls.limits, self._meanings.currency
        return why(subject, max(at, self._now), Parts(*parts, *rest))

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        counts = {"frames": self._frames, "findings": self._findings, "flows": self._flows}
        parts = self._intake, self._tracker, self._trusts, self._judge, self._force, self._feeds, self._journal
        for part in (*parts, self._verdicts, self._senses, self._tolls, self._endings, self._learning, self._trusting):
            counts.update(part.counters())
        for detector in self._detectors.all:
            counts.update(detector.counters())
        return counts

    # --- Packets ------------------------------------------------------------------------------------------------------

    def _frame(self, at: Instant, frame: Frame) -> Sequence[Action]:
        self._frames += 1
        if frame.origin is _GATE:
            return self._verdicts.frame(at, frame)
        if frame.origin is _REHEARSAL:
            return self._verdicts.rehearse(at, frame)
        actions: list[Action] | None = None
        for heard in self._intake.read(at, frame):
            for event in self._tracker.hear(at, heard):
                if actions is None:
                    actions = []
                self._happened(event, actions)
        return _NOTHING if actions is None else actions

    def _hear(self, at: Instant, heard: Heard | Passage, actions: list[Action]) -> None:
        for event in self._tracker.hear(at, heard):
            self._happened(event, actions)

    def _shut(self, source: Address, hook: Hook, payload: bytes) -> bool:
        """Tell whether the kernel would have dropped this packet; what was seen before it bit is not read either."""
        if hook is _OUTPUT:
            return False
        if hook is _PREROUTING and self._sides.is_pbx(source):
            return True  # comes from outside in the PBX's own name; the kernel drops it later (ip-sysctl, log_martians)
        if self._blocked(source):
            self._feeds.met(source)
            return not self._exempt.passes(source)
        if self._policy.strangers is _CLOSED:
            answer = payload[:4] == b"SIP/"  # stands for `ct direction reply`: answers to what the PBX itself asked
            return not (answer or self._exempt.passes(source) or self._sides.is_pbx(source))
        return False

    def _happened(self, event: Event, actions: list[Action]) -> None:
        kind = type(event)
        if kind is AuthFailed or kind is Registered or kind is Unregistered:
            self._trusting.hear(event, actions)
        elif self._feeds.named and isinstance(event, Asked):
            actions.extend(self._feeds.asked(event))
        elif isinstance(event, CallEvent):
            actions.extend(self._tolls.happened(event))
            if isinstance(event, CallEnded):
                actions.extend(self._endings.heard(event))
        for handle in self._listeners.of(event):
            findings = handle(event)
            if findings:
                self._findings += len(findings)
                for finding in findings:
                    self._decided(self._judge.find(finding), actions)
        if self._notes.new:
            self._learning.soon(event.at)

    def _decided(self, told: Sequence[Action], actions: list[Action]) -> None:
        actions.extend(told)
        if told:
            actions.extend(self._tolls.decided(told))

    def _end(self, at: Instant, call: Call, why: str) -> list[Action]:
        """Have a call hung up, or say that it would be."""
        if self._policy.mode is not Mode.ENFORCE:
            who = str(call.account or call.trunk)
            return [Alert(at, "would-hang-up", who, f"call {call.key} would be ended: {why}")]
        return list(self._endings.begin(at, call, self._tracker.calls.leg(call), why))

    # --- All other inputs ---------------------------------------------------------------------------------------------

    def _order(self, at: Instant, order: Order) -> Sequence[Action]:
        if order.verb is OrderVerb.UNBAN and isinstance(order.subject, Network):
            self._verdicts.forgive(order.subject)
        if order.verb is OrderVerb.HANG_UP or order.verb is OrderVerb.RESET:
            return self._tolls.order(at, order)
        actions: list[Action] = []
        self._decided(self._judge.order(at, order), actions)
        return actions

    def _enforced(self, at: Instant, enforced: Enforced) -> Sequence[Action]:
        if enforced.ok:
            return self._take_up(at, enforced.hold) if enforced.why else _NOTHING
        return self._senses.refused(at, enforced)

    def _clock(self, _at: Instant, clock: Clock) -> Sequence[Action]:
        self._clock_offset = self._tolls.offset = clock.offset
        return _NOTHING

    def _flow(self, at: Instant, flow: Flow) -> Sequence[Action]:
        self._flows += 1
        return self._all_happened(self._tracker.flow(at, flow))

    def _media(self, at: Instant, media: Media) -> Sequence[Action]:
        return self._all_happened(self._tracker.calls.media(at, media))

    def _all_happened(self, events: Iterable[Event]) -> Sequence[Action]:
        actions: list[Action] = []
        for event in events:
            self._happened(event, actions)
        return actions

    def _named(self, at: Instant, names: Sequence[Names]) -> Sequence[Action]:
        self._exempt.say(names)
        self._sides.name(self._exempt.networks(Role.OWN) + self._exempt.networks(Role.PBX))
        actions = self._trusting.charge(at, self._exempt.networks(Role.TRUNK))
        wanted = dict.fromkeys(self._exempt.passing())
        held = dict.fromkeys(self._force.ledger.held(SetName.ALLOWED))
        new = [network for network in wanted if network not in held]
        for network in new:
            actions += self._force.hold(at, Held(SetName.ALLOWED, network), ("allowed",))
        for network in self._force.touched(new):
            actions += self._force.lift(at, network, "allowed")
        for network in held:
            if network not in wanted:
                actions += self._force.release(at, SetName.ALLOWED, network, ("no longer allowed",))
        for own in (*self._exempt.networks(Role.OWN), *self._exempt.networks(Role.PBX)):
            actions += self._force.lift(at, own, "own")
        for needed in (*self._exempt.networks(Role.LIFELINE), *self._exempt.networks(Role.OPERATOR)):
            actions += self._judge.lift(at, needed, "lock-out")
        return actions

    def _adopt(self, at: Instant, policy: Policy) -> Sequence[Action]:
        earlier, self._policy = self._policy, policy
        self._intake.listen(policy.ports)
        self._sides.listen(policy.ports)
        self._force.adopt(force_of(policy))
        self._judge.adopt(consequences(policy.detect))
        self._trusting.window = policy.detect.credentials.window
        self._verdicts.adopt(policy)
        self._tolls.adopt(at, policy)
        self._endings.adopt(managed=policy.shell.managed, acting=policy.mode is Mode.ENFORCE)
        self._set_detectors()
        self._recall(at, self._detectors.new)
        return self._named(at, names_of(policy, earlier))

    def _set_detectors(self) -> None:
        self._detectors.adopt(self._policy.detect, house_of(self._policy, self._look, lambda: self._clock_offset))
        self._learning.adopt(self._now, (self._tracker.nonces, self._trusting.homes, *self._detectors.all))
        self._listeners = Listeners((self._journal, self._verdicts, *self._detectors.all))

    def _recall(self, at: Instant, detectors: Sequence[Detector]) -> None:
        """Tell detectors which registrations stand from before they were made; it is nothing to find fault with."""
        if handlers := Listeners(detectors).of_kind(Recalled):
            for event in self._trusting.recalled(at):
                for handle in handlers:
                    handle(event)

    def _standing(self, _at: Instant, address: Address) -> Standing:
        """Say what a sender is to us now."""
        if self._exempt.passes(address) or self._sides.is_pbx(address):
            return _EXEMPT
        return _TRUSTED if self._force.ledger.trusts(address) else _STRANGER

    def _wake(self, due: Instant) -> None:
        self._next = min(self._next, due)

    def _restore(self, state: State) -> None:
        self._trusts.restore(state.trust)
        self._learning.restore(state.lessons)
        self._tracker.restore(state.trust)
        self._force.ladder.restore(state.offences)
        self._feeds.restore(state.feeds)
        self._tracker.calls.restore(state.calls, state.legs)
        self._tolls.restore(state.calls, state.resets)
        self._judge.restore(state.decisions)
        self._trusting.restore()
        for held in state.adopted:
            self._pending += self._take_up(0, held)
        self._pending += self._named(0, names_of(self._policy, None))

    def _take_up(self, at: Instant, held: Held) -> Sequence[Action]:
        """Take a ban that the kernel was found to hold for decided, unless it is known, or a list's."""
        ledger, subject = self._force.ledger, held.network
        known = held.set is not SetName.BLOCKED or ledger.until(SetName.BLOCKED, subject) is not None
        if known or self._feeds.holds(subject):
            return _NOTHING
        ledger.hold(held)
        return (Record(at, Decision(at, DecisionVerdict.BLOCK, subject, held.until, ("adopted",), "adopted")),)


def _at(now: Instant, action: Action) -> Action:
    """Date an action that was made before there was a time."""
    if isinstance(action, Record):
        what = action.what
        return Record(now, replace(what, at=now) if isinstance(what, Decision) else what)
    return action if isinstance(action, Verdict) else replace(action, at=now)
