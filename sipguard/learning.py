"""What detectors have learned, written down as it is learned, and given back to them at a start. Pure.

    learning.restore(lessons)         # what was written in earlier lives; None: nobody knows it yet
    learning.begin(now)               # at the first instant there is: the detectors learn it again
    if learning.notes.new: learning.soon(at)
    learning.advance(now)             # writes

Promises: what is learned of one account within `DELAY` is written once; of a detector at most `AT_ONCE` lessons are
written in `PACE`, and what is over that waits and is written as it is then. A clock that is far off makes nothing
forgotten, and nothing known for longer than it was: see `_dated`. What cannot be read is passed over, counted and told;
what is another release's, or of a detector that is switched off, is passed over and stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from sipguard.lesson import LONGEST, Learner, Lesson, Notes, learner_of
from sipguard.model import DAY, SECOND, Action, Alert, Instant, Record, Span
from sipguard.window import paced

AT_ONCE = 500
"""Lessons of one detector that are written within `PACE`: 50 a second where it goes on and on."""
PACE: Span = 10 * SECOND
AWAY: Span = 30 * DAY
"""No guard is taken to have been away for longer: then it is the clock that is wrong."""
DELAY: Span = 2 * SECOND
"""So long after it is learned something is written: a device says all of itself in less."""
OLD: Span = 3650 * DAY
"""A lesson that is older was written by a clock that was not set yet."""


class Learning:
    """Stands between the detectors and the records. `notes` is given to each detector that learns."""

    __slots__ = (
        "_kept",
        "_learners",
        "_next",
        "_paces",
        "_unheard",
        "began",
        "notes",
        "passed_over",
        "unread",
        "written",
    )

    def __init__(self) -> None:
        self.notes = Notes()
        self.written = self.passed_over = self.unread = 0
        self._learners: dict[str, Learner] = {}
        self._paces: dict[str, Instant] = {}
        self._kept: Sequence[Lesson] | None = ()
        self._unheard: set[str] = set()  # of whom there are lessons that nobody took: they are not to be replaced
        self.began = False
        self._next: Instant | None = None

    # --- A start, and new detectors -----------------------------------------------------------------------------------

    def restore(self, lessons: Sequence[Lesson] | None) -> None:
        """Take what was written before, the least recent first; None: it is there, but could not be given.

        Then nothing is written in this life either: what is on disk is worth more than what a few minutes taught.
        """
        self._kept = lessons

    def adopt(self, at: Instant, detectors: Sequence[object]) -> None:
        """Go on with other detectors, which learn what the earlier ones of the same names knew.

        One that is switched off is kept with what it knows, for when it is switched on again.
        """
        learners = {each.learns: each for each in map(learner_of, detectors) if each is not None}
        for name, learner in learners.items():
            earlier = self._learners.get(name)
            if earlier is None or earlier is learner:
                continue
            for account, topic in list(earlier.known()):
                try:
                    if text := earlier.taught(at, account, topic):
                        learner.learn(at, account, topic, text)
                except (ValueError, IndexError):  # too long to be read again: then it would not be written either
                    self.unread += 1
        self._learners = {**self._learners, **learners}

    def begin(self, now: Instant) -> Sequence[Action]:
        """Let the detectors learn again what was written: once, before they hear of anything."""
        self.began = True
        first = ""
        for lesson, at in _dated(now, self._kept or ()):
            learner = self._learners.get(lesson.detector)
            if learner is None:
                self.passed_over += 1
                self._unheard.add(lesson.detector)
                continue
            try:
                learner.learn(at, lesson.account, lesson.topic, lesson.text)
            except (ValueError, IndexError) as error:
                self.unread += 1
                first = first or f"{lesson.detector} {lesson.account}: {error}"
        if self._kept is None:
            return ()
        self._kept = ()
        if not first:
            return ()
        text = f"{self.unread} lessons cannot be read, and are learned anew; the first: {first[:300]}"
        return (Alert(now, "lessons-unreadable", "", text),)

    # --- What is new --------------------------------------------------------------------------------------------------

    def soon(self, at: Instant) -> None:
        """Have what is new written in a moment."""
        self.notes.new = False
        if self._next is None:
            self._next = at + DELAY

    def write(self, at: Instant, actions: list[Action]) -> None:
        """Write what is new, and what waited, as far as may be."""
        notes = self.notes
        notes.new = False
        self._next = None
        for name, waiting in notes.waiting.items():
            learner = self._learners.get(name)
            if learner is None or self._kept is None or name in self._unheard:
                waiting.clear()
                continue
            done = 0
            pace = self._paces.get(name, 0)
            for account, topic in waiting:
                due = paced(pace, at, AT_ONCE, PACE)
                if due - at > PACE:
                    later = due - PACE
                    self._next = later if self._next is None else min(self._next, later)
                    break
                pace = due
                done += 1
                text = learner.taught(at, account, topic)
                if len(text) <= LONGEST:
                    self.written += 1
                    actions.append(Record(at, Lesson(at, name, account, topic, text)))
                else:
                    notes.lost += 1
            self._paces[name] = pace
            if done == len(waiting):
                waiting.clear()
            for about in [*islice(waiting, done)]:  # all at once: to look for the first again and again is quadratic
                del waiting[about]

    def advance(self, now: Instant) -> Sequence[Action]:
        """Write what is due."""
        actions: list[Action] = []
        if self._next is not None and self._next <= now:
            self.write(now, actions)
        return actions

    def next_deadline(self) -> Instant | None:
        """Give when `advance` has something to write."""
        return self._next

    def counters(self) -> dict[str, int]:
        """Give what was written, what waits, what had no room, and what was passed over at the start."""
        return {
            "lessons_written": self.written,
            "lessons_waiting": sum(map(len, self.notes.waiting.values())),
            "lessons_lost": self.notes.lost,
            "lessons_passed_over": self.passed_over,
            "lessons_unread": self.unread,
        }


def _dated(now: Instant, lessons: Sequence[Lesson]) -> list[tuple[Lesson, Instant]]:
    """Give each lesson with the instant at which it is taken to have been written.

    What is from the future is taken for new. Where the latest of the rest is more than `AWAY` old, the clock was set
    forward, and all of it is as much younger. What is older than `OLD` is taken for new.
    """
    past = [each.at for each in lessons if each.at <= now]
    latest = max(past, default=now)
    shift = now - latest if now - latest > AWAY else 0
    return [(each, each.at + shift if now - OLD < each.at + shift <= now else now) for each in lessons]
