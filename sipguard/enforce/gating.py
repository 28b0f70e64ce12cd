"""Whether packets wait for a verdict: what queues them, that somebody judges, and rules of iptables put right.

Promises: without all of that no packet waits, and `fault` says why; nothing is done by halves. Decides about no packet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from sipguard.enforce import queueing
from sipguard.enforce.alive import Alive
from sipguard.enforce.base import Layout
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Instant, Span

MENDING: Span = 10 * SECOND
"""How often at most rules of iptables are looked at unasked: a full queue looks the same as a flushed rule."""
BREATH: Span = SECOND  # between two looks that somebody's change is the cause of; a look takes some ten milliseconds


class Gating:
    """Begins with nothing that waits. `by`: what queues at present, empty when nothing does."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        """Open a netlink socket. Raises AdapterError."""
        self.by: Literal["", "nft", "iptables"] = ""
        self.fault = ""
        self.requeued = 0
        self._now = now
        self._alive = Alive()
        self._layout = Layout()
        self._torn = False
        self._unheld = 0
        self._looked: Instant = 0

    def close(self) -> None:
        """Let everything pass, and close the socket; rules stay as they are."""
        if self.by:
            self._alive.unsay()
        self._alive.close()

    @property
    def port(self) -> int:
        """By this number the kernel tells others that a change was ours."""
        return self._alive.port

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
        if self.by and not fit.gate:
            self._alive.unsay()
        return fit

    def taken(self, layout: Layout) -> None:
        """Go by a layout whose rules are loaded; takes out what it does not need. Raises AdapterError."""
        self._layout, self.by, self._torn = layout, layout.gate, False
        if self.by != "iptables":
            queueing.remove()

    def _queued_by(self, layout: Layout) -> Literal["", "nft", "iptables"]:
        if layout.backend != "nftables":
            self.fault = f"only nftables can mark what is to wait, and the back end is {layout.backend}"
            return ""
        if queueing.nft_can_queue():
            return "nft"
        try:
            queueing.install(layout)
        except AdapterError as error:
            self.fault = error.what
            return ""
        return "iptables"

    # --- Against what others do ---------------------------------------------------------------------------------------

    def counted(self, unheld: int) -> None:
        """Hear how many packets were marked and held by nobody: rules of iptables may be gone."""
        more, self._unheld = unheld > self._unheld, unheld
        torn = more and self.by == "iptables" and self._now() >= self._looked + MENDING
        self._torn = self._torn or torn

    def mend(self, now: Instant, *, heard: bool) -> None:
        """Put right rules of iptables, where something was `heard` of their table. Raises AdapterError.

        Where nft queues, ours are taken out that come back: somebody has loaded what he saved on another kernel.
        """
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
