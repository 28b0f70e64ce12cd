"""Whether packets wait for a verdict: what queues them, that somebody judges, and rules of iptables put right.

Promises: without all of that no packet waits, and `fault` says why; nothing is done by halves. Decides about no packet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from sipguard.enforce import queueing
from sipguard.enforce.alive import Alive, AliveInIpset
from sipguard.enforce.base import Layout
from sipguard.enforce.hanging import Rules
from sipguard.enforce.programs import Programs
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Instant, Span

MENDING: Span = 10 * SECOND
"""How often at most rules of iptables are looked at unasked: a full queue looks the same as a flushed rule."""
BREATH: Span = SECOND  # between two looks that somebody's change is the cause of; a look takes some ten milliseconds


class Gating:
    """Begins with nothing that waits. `by`: what queues at present, empty when nothing does."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        """Open netlink sockets. Raises AdapterError."""
        self.by: Literal["", "nft", "iptables"] = ""
        self.fault = ""
        self.requeued = 0
        self._now = now
        self._by_nft, self._by_ipset = Alive(), AliveInIpset()
        self._alive: Alive = self._by_nft
        self._layout = Layout()
        self._torn = False
        self._unheld = 0
        self._looked: Instant = 0

    def close(self) -> None:
        """Let everything pass, and close the socket; rules stay as they are."""
        if self.by:
            self._alive.unsay()
        self._by_nft.close()
        self._by_ipset.close()

    @property
    def port(self) -> int:
        """By this number the kernel tells others that a change was ours."""
        return self._by_nft.port

    # --- Saying that somebody judges ----------------------------------------------------------------------------------

    def due(self) -> Instant:
        """Give when that is to be said again; far off where nothing waits."""
        return self._alive.due if self.by else 1 << 63

    def judging(self, now: Instant) -> None:
        """Say it, if it is due; unless it is said again, the gate opens within a second."""
        if self.by:
            self._alive.say(now)

    def lapsed(self) -> None:
        """Have it said anew as soon as may be: what was said is gone with our table."""
        self._alive.due = 0

    # --- Passing from one layout to another ---------------------------------------------------------------------------

    def fitted(self, layout: Layout) -> Layout:
        """Give the layout with what can queue here in place of what was wished; opens at once where nothing can.

        Rules of iptables are loaded before those that mark; they do nothing by themselves.
        """
        self.fault = ""
        fit = replace(layout, gate=self._queued_by(layout) if layout.gated else "")
        if self.by and not (fit.gate and fit.backend == self._layout.backend):
            self._alive.unsay()
        return fit

    def taken(self, layout: Layout) -> None:
        """Go by a layout whose rules are loaded; takes out what it does not need. Raises AdapterError."""
        self._layout, self.by, self._torn = layout, layout.gate, False
        self._alive = self._by_ipset if layout.backend == "iptables" else self._by_nft
        self._alive.due = 0
        if self.by != "iptables" or layout.backend == "iptables":  # that has a chain of its own
            queueing.remove()

    def _queued_by(self, layout: Layout) -> Literal["", "nft", "iptables"]:
        try:
            if layout.backend == "iptables":
                self.fault = Rules(replace(layout, gate="iptables"), Programs()).ungated()
            elif layout.backend == "dryrun":
                self.fault = "nothing is touched, as the back end is dryrun"
            elif queueing.nft_can_queue():
                return "nft"
            else:
                queueing.install(layout)
        except AdapterError as error:
            self.fault = error.what
        return "" if self.fault else "iptables"

    # --- Against what others do ---------------------------------------------------------------------------------------

    def counted(self, unheld: int) -> None:
        """Hear how many packets were marked and held by nobody: rules of iptables may be gone."""
        more, self._unheld = unheld > self._unheld, unheld
        torn = more and self.by == "iptables" and self._now() >= self._looked + MENDING
        self._torn = self._torn or torn

    def mend(self, now: Instant, *, heard: bool) -> None:
        """Put right rules of iptables, where something was `heard` of their table. Raises AdapterError.

        Where nft queues, ours are taken out that come back: somebody has loaded what he saved on another kernel. The
        other back end's are seen to with all its rules.
        """
        if self._layout.backend == "iptables":
            return
        self._torn = bool(self.by) and (self._torn or heard)
        if not self._torn or now < self._looked + BREATH:
            return
        self._looked = now
        if self.by == "nft":
            self.requeued += queueing.remove()
        elif not queueing.installed(self._layout):
            queueing.install(self._layout)
            self.requeued += 1
        self._torn = False
