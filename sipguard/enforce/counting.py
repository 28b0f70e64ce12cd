"""What rules of iptables have counted, by their own program. It is begun, and looked at again later: no packet waits.

The program says one table of one family at a time; in `ROUND` all have been asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sipguard.enforce.gaterules import BITS
from sipguard.enforce.programs import counted_in, overwriting_in, saver
from sipguard.enforce.tools import Beside
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Instant, Span

ROUND: Span = 8 * SECOND
"""What was counted is known this much later at most, where the program is quick."""
_Part: TypeAlias = tuple[int, str]
_PARTS: tuple[_Part, ...] = tuple((version, table) for table in ("raw", "mangle") for version in (4, 6))
_PACE: Span = ROUND // len(_PARTS)
_UNDERWAY = 5  # packets that may have been counted at one rule and not yet at the next ...
_SHARE = 100  # ... or, where many come, one of so many: rules are read one after another


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one table had counted: packets by our name for it, and by others' rules that overwrite our bits."""

    ours: Mapping[str, int] = field(default_factory=dict)
    theirs: Mapping[str, int] = field(default_factory=dict)


class Counting:
    """Asks by and by; begins with nothing. For rules of one layout after another: each counts from nothing."""

    def __init__(self, now: Callable[[], Instant], news: Collection[str]) -> None:
        """`news` names the counters whose growth `fresh` tells."""
        self._now = now
        self._news = frozenset(news)
        self._parts: dict[_Part, _Reading] = {}
        self._old: set[_Part] = set()  # could not be read the last time
        self.failed = 0
        """How often the program could not be run, or failed."""
        self._fresh = 0
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
        self._fresh = self._unjudged = 0

    def look(self, *, standing: bool) -> None:
        """Take what the program has said, and begin it again when it is time. Never raises.

        With `standing`, rules may have counted before we came, and what each has counted at first is no news.
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
            self.take(part, said, standing=standing)
        except AdapterError:
            self.failed += 1
            self._old.add(part)
        self._running = None
        self._asked += 1

    def take(self, part: _Part, said: str, *, standing: bool) -> None:
        """Take what the program has said of one table of a family."""
        ours: dict[str, int] = {}
        for name, packets, _octets in counted_in(said):
            ours[name] = ours.get(name, 0) + packets
        now = _Reading(ours, overwriting_in(said, BITS) if part[1] == "mangle" else {})
        before = self._parts.get(part, now if standing else _Reading())
        self._parts[part] = now
        self._old.discard(part)
        for name in self._news:
            self._fresh += _growth(before.ours, ours, name)
        self._compare(part[0], before, now)

    def _compare(self, version: int, before: _Reading, now: _Reading) -> None:
        """See whether packets that were to wait came to the queues, and who has met them if they did not."""
        held, *seen = (_growth(before.ours, now.ours, name) for name in ("held", "queued", "unheld"))
        lost = held - sum(seen)
        if lost <= max(_UNDERWAY, held // _SHARE):
            return
        for rule in now.theirs:
            if _growth(before.theirs, now.theirs, rule) >= lost:
                program = saver(version, "mangle")[0].removesuffix("-save")
                self._unjudged, self._rule = self._unjudged + lost, f"{program} -t mangle -A {rule}"
                return

    def counted(self) -> dict[str, int]:
        """Give how many packets each of our counters had seen when it was last read; without what cannot be read."""
        sums: dict[str, int] = {}
        for part, reading in self._parts.items():
            for name, packets in reading.ours.items() if part not in self._old else ():
                sums[name] = sums.get(name, 0) + packets
        return sums

    def fresh(self) -> int:
        """Give how many packets the counters of `news` have seen that were not told yet."""
        told, self._fresh = self._fresh, 0
        return told

    def unjudged(self) -> tuple[int, str]:
        """Give how many packets were to wait and came to no queue, not told yet, and a rule that may be the cause.

        It has met as many, and overwrites their mark. Where another rule drops them all the same, it is not.
        """
        told, self._unjudged = self._unjudged, 0
        return told, self._rule


def _growth(before: Mapping[str, int], now: Mapping[str, int], name: str) -> int:
    """Give how much a counter has grown; rules that were laid anew count from nothing."""
    more = now.get(name, 0) - before.get(name, 0)
    return more if more >= 0 else now.get(name, 0)
