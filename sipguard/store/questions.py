"""What an operator asks of the store, answered as plain JSON values. Reads only.

Promises: every answer is bounded, whatever the tables hold, and leaves out only what cannot be read; times are seconds
since 1970; texts are as they came, to be escaped by whoever shows them.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from sipguard.model import SECOND
from sipguard.store.database import Store
from sipguard.store.rows import readable, subject_of_row

Json: TypeAlias = dict[str, Any]

MOST = 10_000
"""The most rows in one answer."""

COLUMNS = "address, prefix, username, realm, verdict, at, until, because, rule, reason, offence"
"""What `decision` reads."""

_HITS = (
    "FROM bans b JOIN trust t ON t.address = b.address AND t.prefix = b.prefix"
    " WHERE length(b.address) > 0 AND b.until > ? AND t.until > ?"
)


def bans(store: Store, now_wall: int, limit: int = MOST) -> Json:
    """Give what is in force at `now_wall` (ns since 1970), the latest first, and how many there are in all."""
    limit = max(0, min(MOST, limit))
    total = store.ask("SELECT count(*) FROM bans WHERE until = 0 OR until > ?", (now_wall,))[0][0]
    found = store.ask(
        f"SELECT {COLUMNS} FROM bans"  # noqa: S608 - our own names
        " WHERE until = 0 OR until > ? ORDER BY at DESC LIMIT ?",
        (now_wall, limit),
    )
    return {"total": total, "bans": readable(decision, found)}


def decision(row: tuple[Any, ...]) -> Json:
    """Give a row of decisions, or of bans, as a JSON value."""
    return {
        "subject": str(subject_of_row((row[0], row[1], row[2], row[3]))),
        "verdict": row[4],
        "at": _seconds(row[5]),
        "until": _seconds(row[6]),
        "because": json.loads(row[7]),
        "rule": row[8],
        "reason": row[9],
        "offence": row[10],
    }


def _seconds(on_disk: int) -> float:
    return round(on_disk / SECOND, 3)


def preview(store: Store, now_wall: int) -> Json:
    """Tell what `enforce` would close at once: how many, by which rule, and which devices with a registration it hits.

    `seen` counts every decision to block that is remembered, also those that have run out.
    """
    rules = store.ask(
        "SELECT rule, count(*) FROM bans WHERE until = 0 OR until > ? GROUP BY rule ORDER BY 2 DESC, 1 LIMIT 50",
        (now_wall,),
    )
    seen = store.ask("SELECT count(*) FROM decisions WHERE verdict = 'block'")[0][0]
    hits = store.ask(f"SELECT count(*) {_HITS}", (now_wall, now_wall))[0][0]
    shown = store.ask(
        f"SELECT b.address, b.prefix, t.username, t.realm, b.rule {_HITS} ORDER BY b.at DESC LIMIT 50",
        (now_wall, now_wall),
    )
    return {
        "total": sum(count for _, count in rules),
        "seen": seen,
        "rules": dict(rules),
        "hits": hits,
        "hit": readable(_hit, shown),
        **bans(store, now_wall, limit=50),
    }


def _hit(row: tuple[Any, ...]) -> Json:
    address, prefix, username, realm, rule = row
    subject, account = subject_of_row((address, prefix, b"", b"")), subject_of_row((b"", 0, username, realm))
    return {"subject": str(subject), "account": str(account), "rule": rule}


def events(store: Store, last: int) -> list[Json]:
    """Give the youngest `last` report lines, oldest first."""
    found = store.ask("SELECT line FROM events ORDER BY id DESC LIMIT ?", (max(0, min(MOST, last)),))
    return readable(lambda row: json.loads(row[0]), reversed(found))


def counts(store: Store, now_wall: int) -> Json:
    """Give how much is kept, for `status`."""
    found: Json = {}
    for table in ("bans", "offences", "trust"):
        query = f"SELECT count(*) FROM {table} WHERE until = 0 OR until > ?"  # noqa: S608 - our own names
        found[table] = store.ask(query, (now_wall,))[0][0]
    found["decisions"] = store.ask("SELECT count(*) FROM decisions")[0][0]
    return found
