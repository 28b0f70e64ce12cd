"""Bounded sliding counters; time is passed in. Nothing here reads a clock or grows past its limit."""

from __future__ import annotations

from collections import deque

from sipguard.model import Instant, Span


class Sliding:
    """Counts marks within a span; holds the newest `most` of them (past the limit they need not be told apart)."""

    __slots__ = ("_marks", "span")

    def __init__(self, span: Span, most: int) -> None:
        self.span = span
        self._marks: deque[Instant] = deque(maxlen=most)

    def mark(self, at: Instant) -> None:
        """Add one at `at`, which is never before the last."""
        self._marks.append(at)

    def count(self, now: Instant) -> int:
        """Count the marks later than `now` minus the span."""
        marks = self._marks
        edge = now - self.span
        while marks and marks[0] <= edge:
            marks.popleft()
        return len(marks)

    def first(self) -> Instant | None:
        """Give the oldest mark still held; `count` forgets those past the span."""
        return self._marks[0] if self._marks else None


def paced(due: Instant, at: Instant, budget: int, span: Span) -> Instant:
    """Take one message of a budget of so many within a span; gives the new `due`, which is all there is to remember.

    The generic cell rate algorithm (ITU-T I.371): a burst of the whole budget is free, and it comes back evenly. The
    budget is overdrawn when what is given lies more than the span after `at`; 0 is where everybody begins. The budget
    may differ from one call to the next.
    """
    return max(due, at) + span // budget
