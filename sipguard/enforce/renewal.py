"""The banned networks filled anew beside those in force, a slice at a time; the same on both back ends.

Begun when something was left to it and networks have been quiet for a moment. One that failed is tried again after a
minute, or when networks have changed again: till then they stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from sipguard.enforce.sides import QUIET
from sipguard.errors import AdapterError
from sipguard.model import MINUTE, Instant, Span

AGAIN: Span = MINUTE


class Debt(Protocol):
    """Whoever leaves something to a renewal: when it last did, 0 when there is nothing."""

    overdue: Instant


class Renewal:
    """At most one is under way; `done` counts those that came to their end."""

    __slots__ = ("_work", "done")

    def __init__(self) -> None:
        self._work: Iterator[None] | None = None
        self.done = 0

    @property
    def running(self) -> bool:
        """Tell whether one is under way."""
        return self._work is not None

    def step(self, now: Instant, debt: Debt, begin: Callable[[], Iterator[None]]) -> bool:
        """Do a slice of it where one is due or under way; tell whether it was. Raises AdapterError."""
        if self._work is None:
            if not debt.overdue or now < debt.overdue + QUIET:
                return False
            self._work = begin()
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            self.done += 1
        except AdapterError:
            self._work, debt.overdue = None, now + AGAIN
            raise
        return True

    def drop(self) -> None:
        """Leave off: all is put in anew in another way."""
        self._work = None
