"""Calls, and resets of their counters, on disk: how they get there, come back, and go.

Promises: a state of a call never takes the place of a later one of the same call, in whatever order copies come; a call
is kept for `KEPT`, and of all calls `MOST`; what is given back is the newest, and bounded. Executes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from sipguard.call import CallLegs, CallState, LimitReset
from sipguard.model import DAY, Delta, Instant, Span
from sipguard.store import rows

Ask: TypeAlias = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
Read: TypeAlias = Callable[[str, Callable[[Any], Delta], Sequence[tuple[Any, ...]]], Iterator[list[Delta]]]
Statement: TypeAlias = tuple[str, tuple[Any, ...]]

KEPT: Span = 31 * DAY
"""So long calls and resets are kept: the longest window that a limit can have, and a bill's."""
MOST = 500_000
"""Calls on disk; about 300 bytes each."""
BACK = 50_000
"""Calls and resets each that a start is given at most: the rest costs more time than it is worth."""

COLUMNS = "key, began, answered, ended, account, username, realm, cost, rest"

_UPSERT = (
    # What has ended has ended, and what was answered was answered: a copy that comes late changes nothing of that.
    f"INSERT INTO calls ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)"  # noqa: S608 - our own names
    " ON CONFLICT DO UPDATE SET began=excluded.began, answered=excluded.answered, ended=excluded.ended,"
    " account=excluded.account, username=excluded.username, realm=excluded.realm, cost=excluded.cost,"
    " rest=excluded.rest WHERE (excluded.ended != 0, excluded.answered != 0) >= (calls.ended != 0, calls.answered != 0)"
)
_RESET = "INSERT INTO resets VALUES (?,?,?) ON CONFLICT DO UPDATE SET at=max(at, excluded.at)"
_LEGS = (
    # Of a call that is known to run, the later one: copies may come late, and in any order.
    "INSERT INTO legs SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM calls WHERE key = ? AND ended != 0)"
    " ON CONFLICT DO UPDATE SET at=excluded.at, ends=excluded.ends WHERE excluded.at >= legs.at"
)
_OF_RUNNING = (
    "SELECT legs.key, legs.at, legs.ends FROM legs JOIN calls ON calls.key = legs.key"
    " WHERE calls.ended = 0 AND calls.began > ? AND legs.key > ? ORDER BY legs.key LIMIT ?"
)
_RUNNING_OR_RECENT = f"SELECT {COLUMNS} FROM calls WHERE (ended = 0 AND began > ? OR ended > ?)"  # noqa: S608 - ours


def fold(delta: CallState | CallLegs | LimitReset, offset: Span) -> Iterator[Statement]:
    """Give what writes a delta; with a call that has ended, how to reach its ends is forgotten."""
    if isinstance(delta, LimitReset):
        yield _RESET, rows.reset_row(delta, offset)
    elif isinstance(delta, CallLegs):
        yield _LEGS, (*rows.legs_row(delta, offset), delta.key)
    else:
        yield _UPSERT, rows.call_row(delta, offset)
        if delta.ended:
            yield "DELETE FROM legs WHERE key = ?", (delta.key,)


def expire(now_wall: int, kept: int) -> Iterator[Statement]:
    """Give what forgets the calls and resets older than `KEPT`, and the oldest of more than `kept` calls."""
    past = now_wall - KEPT
    yield "DELETE FROM calls WHERE began <= ? AND (ended = 0 OR ended <= ?)", (past, past)
    yield (
        (
            "DELETE FROM calls WHERE key IN"
            " (SELECT key FROM calls ORDER BY began, key LIMIT max(0, (SELECT count(*) FROM calls) - ?))"
        ),
        (kept,),
    )
    yield "DELETE FROM legs WHERE key NOT IN (SELECT key FROM calls WHERE ended = 0)", ()
    yield "DELETE FROM resets WHERE at <= ?", (past,)
    yield (
        (
            "DELETE FROM resets WHERE (scope, subject) IN"
            " (SELECT scope, subject FROM resets ORDER BY at LIMIT max(0, (SELECT count(*) FROM resets) - ?))"
        ),
        (BACK,),
    )


def pages(ask: Ask, read: Read, offset: Span, now: Instant, size: int, memory: Span) -> Iterator[list[Delta]]:
    """Give the resets, then the calls, the newest first, then the legs of those that run, in lists of at most `size`.

    Legs are ten times as long as anything else, and read in lists a tenth as long. `read` makes lists of rows, none of
    them empty, and passes over what it cannot read.
    """
    past = now + offset - memory
    found = ask("SELECT scope, subject, at FROM resets WHERE at > ? ORDER BY at DESC LIMIT ?", (past, BACK))
    for start in range(0, len(found), size):
        yield from read("resets", partial(rows.reset_of_row, offset=offset), found[start : start + size])
    yield from _calls(ask, read, offset, now, size, past)
    left, last = BACK, ""
    while left > 0 and (found := ask(_OF_RUNNING, (now + offset - KEPT, last, min(-(-size // 10), left)))):
        left, last = left - len(found), found[-1][0]
        yield from read("legs", partial(rows.legs_of_row, offset=offset), found)


def _calls(ask: Ask, read: Read, offset: Span, now: Instant, size: int, past: int) -> Iterator[list[Delta]]:
    left, further, last = BACK, "", ()  # type: tuple[int, str, tuple[Any, ...]]
    while left > 0:
        query = f"{_RUNNING_OR_RECENT}{further} ORDER BY began DESC, key DESC LIMIT ?"
        found = ask(query, (now + offset - KEPT, past, *last, min(size, left)))
        if not found:
            return
        left -= len(found)
        further, last = " AND (began, key) < (?, ?)", (found[-1][1], found[-1][0])
        yield from read("calls", partial(rows.call_of_row, offset=offset), found)
