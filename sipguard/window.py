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
