"""The database as the keeper uses it: fold deltas in, give the state back, answer what an operator asks.

Promises: a batch is on disk wholly or not at all; applying one twice is the same as once; what is given back is in
force at the time asked about; whatever the size of the tables, reading goes page by page. Every error of SQLite's
leaves as `AdapterError`. Synchronous: `writer.py` keeps it on a thread of its own. No clock in here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sipguard.address import Network, parse_network
from sipguard.call import CallLegs, CallState, LimitReset
from sipguard.errors import AdapterError
from sipguard.model import (
    DAY,
    SECOND,
    Decision,
    DecisionVerdict,
    Delta,
    Instant,
    Lesson,
    Names,
    Offence,
    Role,
    Span,
    State,
    Trust,
)
from sipguard.store import callrows, lessonrows, rows, schema

T = TypeVar("T")
Stamped: TypeAlias = tuple[Delta, Span]

PAGE = 2000
"""Rows read at a time: between two pages, writes and other questions are served."""
_LONGEST_TRUST: Span = 7 * DAY
"""No registration stands longer: `track/registration.py`."""

_IN_FORCE = frozenset(
    {DecisionVerdict.BLOCK, DecisionVerdict.THROTTLE, DecisionVerdict.QUARANTINE, DecisionVerdict.SHIELD}
)
_SUBJECT = "address, prefix, username, realm"
_DECISION = f"{_SUBJECT}, verdict, at, until, because, rule, reason, offence"
_INSERT_DECISION = f"INSERT OR IGNORE INTO decisions ({_DECISION}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - ours
_UPSERT_BAN = (
    # A delta that comes a second time, after a younger one, must not bring the older back. But a row from the future
    # was written before the clock was set back: what comes now is younger.
    f"INSERT INTO bans ({_DECISION}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 - our own names
    " ON CONFLICT DO UPDATE SET at=excluded.at, until=excluded.until, because=excluded.because, rule=excluded.rule,"
    " reason=excluded.reason, offence=excluded.offence WHERE excluded.at >= bans.at OR bans.at > ?"
)
_BOUNDED = ("bans", "offences", "trust")
"""Tables of what is in force; past `in_force` rows, those that end first go first."""


class Store:
    """One connection to one file. `damage` is a line to alert with when a damaged file had to be set aside.

    At most `events` report lines and `decisions` past decisions are kept, the oldest go first; `expire` cuts bans,
    offences and trust down to `in_force` rows each, those that end first go first; calls, that are kept a month, to
    `calls`, the oldest first; lessons of each detector to `lessons`, those written first go first.
    """

    def __init__(
        self,
        path: Path,
        events: int = 100_000,
        decisions: int = 200_000,
        in_force: int = 2_000_000,
        calls: int = callrows.MOST,
        lessons: int = lessonrows.KEPT,
    ) -> None:
        self.path = path
        self.lessons_kept = lessons
        self.calls_kept = calls
        self.events_kept = events
        self.decisions_kept = decisions
        self.in_force_kept = in_force
        self._unread, self._first_unread = 0, ""
        self._db, self.damage = schema.connect(path)

    def close(self) -> None:
        """Close the file; what was applied is in it."""
        self._run(self._db.close)

    def _run(self, work: Callable[[], T]) -> T:
        """Do `work`; the one place where SQLite's errors become ours."""
        try:
            return work()
        except (sqlite3.Error, OSError, OverflowError, ValueError) as error:
            if self._db_in_transaction():
                self._rollback()
            raise AdapterError(schema.ADAPTER, f"{self.path}: {error}") from error

    def _db_in_transaction(self) -> bool:
        try:
            return self._db.in_transaction
        except sqlite3.ProgrammingError:  # closed
            return False

    def _rollback(self) -> None:
        try:
            self._db.execute("ROLLBACK")
        except sqlite3.Error as error:  # a full disk may have rolled back by itself
            if self._db.in_transaction:
                raise AdapterError(schema.ADAPTER, f"{self.path}: {error}") from error

    # --- Writing ------------------------------------------------------------------------------------------------------

    def apply(self, deltas: Sequence[Delta], offset: Span) -> None:
        """Fold deltas in, all or nothing. Raises AdapterError (disk full, read-only, ...); nothing is then changed."""
        self.write([(delta, offset) for delta in deltas], ())

    def write(self, deltas: Sequence[Stamped], lines: Sequence[str], now_wall: int = rows.FAR) -> None:
        """Fold deltas in, each with its own wall-clock offset, and add report lines; one transaction.

        What was decided after `now_wall` (ns since 1970) was decided before the clock was set back.
        """
        self._run(partial(self._write, deltas, lines, now_wall))

    def _write(self, deltas: Sequence[Stamped], lines: Sequence[str], now_wall: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for delta, offset in deltas:
            if isinstance(delta, Decision):
                self._fold_decision(delta, offset, now_wall)
            elif isinstance(delta, Offence):
                self._fold_offence(delta, offset)
            elif isinstance(delta, Trust):
                self._fold_trust(delta, offset)
            elif isinstance(delta, Lesson):
                self._execute(lessonrows.fold(delta, offset, now_wall))
            else:
                self._execute(callrows.fold(delta, offset))
        self._db.executemany("INSERT INTO events (line) VALUES (?)", [(line,) for line in lines])
        self._trim()
        self._db.execute("COMMIT")

    def _fold_decision(self, noun: Decision, offset: Span, now_wall: int) -> None:
        row = rows.decision_row(noun, offset)
        self._db.execute(_INSERT_DECISION, row)
        if noun.verdict in _IN_FORCE:
            self._db.execute(_UPSERT_BAN, (*row, now_wall))
        elif noun.verdict is DecisionVerdict.RELEASE:
            self._db.execute(
                "DELETE FROM bans WHERE address=? AND prefix=? AND username=? AND realm=? AND (at<=? OR at>?)",
                (*row[:4], row[5], now_wall),
            )

    def _fold_offence(self, noun: Offence, offset: Span) -> None:
        self._db.execute("INSERT OR REPLACE INTO offences VALUES (?,?,?,?)", rows.offence_row(noun, offset))

    def _fold_trust(self, noun: Trust, offset: Span) -> None:
        row = rows.trust_row(noun, offset)
        if noun.until:
            self._db.execute("INSERT OR REPLACE INTO trust VALUES (?,?,?,?,?,?,?)", row)
        else:
            self._db.execute("DELETE FROM trust WHERE address=? AND prefix=? AND username=? AND realm=?", row[:4])

    def _trim(self) -> None:
        for table, kept in (("events", self.events_kept), ("decisions", self.decisions_kept)):
            self._db.execute(
                f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?",  # noqa: S608 - our own names
                (kept,),
            )

    def expire(self, now_wall: int) -> int:
        """Forget what ran out before `now_wall` (ns since 1970), and what is past the cap; give how many rows."""
        return self._run(partial(self._expire, now_wall))

    def _expire(self, now_wall: int) -> int:
        gone = 0
        for table in _BOUNDED:
            gone += self._db.execute(
                f"DELETE FROM {table} WHERE until > 0 AND until <= ?",  # noqa: S608 - our own names
                (now_wall,),
            ).rowcount
            count = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
            if count > self.in_force_kept:
                gone += self._cut(table, count - self.in_force_kept)
        last = now_wall + _LONGEST_TRUST  # a clock that ran ahead has written what is later
        self._db.execute("UPDATE trust SET until=min(until, ?), shown=min(shown, ?) WHERE until > ?", (last,) * 3)
        gone += self._execute(callrows.expire(now_wall, self.calls_kept))
        return gone + self._execute(lessonrows.expire(self._fetch, self.lessons_kept))

    def _execute(self, statements: Iterable[callrows.Statement]) -> int:
        return sum(self._db.execute(statement, values).rowcount for statement, values in statements)

    def _cut(self, table: str, surplus: int) -> int:
        edge = self._db.execute(
            f"SELECT until FROM {table} WHERE until > 0 ORDER BY until LIMIT 1 OFFSET ?",  # noqa: S608 - our own names
            (surplus - 1,),
        ).fetchone()
        if edge is None:
            return 0
        return self._db.execute(
            f"DELETE FROM {table} WHERE until > 0 AND until <= ?",  # noqa: S608 - our own names
            edge,
        ).rowcount

    # --- The state ----------------------------------------------------------------------------------------------------

    def state(self, offset: Span, now: Instant) -> State:
        """Give what is in force at `now`, whole. For tests and small files; the keeper goes by `pages`."""
        found: list[Delta] = [delta for page in self.pages(offset, now) for delta in page]
        return State(
            decisions=[delta for delta in found if isinstance(delta, Decision)],
            offences=[delta for delta in found if isinstance(delta, Offence)],
            trust=[delta for delta in found if isinstance(delta, Trust)],
            calls=[delta for delta in found if isinstance(delta, CallState)],
            resets=[delta for delta in found if isinstance(delta, LimitReset)],
            legs=[delta for delta in found if isinstance(delta, CallLegs)],
            lessons=[delta for delta in found if isinstance(delta, Lesson)],
        )

    def pages(
        self, offset: Span, now: Instant, size: int = PAGE, memory: Span = callrows.KEPT
    ) -> Iterator[list[Delta]]:
        """Give what is in force at `now` in lists of at most `size`, in the order of the keys.

        Then the calls that run, or ended within the last `memory`: the newest first, at most `callrows.BACK`. Then what
        was learned, the least recent first.
        """
        makers: tuple[tuple[str, str, str, Callable[[Any], Delta]], ...] = (
            ("offences", "address, prefix", "count, until", lambda row: _offence(row, offset)),
            ("trust", _SUBJECT, "until, shown, contact", lambda row: _bounded(rows.trust_of_row(row, offset), now)),
            (
                "bans",
                f"{_SUBJECT}, verdict",
                "at, until, because, rule, reason, offence",
                lambda row: _no_longer(rows.decision_of_row(row, offset), now),
            ),
        )
        for table, key, rest, make in makers:
            yield from self._pages(table, key, rest, make, now + offset, size)
        yield from callrows.pages(self.ask, self._page, offset, now, size, memory)
        yield from lessonrows.pages(self.ask, self._page, offset, size)

    def _pages(
        self, table: str, key: str, rest: str, make: Callable[[Any], Delta], now: int, size: int
    ) -> Iterator[list[Delta]]:
        """Walk a table by its primary key: no read transaction stays open between two pages."""
        width = key.count(",") + 1
        marks = ",".join("?" * width)
        start = f"SELECT {key}, {rest} FROM {table} WHERE (until = 0 OR until > ?)"  # noqa: S608 - our own names
        order = f" ORDER BY {key} LIMIT ?"
        last: tuple[Any, ...] = ()
        while True:
            further = f" AND ({key}) > ({marks})" if last else ""
            fetch = partial(self._fetch, start + further + order, (now, *last, size))
            found = self._run(fetch)
            if not found:
                return
            last = found[-1][:width]
            yield from self._page(table, make, found)

    def _page(
        self, table: str, make: Callable[[Any], Delta], found: Sequence[tuple[Any, ...]]
    ) -> Iterator[list[Delta]]:
        """Give what the rows say as one list, or none at all: an empty one would be taken for the end."""
        if made := self._readable(table, make, found):
            yield made

    def _readable(self, table: str, make: Callable[[Any], T], found: Sequence[tuple[Any, ...]]) -> list[T]:
        """Give what the rows say; one that cannot be read keeps no other back, stays where it is, and is counted."""

        def told(row: Any, error: Exception) -> None:
            self._unread += 1
            self._first_unread = self._first_unread or f"{table} {row[:4]!r}: {type(error).__name__}: {error}"[:300]

        return rows.readable(make, found, told)

    def unread(self) -> tuple[int, str]:
        """Give how many rows `pages` and `names` passed over since this was last asked, and the first of them."""
        found, self._unread, self._first_unread = (self._unread, self._first_unread), 0, ""
        return found

    def _fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(query, values).fetchall()

    # --- Questions ----------------------------------------------------------------------------------------------------

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one of `questions.py`'s queries. Raises AdapterError."""
        return self._run(partial(self._fetch, query, values))

    def meta(self, key: str) -> str | None:
        """Give a kept setting; None when there is none."""
        found = self.ask("SELECT value FROM meta WHERE key=?", (key,))
        return str(found[0][0]) if found else None

    def set_meta(self, key: str, value: str | None) -> None:
        """Keep a setting; None forgets it."""
        if value is None:
            self.ask("DELETE FROM meta WHERE key=?", (key,))
        else:
            self.ask("INSERT OR REPLACE INTO meta VALUES (?,?)", (key, value))

    def names(self) -> list[Names]:
        """Give the last good answers."""
        found = self.ask("SELECT role, name, networks FROM names ORDER BY role, name")
        return self._readable("names", _names, found)

    def keep_names(self, noun: Names, now_wall: int) -> None:
        """Keep an answer, so that a start without a name server still knows the trunks."""
        networks = json.dumps([str(network) for network in noun.networks])
        self.ask("INSERT OR REPLACE INTO names VALUES (?,?,?,?)", (str(noun.role), noun.name, networks, now_wall))


def _no_longer(noun: Decision, now: Instant) -> Decision:
    """Give a decision that lasts no longer than it was decided for: it may be from the future, by a clock set back."""
    if noun.at <= now + SECOND or not noun.until:
        return noun
    return replace(noun, until=now + max(0, noun.until - noun.at))


def _bounded(noun: Trust, now: Instant) -> Trust:
    """Give trust that lasts no longer than any registration does: a clock that ran ahead may have written its end."""
    last = now + _LONGEST_TRUST
    return replace(noun, until=min(noun.until, last), shown=min(noun.shown, last)) if noun.until > last else noun


def _offence(row: Any, offset: Span) -> Offence:
    return Offence(Network(row[0], row[1]), row[2], rows.instant(row[3], offset))


def _names(row: Any) -> Names:
    return Names(Role(row[0]), row[1], tuple(map(parse_network, json.loads(row[2]))))
