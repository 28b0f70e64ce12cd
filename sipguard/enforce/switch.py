"""What the kernel is made to do: nothing at all, be looked at, or hold what is decided. One place that changes it.

Promises: passing from one to another leaves every other tool's rules alone; what was held before an *enforce* stays
held throughout; after an *observe* or *off* no packet meets any rule that could stop it. Decides about no address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Literal

from sipguard.address import Network
from sipguard.enforce import queueing
from sipguard.enforce.alive import Alive
from sipguard.enforce.base import Enforcer, Layout, Plan
from sipguard.enforce.dryrun import DryRun
from sipguard.enforce.netlink import Netlink
from sipguard.enforce.nft import Nft
from sipguard.enforce.reconcile import plan
from sipguard.enforce.ruletext import TABLE
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Enforced, Held, Instant, Span
from sipguard.netfilter import sets
from sipguard.netset import NetSet

MENDING: Span = 10 * SECOND
"""How often at most rules of iptables are put back; a full queue looks the same as a flushed rule."""


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
        self._layout = layout
        self._kernel = Nft(layout, now)
        self._asking = Netlink()
        self._alive = Alive()
        self._acting: Enforcer = DryRun(now)
        self.gate: Literal["", "nft", "iptables"] = ""  # what queues for the gate at present; empty: nothing does
        self.gate_fault = ""
        self._unheld = 0
        self._mended: Instant = 0

    def close(self) -> None:
        """Open the gate, and close the sockets; rules and elements stay as they are."""
        if self.gate:
            self._alive.unsay()
        self._kernel.close()
        self._asking.close()
        self._alive.close()

    def due(self) -> Instant:
        """Give when that is to be said again; far off where nothing is held."""
        return self._alive.due if self.gate else 1 << 63

    def judging(self, now: Instant) -> None:
        """Say that somebody answers for held packets; unless it is said again, the gate opens within a second."""
        if self.gate:
            self._alive.say(now)

    def held(self) -> frozenset[Held]:
        """Tell what the kernel holds, whatever the stance. Raises AdapterError."""
        return self._kernel.held()

    def hold(self, held: Held) -> Enforced:
        """Put one element in, or only remember it. Never raises."""
        return self._acting.hold(held)

    def release(self, held: Held) -> Enforced:
        """Take one element out, or only forget it. Never raises."""
        return self._acting.release(held)

    def protect(self, never: Sequence[Network]) -> None:
        """Name the addresses that nothing harmful may hold."""
        self._acting.protect(never)

    def counted(self) -> dict[str, int]:
        """Give how many packets each of our counters has seen; empty without our table. Raises AdapterError."""
        sequence = self._asking.next_sequence()
        answers, _code = self._asking.ask(sets.dump_counters(TABLE, sequence), sequence)
        read = (sets.counter(answer.body) for answer in answers)
        return {name: packets for name, packets, _octets in filter(None, read)}

    def missing(self) -> bool:
        """Tell whether our table should be there and is not. Raises AdapterError.

        Rules of iptables that others have flushed are put back: what was marked and nobody held tells of it.
        """
        if self.stance is Stance.OFF:
            return False
        counted = self.counted()
        unheld, earlier = counted.get("unheld", 0), self._unheld
        self._unheld = unheld
        if self.gate == "iptables" and unheld > earlier and self._now() >= self._mended + MENDING:
            self._mended = self._now()
            queueing.install(self._layout)
        return not counted

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
        layout = replace(layout, observe=stance is not Stance.ENFORCE)
        layout = replace(layout, gate=self._queued_by(layout) if layout.gated else "")
        if self.gate and not layout.gate:
            self._alive.unsay()
        self._kernel.close()
        self._kernel = Nft(layout, self._now)
        if stance is Stance.ENFORCE:
            refused = self._enforce(list(wanted), never, adding_only=adding_only)
        else:
            self._open(stance)
            refused = []
            dry = DryRun(self._now)
            dry.protect(never)
            self._acting = dry
        if layout.gate != "iptables":
            queueing.remove()
        self._layout, self.gate = layout, layout.gate
        self.stance = stance
        return refused

    def _queued_by(self, layout: Layout) -> Literal["", "nft", "iptables"]:
        """Find what can queue here; with nothing that can, calls flow and `gate_fault` says why they are not held."""
        self.gate_fault = ""
        if queueing.nft_can_queue():
            return "nft"
        try:
            queueing.install(layout)
        except AdapterError as error:
            self.gate_fault = error.what
            return ""
        return "iptables"

    def _enforce(self, wanted: list[Held], never: Sequence[Network], *, adding_only: bool) -> list[Enforced]:
        self._kernel.protect(never)
        self._kernel.install()
        change = plan(wanted, self._kernel.held(), NetSet(never))
        if adding_only:
            change = Plan(change.add, (), change.refresh)
        done = self._kernel.apply(change)
        self._acting = self._kernel
        return [each for each in done if not each.ok]

    def _open(self, stance: Stance) -> None:
        """Leave nothing that stops a packet, and no element that could come back into force one day."""
        if stance is Stance.OFF:
            self._kernel.uninstall()
            return
        if self._kernel.held():
            self._kernel.uninstall()
        self._kernel.install()
