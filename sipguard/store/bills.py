"""What calls were made, by whom and for how much: what `sipguard calls --ended`, `accounts` and `incident` ask.

Promises: reads only; answers are plain JSON and bounded, sums are of all there is; texts are as they came. Money is in
micros, times are seconds since 1970.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from sipguard.address import show
from sipguard.call import CallState
from sipguard.model import SECOND, Account
from sipguard.store.callrows import COLUMNS
from sipguard.store.database import Store
from sipguard.store.rows import call_of_row, readable

Json: TypeAlias = dict[str, Any]

MOST = 1_000
"""Calls, or accounts, in one answer."""
_LOOKED_AT = 5_000
"""Calls that are looked through for a name."""
_SUMS = (
    "count(*), sum(CASE WHEN answered != 0 AND ended > answered THEN (ended - answered) / 1000000000 ELSE 0 END),"
    " sum(cost)"
)


def ended(store: Store, since_wall: int, most: int) -> Json:
    """Give the calls that have ended since then (ns since 1970), the latest first, how many and what they came to."""
    most = max(0, min(MOST, most))
    where = "WHERE ended > ?"
    count, lasted, cost = store.ask(f"SELECT {_SUMS} FROM calls {where}", (since_wall,))[0]  # noqa: S608 - ours
    query = f"SELECT {COLUMNS} FROM calls {where} ORDER BY ended DESC, key LIMIT ?"  # noqa: S608 - our own names
    found = readable(lambda row: _call(call_of_row(row, 0)), store.ask(query, (since_wall, most)))
    return {"calls": found, "total": count, "seconds": lasted or 0, "cost": cost or 0}


def since(store: Store, since_wall: int, most: int = MOST) -> list[Json]:
    """Give what each account has called for since then, the dearest first; of running calls only that there are."""
    query = (
        f"SELECT username, realm, {_SUMS} FROM calls WHERE account = 1 AND began > ?"  # noqa: S608 - our own names
        " GROUP BY username, realm ORDER BY 5 DESC, 3 DESC LIMIT ?"
    )
    return readable(_sum, store.ask(query, (since_wall, most)))


def of_account(store: Store, name: str, since_wall: int, most: int) -> Json:
    """Give the latest calls of the accounts that may be called so, and what they came to.

    At most `_LOOKED_AT` calls of names like it are looked through; `whole` tells that there were no more.
    """
    name = name.casefold()
    part = name.partition("@")[0] if name.isascii() else ""  # SQLite folds ASCII alone
    rows = store.ask(
        f"SELECT {COLUMNS} FROM calls WHERE account = 1 AND began > ?"  # noqa: S608 - our own names
        " AND instr(lower(CAST(username AS TEXT)), ?) > 0 ORDER BY began DESC, key LIMIT ?",
        (since_wall, part, _LOOKED_AT),
    )
    calls = readable(lambda row: call_of_row(row, 0), rows)
    mine = [call for call in calls if call.account is not None and name in call.account.called()]
    return {
        "calls": [_call(call) for call in mine[: max(0, min(MOST, most))]],
        "total": len(mine),
        "seconds": sum(_lasted(call) for call in mine),
        "cost": sum(call.cost for call in mine),
        "whole": len(rows) < _LOOKED_AT,
    }


def _sum(row: tuple[Any, ...]) -> Json:
    username, realm, count, lasted, cost = row
    return {"account": str(_account(username, realm)), "calls": count, "seconds": lasted or 0, "cost": cost or 0}


def _account(username: bytes, realm: bytes) -> Account:
    return Account(*(each.decode("utf-8", "surrogatepass") for each in (username, realm)))


def _lasted(call: CallState) -> int:
    return max(0, call.ended - call.answered) // SECOND if call.answered and call.ended else 0


def _call(call: CallState) -> Json:
    return {
        "id": call.key,
        "account": None if call.account is None else str(call.account),
        "caller": call.caller,
        "source": None if call.source is None else show(call.source),
        "number": call.e164 or call.dialled,
        "country": call.country,
        "class": str(call.kind),
        "origin": str(call.origin),
        "trunk": call.trunk,
        "began": _seconds(call.began),
        "answered": _seconds(call.answered),
        "ended": _seconds(call.ended),
        "seconds": _lasted(call),
        "cost": call.cost,
        "priced": call.rate is not None,
    }


def _seconds(on_disk: int) -> float:
    return round(on_disk / SECOND, 3)
