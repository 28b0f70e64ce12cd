"""Bounded sliding counters; time is passed in. Nothing here reads a clock or grows past its limit."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque

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


class Sums:
    """Adds up amounts within a span: by slots of a 64th of it, so that at most 66 of 16 bytes each are held.

    An amount counts for the whole span and for up to one slot more, never for less.
    """

    __slots__ = ("_amounts", "_slots", "_width", "span", "total")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.total = 0
        self._width = max(1, span // 64)
        self._slots = array("q")
        self._amounts = array("q")

    def add(self, at: Instant, amount: int) -> None:
        """Add an amount at `at`; one that is older than the last counts as if it were as young. At most 2^62 a slot."""
        slot = at // self._width
        if self._slots and self._slots[-1] >= slot:
            whole = min(self._amounts[-1] + amount, 1 << 62)
            self.total += whole - self._amounts[-1]
            self._amounts[-1] = whole
            return
        amount = min(amount, 1 << 62)
        self._slots.append(slot)
        self._amounts.append(amount)
        self.total += amount
        self.sum(at)

    def sum(self, now: Instant) -> int:
        """Sum up what was added after `now` minus the span, and up to a slot before."""
        slots = self._slots
        if slots and slots[0] < (edge := (now - self.span) // self._width):
            gone = bisect_left(slots, edge)
            self.total -= sum(self._amounts[:gone])
            del slots[:gone], self._amounts[:gone]
        return self.total

    def clear(self) -> None:
        """Forget all amounts."""
        del self._slots[:], self._amounts[:]
        self.total = 0


def paced(due: Instant, at: Instant, budget: int, span: Span) -> Instant:
    """Take one message of a budget of so many within a span; gives the new `due`, which is all there is to remember.

    The generic cell rate algorithm (ITU-T I.371): a burst of the whole budget is free, and it comes back evenly. The
    budget is overdrawn when what is given lies more than the span after `at`; 0 is where everybody begins. The budget
    may differ from one call to the next.
    """
    return max(due, at) + span // budget


class Crowd:
    """The newest marks that several parties made, with who made each: 16 bytes a mark, at most `most` of them.

    A party is a number below 2^64 (`party`). One party holds at most `each` marks, so that it cannot push out others'.
    """

    __slots__ = ("_times", "_whos")

    def __init__(self) -> None:
        self._times = array("Q")
        self._whos = array("Q")

    def __len__(self) -> int:
        return len(self._times)

    def mark(self, at: Instant, who: int, most: int, each: int) -> None:
        """Add one at `at`, which is never before the last; the oldest goes, of the party's own when it holds `each`."""
        gone = -1
        if self._whos.count(who) >= each:
            gone = self._whos.index(who)
        elif len(self._whos) >= most:
            gone = 0
        if gone >= 0:
            del self._times[gone], self._whos[gone]
        self._times.append(at)
        self._whos.append(who)

    def since(self, edge: Instant) -> array[int]:
        """Give the parties of the marks later than `edge`, in the order of the marks."""
        return self._whos[bisect_right(self._times, edge) :]

    def shared(self, edge: Instant, marks: int, parties: int, bits: int = 0) -> tuple[int, ...]:
        """Give the parties of the marks later than `edge`, when they are so many marks of so many parties; else ().

        No party counts for more than half of what is needed: what one does alone is not shared. Parties that differ in
        their lowest `bits` alone are one.
        """
        if len(self._times) < marks:
            return ()
        counts = Counter(who >> bits for who in self.since(edge)) if bits else Counter(self.since(edge))
        if len(counts) < parties or sum(min(count, (marks + 1) // 2) for count in counts.values()) < marks:
            return ()
        return tuple(counts)

    def first(self) -> Instant:
        """Give the oldest mark, 0 when there is none."""
        return self._times[0] if self._times else 0

    def forget(self, who: int) -> None:
        """Take out all marks of a party."""
        if who in self._whos:
            held = [(at, each) for at, each in zip(self._times, self._whos, strict=True) if each != who]
            self._times = array("Q", [at for at, _ in held])
            self._whos = array("Q", [each for _, each in held])

    def clear(self) -> None:
        """Take out all marks."""
        del self._times[:], self._whos[:]


def party(name: bytes) -> int:
    """Give the number by which a `Crowd` knows a name: nobody can find a second name for it in practice."""
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest())
