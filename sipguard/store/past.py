"""What was found and decided about one address, network or account, for `sipguard why`. Reads only.

Promises: an answer is bounded, the latest first; nobody can bring a line under another's name by what he writes, since
whom a decision is about is compared by column, and a finding only by the whole name that such a decision has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from sipguard.address import Network, subject_of
from sipguard.model import Account, Pair
from sipguard.store.database import Store
from sipguard.store.questions import COLUMNS, decision
from sipguard.store.rows import PAIR, readable, subject_of_row

Json: TypeAlias = dict[str, Any]

MOST = 20
_SUBJECTS = 5
"""Different subjects (an address, accounts as used from it) whose findings are looked for."""
_LOOKED_AT = 2000
"""Decisions about accounts that are looked through for a name."""


def past(store: Store, asked: Network | str, now_wall: int) -> Json:
    """Give the latest decisions and findings, and what is in force within a network at `now_wall` (ns since 1970)."""
    if isinstance(asked, str):
        found = _of_account(store, asked.casefold())
        return {"decisions": found, "findings": _findings(store, found), "bans": [], "banned": 0}
    network = subject_of(asked.address) if asked.version == 6 and asked.prefix > 64 else asked
    found = _of_network(store, network)
    bans = _within(store, network, now_wall)
    return {"decisions": found, "findings": _findings(store, found), **bans}


def _of_network(store: Store, network: Network) -> list[Json]:
    """Give decisions on a network, on any it lies in, on any in it, and on accounts as used from there."""
    wider = [part for each in _covering(network) for part in each]
    places = ",".join(["(?,?)"] * (len(wider) // 2))
    found = store.ask(
        f"SELECT {COLUMNS} FROM decisions WHERE length(address) = ?"  # noqa: S608 - our own names
        f" AND (address BETWEEN ? AND ? OR (address, prefix) IN (VALUES {places})) ORDER BY id DESC LIMIT ?",
        (len(network.address), network.address, _last(network), *wider, MOST),
    )
    return readable(decision, found)


def _covering(network: Network) -> Iterator[Network]:
    bits, number = 8 * len(network.address), int.from_bytes(network.address)
    for prefix in range(network.prefix + 1):
        shift = bits - prefix
        yield Network((number >> shift << shift).to_bytes(bits // 8), prefix)


def _last(network: Network) -> bytes:
    """Give the last address of a network."""
    size = len(network.address)
    return (int.from_bytes(network.address) | ((1 << (8 * size - network.prefix)) - 1)).to_bytes(size)


def _within(store: Store, network: Network, now_wall: int) -> Json:
    """Give what is in force within a network, the latest first, and how much of it there is."""
    where = "length(address) = ? AND address BETWEEN ? AND ? AND prefix < ? AND (until = 0 OR until > ?)"
    values = (len(network.address), network.address, _last(network), PAIR, now_wall)
    count = store.ask(f"SELECT count(*) FROM bans WHERE {where}", values)[0][0]  # noqa: S608 - our own names
    query = f"SELECT {COLUMNS} FROM bans WHERE {where} ORDER BY at DESC LIMIT ?"  # noqa: S608 - our own names
    return {"bans": readable(decision, store.ask(query, (*values, MOST))), "banned": count}


def _of_account(store: Store, name: str) -> list[Json]:
    """Give decisions on the accounts that a list may call so, whatever realm and place they are of."""
    part = name.partition("@")[0] if name.isascii() else ""  # SQLite folds ASCII alone
    found = store.ask(
        f"SELECT {COLUMNS} FROM decisions"  # noqa: S608 - our own names
        " WHERE length(username) > 0 AND instr(lower(CAST(username AS TEXT)), ?) > 0 ORDER BY id DESC LIMIT ?",
        (part, _LOOKED_AT),
    )
    mine = readable(lambda row: decision(row) if name in _account(row).called() else None, found)
    return [each for each in mine if each is not None][:MOST]


def _account(row: tuple[Any, ...]) -> Account:
    subject = subject_of_row((row[0], row[1], row[2], row[3]))
    if isinstance(subject, Pair):
        return subject.account
    return subject if isinstance(subject, Account) else Account("", "")


def _findings(store: Store, decisions: list[Json]) -> list[Json]:
    """Give the findings on those about whom something was decided: none is kept without a decision."""
    subjects = list(dict.fromkeys(each["subject"] for each in decisions))[:_SUBJECTS]
    if not subjects:
        return []
    marks = [f'"subject":{json.dumps(subject)}' for subject in subjects]
    where = " OR ".join(["instr(line, ?) > 0"] * len(marks))
    query = f"SELECT line FROM events WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - our own names
    lines = readable(lambda row: dict(json.loads(row[0])), store.ask(query, (*marks, 5 * MOST)))
    return [line for line in lines if line.get("kind") == "finding" and line.get("subject") in subjects][:MOST]
