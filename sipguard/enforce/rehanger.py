"""Hangs our iptables chains back in when somebody took them out, and brings back what is missing in their sets.

A flush of rules leaves ipset's elements alone, so rules are looked at when nf_tables tells of a change, and now and
then unasked (iptables-legacy tells nobody); elements each minute. Decides nothing.
"""

from __future__ import annotations

from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.mender import LOOK, RETRY
from sipguard.enforce.monitor import Monitor
from sipguard.enforce.reconcile import plan
from sipguard.enforce.renewal import Renewal
from sipguard.enforce.sides import InForce
from sipguard.model import MINUTE, SECOND, Held, Instant, SetName, Span

GLANCE: Span = 5 * MINUTE
GLANCE_LEGACY: Span = 10 * SECOND  # it costs a tenth of a second, and nobody tells us
_OURS = b"SIPGUARD"


class Rehanger:
    """Sees to the chains and sets of one `Ipsets`."""

    def __init__(self, kernel: Ipsets, monitor: Monitor, now: Instant, *, enforce: bool, removing: bool) -> None:
        """Take what is there for right. Raises AdapterError."""
        self._kernel = kernel
        self._monitor = monitor
        self._enforce = enforce
        self._removing = removing
        self._each = GLANCE_LEGACY if kernel.legacy() else GLANCE
        self._pause = GLANCE_LEGACY if kernel.legacy() else RETRY  # a try costs as much, and without root it is in vain
        self._glance, self._look, self._retry = now + self._each, now + SECOND, now
        self._torn = self._failed = False
        self.knowing = True
        """Whether known devices are in the kernel, as far as was seen: else they wait in the crowd of strangers."""
        self._renewal = Renewal()
        self.wanted = self.held = self.restored = self.righted = 0
        monitor.ignore(())
        monitor.forget()

    @property
    def busy(self) -> bool:
        """Tell whether there is work left."""
        return (self._torn or self._renewal.running) and not self._failed

    def begin(self) -> None:
        """Compare everything at the next step: before it, not all is known to be there."""
        self._look, self.knowing = 0, False

    def step(self, now: Instant, wanted: InForce) -> str | None:
        """Look, and mend. Gives a word before anything is done where our rules are gone. Raises AdapterError."""
        if self._torn and now >= self._retry:
            self._retry, self._failed = now + self._pause, True
            self._kernel.install()
            self._torn, self._failed, self._look = False, False, now
            self.restored += 1
            self._monitor.forget()
        elif self._monitor.mentioned(_OURS) or now >= self._glance:
            self._glance = now + self._each
            if not self._torn and not self._kernel.hung():
                self._torn, self._retry = True, now
                return "somebody removed or changed our rules"
        if self._renews(now, wanted):
            return None
        if not self._torn and self._enforce and now >= self._look:
            self._look = now + RETRY
            self._compare(wanted)
            self._look = now + LOOK
        return None

    def _renews(self, now: Instant, wanted: InForce) -> bool:
        """Do a slice of filling the banned networks anew, where due; tell whether it was. Raises AdapterError."""
        if not self._renewal.running and not (self._enforce and self.knowing):
            return False
        return self._renewal.step(now, self._kernel, lambda: self._kernel.renew(wanted))

    def allow(self, wanted: InForce) -> None:
        """See that the kernel's allowlist is the decided one. Raises AdapterError."""
        self._kernel.allow(wanted.ends(SetName.ALLOWED))

    def counters(self) -> dict[str, int]:
        """Give desired against actual as it was last looked at, and what was done about it."""
        found = {"wanted": self.wanted, "held": self.held, "behind": 0, "restored": self.restored}
        return found | {"put_right": self.righted, "renewed": self._renewal.done, "unheard": self._monitor.overruns}

    def _compare(self, wanted: InForce) -> None:
        """Put right what the sets hold. Raises AdapterError."""
        listed = [Held(name, net, until) for name in SetName for net, until in wanted.ends(name).items()]
        change = plan(listed, self._kernel.held(), self._kernel.never, slack=3 * SECOND)
        self.wanted, self.held = len(listed), len(listed) - len(change.add)
        if not self._removing:
            change = type(change)(change.add, (), change.refresh)
        if change:
            refused = [answer for answer in self._kernel.apply(change) if not answer.ok]
            self.righted += len(change.add) + len(change.remove) - len(refused)
            self.held += len(change.add) - len(refused)
        self.knowing = True
