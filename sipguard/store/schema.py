"""The tables on disk and how they came to be; opening the file, and setting a damaged one aside.

Promises: `connect` gives a database that passed SQLite's own check, at this version of the schema, or raises
`AdapterError`; a damaged file is never read from nor thrown away. Nothing here knows nouns. Times on disk are
nanoseconds since 1970, so that they survive a reboot.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path

from sipguard.errors import AdapterError

ADAPTER = "store"

ASIDE = 5
"""The most damaged files kept beside the database; the oldest goes first, so that a bad disk is not filled by them."""

MIGRATIONS = (
    # 1: the beginning. A subject is a network (address, prefix) or an account (username, realm); the other half is
    # empty. Names from the wire are blobs: they need not be UTF-8, and no text encoding may change them.
    """
    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, verdict TEXT NOT NULL,
        address BLOB NOT NULL, prefix INTEGER NOT NULL, username BLOB NOT NULL, realm BLOB NOT NULL,
        until INTEGER NOT NULL, because TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL,
        offence INTEGER NOT NULL,
        UNIQUE (at, verdict, address, prefix, username, realm));
    CREATE TABLE bans (
        address BLOB NOT NULL, prefix INTEGER NOT NULL, username BLOB NOT NULL, realm BLOB NOT NULL,
        verdict TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL,
        because TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, offence INTEGER NOT NULL,
        PRIMARY KEY (address, prefix, username, realm, verdict)) WITHOUT ROWID;
    CREATE INDEX bans_until ON bans (until);
    CREATE TABLE offences (
        address BLOB NOT NULL, prefix INTEGER NOT NULL, count INTEGER NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (address, prefix)) WITHOUT ROWID;
    CREATE INDEX offences_until ON offences (until);
    CREATE TABLE trust (
        address BLOB NOT NULL, prefix INTEGER NOT NULL, username BLOB NOT NULL, realm BLOB NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (address, prefix, username, realm)) WITHOUT ROWID;
    CREATE INDEX trust_until ON trust (until);
    CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT NOT NULL);
    CREATE TABLE names (role TEXT NOT NULL, name TEXT NOT NULL, networks TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (role, name)) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    # 2: calls, each as it is known last, and whose counters were set to nothing when. `account` is 0 where nobody is
    # known to have dialled; `rest` is all that nobody asks for by itself, as JSON; `cost` in micros, once it has ended.
    """
    CREATE TABLE calls (
        key TEXT PRIMARY KEY, began INTEGER NOT NULL, answered INTEGER NOT NULL, ended INTEGER NOT NULL,
        account INTEGER NOT NULL, username BLOB NOT NULL, realm BLOB NOT NULL, cost INTEGER NOT NULL,
        rest TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX calls_began ON calls (began, key);
    CREATE INDEX calls_ended ON calls (ended);
    CREATE INDEX calls_username ON calls (username);
    CREATE TABLE resets (scope TEXT NOT NULL, subject BLOB NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (scope, subject)) WITHOUT ROWID;
    """,
    # 3: how to reach both ends of a running call, as `track/kept.py` writes it; calls from before it have none.
    """
    CREATE TABLE legs (key TEXT PRIMARY KEY, at INTEGER NOT NULL, ends TEXT NOT NULL) WITHOUT ROWID;
    """,
    # 4: what detectors have learned. A row gets a new id each time it is written: ids tell the order of writing.
    """
    CREATE TABLE lessons (
        id INTEGER PRIMARY KEY, detector TEXT NOT NULL, username BLOB NOT NULL, realm BLOB NOT NULL,
        topic BLOB NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
        UNIQUE (detector, username, realm, topic));
    CREATE INDEX lessons_id ON lessons (detector, id);
    """,
    # 5: until when a place is known to be a device's, and its contact; of what is older nothing is known.
    """
    ALTER TABLE trust ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE trust ADD COLUMN contact BLOB NOT NULL DEFAULT x'';
    """,
)


class _DamagedError(Exception):
    """The file is there, and is no sound database."""


def connect(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open or make the database; give it and, when a damaged one was set aside, a line to alert with (else "").

    Raises AdapterError: the directory is missing or not ours, the disk is full, or a newer release made the file.
    """
    try:
        try:
            return _open(path), ""
        except _DamagedError as damage:
            aside = _set_aside(path)
            text = f"{path} is damaged ({damage}); it was kept as {aside}, a new one begun: earlier bans are forgotten"
            return _open(path), text
    except (sqlite3.Error, OSError, _DamagedError) as error:
        raise AdapterError(ADAPTER, f"{path} cannot be opened: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    with ExitStack() as on_failure:
        connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        on_failure.callback(connection.close)
        _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -8192")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        _migrate(connection, path)
        path.chmod(0o640)
        on_failure.pop_all()
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Let SQLite look at every page. Raises _DamagedError; a disk or permission error goes through as it is."""
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if _primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _DamagedError(str(error)) from error
        raise
    if found != ("ok",):
        raise _DamagedError(" ".join(str(found[0] if found else "no answer").split())[:200])


def _primary(error: sqlite3.Error) -> int:
    """Give SQLite's primary result code; extended ones carry it in their low byte. -1 where there is none."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else int(code) & 0xFF


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise AdapterError(
            ADAPTER, f"{path} was made by a newer sipguard (schema {version}); install that one, or move the file away"
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;{script};PRAGMA user_version = {number};COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _set_aside(path: Path) -> Path:
    """Rename the file, and its journal with it, to the next free `.damaged-<n>`; keep the youngest `ASIDE` of them."""
    taken = sorted(
        int(found.name.rpartition("-")[2])
        for found in path.parent.glob(f"{path.name}.damaged-*")
        if found.name.rpartition("-")[2].isdigit()
    )
    for number in taken[: max(0, len(taken) - ASIDE + 1)]:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}{suffix}.damaged-{number}").unlink()
    number = taken[-1] + 1 if taken else 1
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(f"{path.name}{suffix}.damaged-{number}"))
    return path.with_name(f"{path.name}.damaged-{number}")
