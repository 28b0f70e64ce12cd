"""Restarts: what the records of one life come to on disk, and the next life that begins with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from sipguard.learning import DELAY
from sipguard.model import NOWHERE, SECOND, Action, Delta, Finding, Instant, Lesson, Lookups, Record, Span, State
from sipguard.policy.schema import Policy
from sipguard.store.database import Store
from tests.engine.story import START, Story

Open: TypeAlias = Callable[..., Store]
OFFSET: Span = 1_700_000_000 * SECOND
LEARNERS = frozenset(
    ("firstabroad", "takeover", "newdestination", "testcall", "canary", "identity", "wangiri", "passwordfound", "flood")
)


def deltas(actions: Iterable[Action]) -> list[Delta]:
    """List what is to be kept, in order."""
    return [each.what for each in actions if isinstance(each, Record) and not isinstance(each.what, Finding)]


def lessons(actions: Iterable[Action], detector: str = "") -> list[Lesson]:
    """List what was learned, by one detector or by all."""
    found = [each for each in deltas(actions) if isinstance(each, Lesson)]
    return [each for each in found if detector in ("", each.detector)]


def findings(actions: Iterable[Action], detectors: Iterable[str] = LEARNERS) -> list[Finding]:
    """List what those detectors found that learn."""
    found = [each.what for each in actions if isinstance(each, Record) and isinstance(each.what, Finding)]
    return [each for each in found if each.detector in detectors]


def kept(store: Store, actions: Iterable[Action], now: Instant) -> State:
    """Write what is to be kept, through the store itself, and read it again as a start does."""
    store.apply(deltas(actions), OFFSET)
    return store.state(OFFSET, now)


class Lives:
    """One host: a guard on it is killed, the host is booted, and another goes on with what was written."""

    def __init__(self, store: Store, policy: Policy | None = None, look: Lookups = NOWHERE) -> None:
        self._store = store
        self._offset = OFFSET
        self.policy = policy or Policy()
        self.look = look
        self.story = Story(self.policy, look=look)

    def restart(self, away: float = 60, wrong: Span = 0) -> Story:
        """Begin a new life, once what was learned is written; `wrong`: so far has the clock of the wall gone wrong."""
        self.story.wait(DELAY // SECOND)
        self._store.apply(deltas(self.story.actions), self._offset)
        self._offset += self.story.now + int(away * SECOND) - START + wrong
        self.story = Story(self.policy, self._store.state(self._offset, START), look=self.look)
        return self.story
