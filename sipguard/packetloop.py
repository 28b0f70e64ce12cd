"""The packet process: reads, decides, and writes to the kernel. A plain poll loop: no asyncio, no names, no database.

Promises: what was banned is back in the kernel before the first packet is read, and stays there when this process ends,
however it ends; a keeper that is stuck, slow or dead keeps neither phones nor bans from working; no frame ends the
loop. Time is CLOCK_BOOTTIME; the wall clock is only an input of the engine's.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sipguard.address import Network
from sipguard.capture.clock import boottime
from sipguard.capture.door import Door
from sipguard.capture.ears import Ears
from sipguard.capture.quarantine import Quarantine
from sipguard.capture.waiting import Waiting
from sipguard.control.link import Link
from sipguard.control.memory import Memory
from sipguard.control.notify import Notify
from sipguard.control.orders import Answer, Args, asked_about, order_of, outcome, serve
from sipguard.control.pair import Message
from sipguard.control.signals import Signals
from sipguard.enforce.base import MARK
from sipguard.enforce.gaterules import BITS
from sipguard.enforce.speaking import Speaker
from sipguard.enforce.switch import Stance, Switch
from sipguard.engine import Engine, Input
from sipguard.errors import AdapterError, PolicyError
from sipguard.geo.places import Places
from sipguard.model import (
    MILLISECOND,
    SECOND,
    Action,
    Clock,
    Enforced,
    Frame,
    Hold,
    Instant,
    Names,
    OrderVerb,
    Release,
    Role,
    SetName,
    Span,
    State,
    Verdict,
)
from sipguard.policy.load import load
from sipguard.policy.schema import Mode, Policy
from sipguard.rig import AT_ONCE, DRAINS, LONGEST, PATIENCE, SHOWN, SLACK, acting, layout_of


class PacketLoop:
    """One life of the packet process. `text` is the policy as it was read from `path`."""

    def __init__(self, path: Path, text: str, policy: Policy, environment: Mapping[str, str]) -> None:
        self._policy, self._text = policy, text
        self._engine = Engine(policy, State())
        self._notify = Notify(environment.get("NOTIFY_SOCKET", ""))
        self._link = Link(
            lambda end: (sys.executable, "-P", "-m", "sipguard.keeper", "--fd", str(end), "--policy", str(path)),
            {name: value for name, value in environment.items() if name != "NOTIFY_SOCKET"},
            lambda: {"mode": str(self._stance()), "pid": os.getpid(), "policy": self._text},
            time.time_ns() - boottime(),
        )
        self._switch = Switch(layout_of(policy), boottime)
        store = Path(policy.shell.store.path)
        self._marker = store.with_name("off")  # its being there means: stay open
        self._quarantine = Quarantine(store.with_name("quarantine.pcap"))
        self._ears, self._waiting = Ears(), Waiting()
        self._speaker = Speaker(MARK, boottime)
        self._door = Door(self._speaker.refuse)
        self._places = Places(lambda why: self._link.alert("no-geoip", "", why))
        self._signals = Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD))
        self._memory = Memory()
        self._override: Mode | None = None
        self._off = self._answered = self._stopping = False
        self._refused: deque[Enforced] = deque(maxlen=100)  # what the kernel did not take since the last request
        self._began = self._next_second = self._next_timer = boottime()
        self._verbs: Mapping[str, Callable[[Args], Answer]] = {
            **dict.fromkeys(OrderVerb, self._order),
            "why": lambda args: (True, self._engine.why(asked_about(args), boottime())),
            "status": lambda _: (True, self._status()),
            "enforce": lambda _: self._change(mode=Mode.ENFORCE),
            "observe": lambda _: self._change(mode=Mode.OBSERVE),
            "off": lambda _: self._change(off=True),
            "on": lambda _: self._change(off=False),
        }

    # --- Start and end ------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Live until a signal ends us; gives the exit code. Raises AdapterError when the start fails."""
        try:
            self._memory.pause()
            self._await_state()
            if not self._stopping:
                self._begin()
                self._memory.settle()
                self._notify.ready()
            if self._quarantine.fault:
                self._link.alert("no-quarantine", "", self._quarantine.fault)
            while not self._stopping:
                self._turn()
        finally:
            self._close()
        return 0

    def _close(self) -> None:
        """Take leave. Whatever is in the kernel stays."""
        self._notify.stopping()
        self._link.leave()
        for part in (self._ears, self._switch, self._door, self._speaker, self._quarantine, self._signals):
            part.close()
        self._notify.close()

    def _await_state(self) -> None:
        """Wait for what the keeper has kept, as long as it comes."""
        began = heard = boottime()
        while not self._stopping and not self._answered:
            now = boottime()
            if now > min(heard + PATIENCE, began + LONGEST):
                self._link.alert("keeper-late", "", "going on with what the kernel holds until the keeper answers")
                self._off = self._marker.exists()
                return
            self._link.mind(now)
            self._sleep(100 * MILLISECOND)
            if self._mind_keeper(begun=False):
                heard = boottime()

    def _begin(self) -> None:
        """Build the engine from all that is known, and put in force what it wants. Raises AdapterError."""
        held = self._switch.found()
        self._places.load(self._policy.shell.geoip.files)
        self._engine = Engine(self._policy, self._link.take_state(held), self._places.look)
        for said in (Clock(self._link.offset), Names(Role.OWN, "host", self._ears.own), *self._link.names()):
            self._feed(boottime(), said)
        if (held or self._switch.unread) and self._stance() is Stance.OBSERVE and not self._link.restored:
            self._override = Mode.ENFORCE  # it did until now, and nobody can be asked
        self._take(self._stance(), adding_only=not self._link.restored)

    # --- One turn -----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._sleep(max(0, min(self._next_second, self._timer(), self._switch.due()) - boottime()))
        drained = self._read_packets()
        if self._waiting.heard(self._link.pair) or self._link.pair.wanting:
            self._mind_keeper()
        now = boottime()
        if self._waiting.heard(self._switch) or now >= self._switch.due():
            self._mend(now)
        if drained and now >= self._timer():
            self._feed(now - SLACK, None)
        if now >= self._next_second:
            self._next_second = now + SECOND
            self._each_second(now, idle=drained)
        self._link.pair.flush()

    def _read_packets(self) -> bool:
        """Read the tap, then judge what was held before; False when more of the tap waits."""
        self._switch.judging(boottime())
        held, drained = self._door.read(self._waiting.heard), True
        tapped = len(held) > 1 or self._waiting.heard(self._ears)  # nothing there is older than a packet held alone
        for _ in range((DRAINS if held else 1) * tapped):
            frames, now = self._ears.read(AT_ONCE), boottime()
            for frame in frames:
                self._feed(now, frame)
            if drained := len(frames) < AT_ONCE:
                break
        for frame in held:
            self._door.answer(frame, self._feed(boottime(), frame))
        return drained

    def _sleep(self, span: Span) -> None:
        """Wait for a packet, the keeper or a signal, at most for so long."""
        pair = self._link.pair
        # The tap after the queues: what is not there then is not older than what was found in them.
        sources = self._signals, *((pair,) if pair.open else ()), *self._door.gates, self._ears, self._switch
        self._waiting.wait(sources, pair if pair.wanting else None, span)
        if not self._waiting.heard(self._signals):
            return
        numbers = self._signals.take()
        self._stopping = self._stopping or signal.SIGTERM in numbers or signal.SIGINT in numbers
        if signal.SIGHUP in numbers:
            self._link.reload()

    def _timer(self) -> Instant:
        """Say when time alone must be fed: late enough that it overtakes no packet already captured."""
        due = self._engine.next_deadline()
        return self._next_second if due is None else max(due + SLACK, self._next_timer)

    def _each_second(self, now: Instant, *, idle: bool) -> None:
        self._notify.alive()
        self._link.mind(now)
        if self._link.stepped(time.time_ns() - boottime()):
            self._feed(now, Clock(self._link.offset))
        heard = self._ears.told(now, self._engine.doubtful)
        for said in (*heard, *self._door.sensors(), *self._switch.floods()):
            self._feed(now, said)
        self._look()
        self._memory.collect(boottime, idle=idle)

    def _look(self) -> None:
        """See whether what should be there is there, and whether we still live at the same addresses."""
        counts = self._engine.counters()
        self._notify.status(f"{self._switch.stance}: {counts['held_blocked']} banned, {counts['held_trusted']} trusted")
        try:
            if self._ears.moved():
                self._switch.protect(self._never())
                self._feed(boottime(), Names(Role.OWN, "host", self._ears.own))
            deaf = self._ears.deaf and self._stance() is not Stance.OFF
            if deaf or (self._switch.gate and not self._door.held):
                self._off = self._off or self._marker.exists()  # `sipguard off` with a dead keeper
                why = self._ears.fault or self._door.fault
                self._take(self._stance())
                self._link.alert("restored", "", f"{why}; now: {self._switch.stance}")
        except AdapterError as error:
            self._link.alert("not-restored", "", str(error))

    def _mend(self, now: Instant) -> None:
        """See that what is decided is what the kernel holds, whoever changed it; a slice of that at a time."""
        try:
            told = self._switch.mend(now, self._engine.in_force())
            if told is not None and self._marker.exists():  # `sipguard off` with a dead keeper
                self._off = True
                self._take(self._stance())
            if told:
                self._link.alert("restored", "", f"{told}; now: {self._switch.stance}")
        except AdapterError as error:
            self._link.alert("not-restored", "", str(error))

    # --- The engine, and what it wants done ---------------------------------------------------------------------------

    def _feed(self, at: Instant, what: Input | None) -> Sequence[Action]:
        """Feed an input, or only time; do and give what comes of it. The one place where a bug is caught."""
        try:
            actions = self._engine.advance(at) if what is None else self._engine.feed(at, what)
        except Exception as bug:  # noqa: BLE001 - the frame is accepted, counted and kept: calls flow
            self._stumbled(at, what, bug)
            return ()
        if actions and type(actions[0]) is not Verdict:  # that comes last: then there is nothing else to do
            self._do(at, actions)
        return actions

    def _do(self, at: Instant, actions: Sequence[Action]) -> None:
        """First what the kernel is to do, microseconds each; then tell of it."""
        wishes = [(isinstance(action, Hold), action.held) for action in actions if isinstance(action, Hold | Release)]
        answers = self._switch.enact(wishes, self._engine.in_force())
        if any(held.set is SetName.ALLOWED for _hold, held in wishes):
            self._switch.protect(self._never())
        self._speaker.perform(actions)
        for action in actions:
            self._link.tell(action)
        for answer in answers:
            if not answer.ok:
                self._refused.append(answer)
            self._feed(at, answer)

    def _stumbled(self, at: Instant, what: Input | None, bug: Exception) -> None:
        """Count a bug and keep the frame; where it is will be told."""
        if isinstance(what, Frame):
            self._quarantine.keep(what.packet, at + self._link.offset)
        else:
            self._next_timer = at + SECOND  # the same timer must not be tried over and over
        if text := self._quarantine.note(bug, at):
            self._link.alert("bug", type(what).__name__, text)

    def _never(self) -> list[Network]:  # no ban may hold these
        return [*self._ears.own, *self._policy.pbx, *self._engine.in_force().held(SetName.ALLOWED)]

    # --- What is done to the kernel -----------------------------------------------------------------------------------

    def _stance(self) -> Stance:
        return Stance.OFF if self._off else Stance(self._override or self._policy.mode)

    def _take(self, stance: Stance, *, adding_only: bool = False) -> None:
        """Take a stance; the tap first, as a second guard is stopped by it. Raises AdapterError."""
        layout, tap = layout_of(self._policy), self._policy.shell.tap
        if stance is Stance.OFF:
            self._ears.stop()
        else:
            self._ears.listen(tap.group, tap.buffer, rehearsal=stance is Stance.OBSERVE and self._policy.gate)
        wished = stance is Stance.ENFORCE and self._policy.gate
        if wished:
            self._door.open(layout.queues, BITS)
            layout = layout if self._door.held else replace(layout, gate="")
        self._feed(boottime(), acting(self._policy, enforce=stance is Stance.ENFORCE))
        refused = self._switch.take(stance, layout, self._engine.wanted(), self._never(), adding_only=adding_only)
        if not self._switch.gate:
            self._door.close(forget=not wished)
        if fault := self._door.fault or self._switch.gate_fault:
            self._link.alert("no-gate", "", f"nothing is held, decisions bite a packet later: {fault}")
        self._refused.extend(refused)
        for each in refused[:SHOWN]:
            self._feed(boottime(), each)

    # --- The keeper ---------------------------------------------------------------------------------------------------

    def _mind_keeper(self, *, begun: bool = True) -> bool:
        """Take what it has sent, and tell whether that was anything; a fault in it is no reason to stop."""
        self._link.pair.flush()
        before = self._link.heard
        while begun or not self._answered:
            try:
                message = self._link.next()
                if message is None:
                    break
                self._hear(message, begun=begun)
            except (KeyError, TypeError, ValueError) as error:
                self._link.alert("keeper-misunderstood", "", repr(error))
            except (AdapterError, PolicyError) as error:
                self._link.alert("not-done", "", str(error))
        return self._link.heard != before

    def _hear(self, message: Message, *, begun: bool) -> None:
        kind = message["t"]
        if kind == "request":
            self._refused.clear()
            self._link.pair.send(serve(message, self._verbs))
        elif kind in {"names", "feed", "rates"}:
            self._feed(boottime(), self._link.named(message))
        elif kind == "policy":
            self._adopt(message)
        elif kind == "state-end":
            self._state_ended(message, begun=begun)

    def _state_ended(self, message: Message, *, begun: bool) -> None:
        """Take the operator's switches; a state that came late is taken up by an engine made anew."""
        self._answered = True
        complete = message["complete"] is True
        late = begun and complete and not self._link.restored
        self._link.restored = self._link.restored or complete
        if message["mode"] or late:  # what was assumed for want of an answer ends with the answer
            self._override = Mode(message["mode"]) if message["mode"] else None
        self._off = message["off"] is True
        if late:
            self._begin()
        elif begun and self._switch.stance is not self._stance():
            self._take(self._stance())

    def _adopt(self, message: Message) -> None:
        """Go by a new policy from here on. Raises PolicyError, AdapterError."""
        policy = load(message["text"])
        self._notify.reloading(time.monotonic_ns())
        earlier = layout_of(self._policy), self._stance()
        self._policy, self._text = policy, message["text"]
        self._override = Mode(message["mode"]) if message["mode"] else None
        self._places.load(policy.shell.geoip.files)
        try:
            self._feed(boottime(), acting(policy, enforce=self._stance() is Stance.ENFORCE))
            if (layout_of(policy), self._stance()) != earlier:
                self._take(self._stance())
        finally:
            self._notify.ready()

    # --- Requests -----------------------------------------------------------------------------------------------------

    def _order(self, args: Args) -> Answer:
        order = order_of(args)
        for found in self._switch.find(order.subject):
            self._feed(boottime(), found)
        return outcome(order, self._feed(boottime(), order), self._refused, self._link.offset)

    def _change(self, *, mode: Mode | None = None, off: bool | None = None) -> Answer:
        """Change the operator's switches. Raises AdapterError; the switches are then as they were."""
        earlier = self._override, self._off
        self._override, self._off = mode or self._override, self._off if off is None else off
        try:
            self._take(self._stance())
        except AdapterError:
            self._override, self._off = earlier
            raise
        return True, {**self._switches(), "refused": len(self._refused)}

    def _switches(self) -> dict[str, Any]:
        return {"mode": str(self._override or self._policy.mode), "off": self._off}

    def _status(self) -> dict[str, Any]:
        return self._switches() | {
            "pid": os.getpid(),
            "uptime": (boottime() - self._began) // SECOND,
            "restored": self._link.restored,
            **self._quarantine.counters(),
            "counters": self._engine.counters(),
            "link": self._link.counters(),
            "tap": self._ears.counters(),
            "gate": {**self._switch.gating(self._door.fault), **self._door.counters(), **self._speaker.counters()},
            "kernel": self._switch.counted(),
            "enforced": self._switch.agreement(),
            "geo": self._places.counters(),
        }
