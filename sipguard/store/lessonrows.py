"""What detectors have learned, on disk: how it gets there, comes back, and goes.

Promises: a lesson never takes the place of a later one, in whatever order copies come; of each detector the `KEPT`
written last stay, whatever the clock was when they were written; what is given back is the least recent first.
Executes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from sipguard.model import Delta, Lesson, Span
from sipguard.store import rows

Ask: TypeAlias = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
Read: TypeAlias = Callable[[str, Callable[[Any], Delta], Sequence[tuple[Any, ...]]], Iterator[list[Delta]]]
Statement: TypeAlias = tuple[str, tuple[Any, ...]]

KEPT = 50_000
"""Lessons of each detector on disk: more than its table holds by default; some 200 bytes each."""
DETECTORS = 64
"""Detectors of which there are any: more than there are."""

_NAMES = "detector, username, realm, topic"
_WRITE = (
    # With a new id each time: the order of writing is kept apart from the clock, which may have been wrong.
    f"INSERT OR REPLACE INTO lessons ({_NAMES}, at, text) SELECT ?, ?, ?, ?, ?, ? WHERE NOT EXISTS"  # noqa: S608 - ours
    " (SELECT 1 FROM lessons WHERE detector = ? AND username = ? AND realm = ? AND topic = ? AND at > ? AND at <= ?)"
)
_FORGET = "DELETE FROM lessons WHERE detector = ? AND username = ? AND realm = ? AND topic = ? AND (at <= ? OR at > ?)"
_PAGE = f"SELECT id, {_NAMES}, at, text FROM lessons WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - our own names


def fold(lesson: Lesson, offset: Span, now_wall: int) -> Iterator[Statement]:
    """Give what writes a lesson; what was written after `now_wall` was written before the clock was set back."""
    row = rows.lesson_row(lesson, offset)
    names, at = row[:4], row[4]
    yield (_WRITE, (*row, *names, at, now_wall)) if lesson.text else (_FORGET, (*names, at, now_wall))


def expire(ask: Callable[[str], list[tuple[Any, ...]]], kept: int) -> Iterator[Statement]:
    """Give what forgets the lessons of a detector past `kept`, those written first; and detectors past `DETECTORS`."""
    counts = ask("SELECT detector, count(*) FROM lessons GROUP BY detector ORDER BY max(id) DESC")
    for place, (detector, count) in enumerate(counts):
        surplus = count - (kept if place < DETECTORS else 0)
        if surplus > 0:
            oldest = "SELECT id FROM lessons WHERE detector = ? ORDER BY id LIMIT ?"
            yield f"DELETE FROM lessons WHERE id IN ({oldest})", (detector, surplus)  # noqa: S608 - our own names


def pages(ask: Ask, read: Read, offset: Span, size: int) -> Iterator[list[Delta]]:
    """Give all, the least recent first, in lists of at most `size`; `read` makes lists of rows, none of them empty."""
    last = -1
    while found := ask(_PAGE, (last, size)):
        last = found[-1][0]
        yield from read("lessons", partial(_lesson, offset=offset), found)


def _lesson(row: tuple[Any, ...], offset: Span) -> Lesson:
    return rows.lesson_of_row(row[1:], offset)
