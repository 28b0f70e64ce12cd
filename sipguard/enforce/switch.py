"""What the kernel is made to do: nothing at all, be looked at, or hold what is decided. One place that changes it.

Promises: passing from one to another leaves every other tool's rules alone; what was held before an *enforce* stays
held throughout; after an *observe* or *off* no packet meets any rule that could stop it. Decides about no address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import groupby, islice

from sipguard.address import Network
from sipguard.enforce.audit import Auditor
from sipguard.enforce.backend import Kernel, chosen, made
from sipguard.enforce.base import Enforcer, Layout, Plan
from sipguard.enforce.counting import Counting
from sipguard.enforce.dryrun import DryRun
from sipguard.enforce.gating import Gating
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.mender import Mender
from sipguard.enforce.monitor import Monitor
from sipguard.enforce.netlink import Netlink
from sipguard.enforce.nft import Nft
from sipguard.enforce.panic import open_others
from sipguard.enforce.reconcile import is_host, plan
from sipguard.enforce.rehanger import Rehanger
from sipguard.enforce.ruletext import TABLE
from sipguard.enforce.sides import InForce
from sipguard.enforce.skeleton import FLOODS
from sipguard.errors import AdapterError
from sipguard.model import MINUTE, Enforced, Held, Instant, Sensor, SensorKind, SetName
from sipguard.netfilter import sets
from sipguard.netset import NetSet, plain

AT_ONCE = 20_000
"""Elements that a stance is taken with at once; more come slice by slice."""

_QUEUEING = b"mangle\0"  # the table of iptables that queues where nft cannot


class Stance(StrEnum):
    """What we do to the kernel."""

    OFF = "off"
    OBSERVE = "observe"
    ENFORCE = "enforce"


class Switch:
    """Holds the enforcer of the present stance. `layout.observe` is set here, whatever is handed in."""

    def __init__(self, layout: Layout, now: Callable[[], Instant]) -> None:
        """Begin with remembering only; the kernel is not touched. Raises AdapterError without a netlink socket."""
        self.stance = Stance.OFF
        self._now = now
        self.unread = False
        self._quiet_until: Instant = 0
        self._flooded = 0
        self._alone = False
        self._kernel: Kernel = made(layout, now)
        self._asking = Netlink()
        self._counting = Counting(now, FLOODS)
        self._monitor = Monitor(_QUEUEING)
        self._gating = Gating(now)
        self._auditor = Auditor(now)
        self._mender: Mender | Rehanger | None = None
        self._acting: Enforcer = DryRun(now)

    def close(self) -> None:
        """Open the gate, and close the sockets; rules and elements stay as they are."""
        self._gating.close()
        self._kernel.close()
        self._asking.close()
        self._counting.close()
        self._monitor.close()
        self._auditor.close()

    def held(self) -> frozenset[Held]:
        """Tell what the kernel holds, whatever the stance. Raises AdapterError."""
        return self._kernel.held()

    def found(self) -> frozenset[Held]:
        """Tell what a guard before us left in the kernel, but for sets too large to be read at a start: see `find`.

        `unread` tells whether there is any such. Raises AdapterError.
        """
        if not isinstance(self._kernel, Nft):
            return self._kernel.held()
        held, unread = self._kernel.found()
        self.unread = bool(unread)
        return held

    def find(self, host: object) -> list[Enforced]:
        """Tell of a host's ban that stands in the kernel and was not read at the start, if any. Never raises."""
        if not (self.unread and isinstance(host, Network) and isinstance(self._kernel, Nft)):
            return []
        try:
            held = self._kernel.find(plain(host))
        except AdapterError:
            return []
        return [] if held is None else [Enforced(held, ok=True, why="found")]

    def hold(self, held: Held) -> Enforced:
        """Put one element in, or only remember it. Never raises."""
        return self._acting.hold(held)

    def release(self, held: Held) -> Enforced:
        """Take one element out, or only forget it. Never raises."""
        return self._acting.release(held)

    def enact(self, wishes: Sequence[tuple[bool, Held]], wanted: InForce) -> list[Enforced]:
        """Hold (True) or release many, in their order; networks that stand together in one transaction. Never raises.

        `wanted` is what is in force once all is done. Many networks that go are let go a moment later (`sides.py`).
        """
        answers: list[Enforced] = []
        why: str | None = None  # what is wrong with the allowlist, once it was seen to
        kernel = self._kernel if self._acting is self._kernel else None
        for (hold, kind), group in groupby(wishes, key=lambda wish: (wish[0], _kind(wish[1]))):
            helds = [held for _hold, held in group]
            if kind is SetName.ALLOWED and len(helds) > 1 and self._mender is not None and kernel is not None:
                why = self._allow(self._mender, wanted) if why is None else why
                answers += [Enforced(held, ok=not why, why=why) for held in helds]
            elif kind is SetName.BLOCKED and isinstance(kernel, Nft | Ipsets):
                answers += kernel.hold_all(helds) if hold else kernel.release_all(helds, wanted)
            else:
                answers += [(self._acting.hold if hold else self._acting.release)(held) for held in helds]
        return answers

    @staticmethod
    def _allow(mender: Mender | Rehanger, wanted: InForce) -> str:
        try:
            mender.allow(wanted)
        except AdapterError as error:
            return error.what
        return ""

    def protect(self, never: Sequence[Network]) -> None:
        """Name the addresses that nothing harmful may hold."""
        self._acting.protect(never)

    def counted(self) -> dict[str, int]:
        """Give how many packets each of our counters has seen; empty without our table. Raises AdapterError.

        With iptables, as they were a few seconds ago (`counting.py`).
        """
        if isinstance(self._kernel, Ipsets):
            return self._counting.counted()
        sequence = self._asking.next_sequence()
        answers, _code = self._asking.ask(sets.dump_counters(TABLE, sequence), sequence)
        read = (sets.counter(answer.body) for answer in answers)
        return {name: packets for name, packets, _octets in filter(None, read)}

    def floods(self) -> Sequence[Sensor]:
        """Tell what was dropped for coming too fast since last asked, and who was the fastest. Never raises.

        To be called each second: with iptables, this is what keeps counters up to date.
        """
        try:
            if isinstance(self._kernel, Ipsets):
                return self._floods_by_rules(self._kernel)
            counted = self.counted()
            self._gating.counted(counted.get("unheld", 0))
            now = sum(counted.get(name, 0) for name in FLOODS)
            before, self._flooded = self._flooded, now
            fastest = self._kernel.fastest() if isinstance(self._kernel, Nft) and now != before else ""
            more = now - before if now >= before else now  # a new table counts from nothing
            return [Sensor(SensorKind.FLOOD, more, fastest)] if more else []
        except AdapterError:
            return []

    def _floods_by_rules(self, kernel: Ipsets) -> Sequence[Sensor]:
        if self.stance is not Stance.OFF:
            self._counting.look(standing=kernel.legacy())
        more, (lost, rule) = self._counting.fresh(), self._counting.unjudged()
        told = [Sensor(SensorKind.FLOOD, more, kernel.fastest())] if more else []
        return [*told, Sensor(SensorKind.GATE_LOST, lost, rule)] if lost else told

    # --- Against what others do ---------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Give the descriptor to poll: readable when somebody has changed the kernel's rules."""
        return self._monitor.fileno()

    @property
    def busy(self) -> bool:
        """Tell whether something is being put right: then `mend` is to be called again soon."""
        return self._mender is not None and self._mender.busy

    def mend(self, now: Instant, wanted: InForce) -> str | None:
        """Put right what somebody else has changed, one slice of it. Raises AdapterError.

        None: nobody has removed or changed our rules. A text: somebody did, before anything is done about it; an empty
        one where that was said within the last minute.
        """
        if self._mender is None:
            self._monitor.forget()
            return None
        told = self._mender.step(now, wanted)
        self._gating.mend(now, heard=self._monitor.said_beside())
        if told and now < self._quiet_until:
            return ""
        if told:
            self._quiet_until = now + MINUTE
        return told

    def agreement(self) -> dict[str, int]:
        """Give desired against actual: how much should be held, how much is, what was done about the difference."""
        if self._mender is None:
            return {}
        return {**self._mender.counters(), "requeued": self._gating.requeued, "uncounted": self._counting.failed}

    # --- The gate -----------------------------------------------------------------------------------------------------

    @property
    def gate(self) -> str:
        """Say what queues packets for a verdict at present; empty: nothing does, and no packet waits."""
        return self._gating.by

    @property
    def gate_fault(self) -> str:
        """Say why no packet waits although the policy wants it; else empty."""
        return self._gating.fault

    def gating(self, fault: str = "") -> dict[str, str]:
        """Give what queues packets, if anything does, and why nothing does although the policy wants it."""
        return {"by": self._gating.by, "fault": self._gating.fault or fault}

    def due(self) -> Instant:
        """Give when `mend` and `judging` are to be called again: at once while there is something to put right."""
        if self.busy:
            return 0
        return self._gating.due() if self._knowing() else 1 << 63

    def judging(self, now: Instant) -> None:
        """Say that somebody answers for packets that wait; unless it is said again, the gate opens within a second.

        It stays open while known devices are not back in the kernel: they would wait in the crowd of strangers.
        """
        if self._knowing():
            self._gating.judging(now)
        else:
            self._gating.lapsed()

    def _knowing(self) -> bool:
        return self._mender is not None and self._mender.knowing

    # --- Stances ------------------------------------------------------------------------------------------------------

    def take(
        self,
        stance: Stance,
        layout: Layout,
        wanted: Iterable[Held],
        never: Sequence[Network],
        *,
        adding_only: bool = False,
    ) -> list[Enforced]:
        """Take a stance; gives what the kernel did not take of what is wanted. Raises AdapterError.

        With `adding_only`, nothing is taken out: for when it is not known what is wanted.
        """
        layout = replace(layout, observe=stance is not Stance.ENFORCE, backend=chosen(layout))
        layout = self._gating.fitted(layout)
        self._mender = None
        self._kernel.close()
        self._renew(layout)
        listed: list[Held] = []
        if stance is Stance.ENFORCE:
            listed = list(islice(wanted, AT_ONCE + 1))  # the allowlist comes first
            refused = self._enforce(listed, never, adding_only=adding_only)
        else:
            self._open(stance)
            refused = []
            dry = DryRun(self._now)
            dry.protect(never)
            self._acting = dry
        self._gating.taken(layout)
        if stance is Stance.OFF:
            self._counting.close()
        self.stance = stance
        self._mender = None if stance is Stance.OFF else self._mending(removing=not adding_only)
        if self._mender is not None and len(listed) > AT_ONCE:
            self._mender.begin()
        return refused

    def _renew(self, layout: Layout) -> None:
        """Make the back end that the layout asks for; another one than before leaves nothing behind."""
        earlier = type(self._kernel)
        self._kernel = made(layout, self._now)
        if not self._alone:  # the guard before us may have had another one; best effort, as its bans run out anyway
            self._alone = True
            open_others(layout.backend)
            self.floods()  # what was dropped before us was told before us
        if earlier is not type(self._kernel):
            self._counting.close()
            old = Nft(layout, self._now) if earlier is Nft else Ipsets(layout, self._now)
            if earlier is not DryRun:
                old.uninstall()
            old.close()

    def _mending(self, *, removing: bool) -> Mender | Rehanger | None:
        enforce, kernel = self._acting is self._kernel, self._kernel
        if isinstance(kernel, Nft):
            ours = (self._gating.port,)
            return Mender(kernel, self._monitor, self._auditor, ours, enforce=enforce, removing=removing)
        if isinstance(kernel, Ipsets):
            return Rehanger(kernel, self._monitor, self._now(), enforce=enforce, removing=removing)
        return None

    def _enforce(self, wanted: list[Held], never: Sequence[Network], *, adding_only: bool) -> list[Enforced]:
        self._acting = self._kernel
        self._kernel.protect(never)
        lasting = [held for held in wanted if held.set is SetName.ALLOWED]
        if isinstance(self._kernel, Nft) and not self._kernel.shape():
            self._kernel.install_anew(plan(lasting, (), NetSet()).add)
        else:
            self._kernel.install()
        if len(wanted) > AT_ONCE:  # the mender brings them in, the newest first, while packets are read
            return []
        change = plan(wanted, self._kernel.held(), NetSet(never))
        if adding_only:
            change = Plan(change.add, (), change.refresh)
        done = self._kernel.apply(change)
        return [each for each in done if not each.ok]

    def _open(self, stance: Stance) -> None:
        """Leave nothing that stops a packet, and no element that could come back into force one day."""
        if stance is Stance.OFF:
            self._kernel.uninstall()
            return
        if any(self._kernel.found()) if isinstance(self._kernel, Nft) else self._kernel.held():
            self._kernel.uninstall()
        self._kernel.install()


def _kind(held: Held) -> SetName | None:
    """Give the set whose elements are better changed together: those of networks."""
    together = held.set is SetName.ALLOWED or (held.set is SetName.BLOCKED and not is_host(held.network))
    return held.set if together else None
