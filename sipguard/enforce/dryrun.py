"""An enforcer that only remembers: for observe mode, and for whatever is tested without a kernel.

It touches no packet and no set. What it remembers is capped as the kernel's sets are, and refused beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sipguard.address import Network
from sipguard.enforce import elements
from sipguard.enforce.base import Counters, Plan, Tally
from sipguard.enforce.hosts import ENDLESS, OVER
from sipguard.enforce.reconcile import HARMFUL
from sipguard.model import Enforced, Held, Instant, SetName
from sipguard.netset import NetSet, plain

PROTECTED = "it holds a protected address"
FULL = "the set is full"
MOST = 262_144


class DryRun:
    """What would be held. The cap is on all sets together; `refused` in the counters tells how often it was met."""

    def __init__(self, now: Callable[[], Instant], most: int = MOST) -> None:
        self._now = now
        self._most = most
        self._held: dict[tuple[SetName, Network], Instant] = {}
        self._never = NetSet()
        self._refused = 0
        self._soonest: Instant = 0  # no element ends before: a full set is not searched in vain

    def close(self) -> None:
        """Do nothing: there is nothing open."""

    def install(self) -> None:
        """Do nothing: there is nothing to put in place."""

    def uninstall(self) -> None:
        """Forget everything."""
        self._held.clear()

    def protect(self, never: Iterable[Network]) -> None:
        """Name the addresses that no ban or throttle may hold. Replaces what was named before."""
        self._never = NetSet(never)

    def held(self) -> frozenset[Held]:
        """Tell what would be held now."""
        self._expire()
        return frozenset(Held(*key, until) for key, until in self._held.items())

    def apply(self, plan: Plan) -> Sequence[Enforced]:
        """Remember the change; answer for each element in the plan's order."""
        removed = [self.release(held) for held in plan.remove]
        return [*removed, *(self.hold(held) for held in (*plan.refresh, *plan.add))]

    def hold(self, held: Held) -> Enforced:
        """Remember one element, or its new end. Never raises."""
        held = Held(held.set, plain(held.network), held.until)
        why = self._unfit(held)
        if not why:
            self._held[held.set, held.network] = held.until
            if held.until:
                self._soonest = min(self._soonest, held.until)
        return Enforced(held, ok=not why, why=why)

    def _unfit(self, held: Held) -> str:
        try:
            elements.kernel_set(held)
        except ValueError as error:
            return str(error)
        if held.set in HARMFUL and self._never.overlaps(held.network):
            return PROTECTED
        if held.set is not SetName.ALLOWED and held.until <= self._now():
            return OVER if held.until else ENDLESS
        if len(self._held) >= self._most and (held.set, held.network) not in self._held:
            self._expire()
            if len(self._held) >= self._most:
                self._refused += 1
                return FULL
        return ""

    def _expire(self) -> None:
        now = self._now()
        if now < self._soonest:
            return
        self._held = {key: until for key, until in self._held.items() if until > now or key[0] is SetName.ALLOWED}
        self._soonest = min((until for until in self._held.values() if until), default=now)

    def release(self, held: Held) -> Enforced:
        """Forget one element; that it is not there is no failure. Never raises."""
        self._held.pop((held.set, plain(held.network)), None)
        return Enforced(held, ok=True)

    def counters(self) -> Counters:
        """Count nothing but the elements refused at the cap."""
        return Counters(named=(Tally("refused", self._refused, 0),))
