"""What rules of iptables have counted, by their own program. It is begun, and looked at again later: no packet waits.

The program says one table of one family at a time; in `ROUND` all have been asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sipguard.enforce.gaterules import BITS
from sipguard.enforce.programs import counted_in, overwriting_in, saver
from sipguard.enforce.tools import Beside
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Instant, Span

ROUND: Span = 8 * SECOND
"""What was counted is known this much later at most, where the program is quick."""
_PARTS = tuple((version, table) for table in ("raw", "mangle") for version in (4, 6))
_PACE: Span = ROUND // len(_PARTS)
_UNDERWAY = 5  # packets that may have been counted at one rule and not yet at the next


class Counting:
    """Asks by and by; begins with nothing. For rules of one layout after another: each counts from nothing."""

    def __init__(self, now: Callable[[], Instant], news: Collection[str]) -> None:
        """`news` names the counters whose growth `fresh` tells."""
        self._now = now
        self._news = frozenset(news)
        self._parts: dict[tuple[int, str], Mapping[str, int]] = {}
        self._fresh = 0
        self._bare: dict[int, int] = {}  # by family: packets that were marked, and came to the queues without a mark
        self._unjudged, self._rule = 0, ""
        self._asked = 0
        self._next: Instant = 0
        self._running: Beside | None = None

    def close(self) -> None:
        """Forget what was counted, and end what runs."""
        if self._running is not None:
            self._running.close()
        self._running = None
        self._parts.clear()
        self._bare.clear()
        self._fresh = self._unjudged = 0

    def look(self, *, standing: bool) -> None:
        """Take what the program has said, and begin it again when it is time. Never raises.

        With `standing`, rules may have counted before we came, and what each has counted at first is no news. A table
        that cannot be read is taken for one as it was.
        """
        part = _PARTS[self._asked % len(_PARTS)]
        try:
            if self._running is None:
                if self._now() >= self._next:
                    self._next = self._now() + _PACE
                    self._running = Beside(*saver(*part))
                return
            said = self._running.ended()
            if said is None:
                return
            self._take(part, said, standing=standing)
        except AdapterError:
            pass
        self._running = None
        self._asked += 1

    def _take(self, part: tuple[int, str], said: str, *, standing: bool) -> None:
        now: dict[str, int] = {}
        for name, packets, _octets in counted_in(said):
            now[name] = now.get(name, 0) + packets
        before = self._parts.get(part, now if standing else {})
        self._parts[part] = now
        if part[1] == "mangle":
            self._compare(part[0], before, now, said)
        for name in self._news:
            more = now.get(name, 0) - before.get(name, 0)
            self._fresh += more if more >= 0 else now.get(name, 0)  # rules that were laid anew count from nothing

    def _compare(self, version: int, before: Mapping[str, int], now: Mapping[str, int], said: str) -> None:
        """See whether packets that were to wait came to the queues."""
        anew = now.get("held", 0) < before.get("held", 0)
        start = 0 if anew else self._bare.get(version, _bare(before))
        more = _bare(now) - start
        if 0 <= more <= _UNDERWAY:
            self._bare[version] = start
            return
        self._bare[version] = _bare(now)
        if rule := overwriting_in(said, BITS) if more > 0 else "":  # else another rule has dropped them
            self._unjudged, self._rule = self._unjudged + more, rule

    def counted(self) -> dict[str, int]:
        """Give how many packets each of our counters had seen when it was last read."""
        sums: dict[str, int] = {}
        for part in self._parts.values():
            for name, packets in part.items():
                sums[name] = sums.get(name, 0) + packets
        return sums

    def fresh(self) -> int:
        """Give how many packets the counters of `news` have seen that were not told yet."""
        told, self._fresh = self._fresh, 0
        return told

    def unjudged(self) -> tuple[int, str]:
        """Give how many packets were to wait and did not, not told yet, and the others' rule that took their mark."""
        told, self._unjudged = self._unjudged, 0
        return told, self._rule


def _bare(counted: Mapping[str, int]) -> int:
    return counted.get("held", 0) - counted.get("queued", 0) - counted.get("unheld", 0)
