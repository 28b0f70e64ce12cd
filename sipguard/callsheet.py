"""Calls, accounts and limits as they stand, as plain JSON values: what `sipguard calls`, `accounts` and others ask.

Promises: asking changes nothing; every list is bounded and comes with how many there are in all; it takes no longer
than a look through the running calls and the registrations. Texts are as they came, to be escaped by whoever shows
them. Money is in micros, times in seconds. What is over is the store's to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nlargest
from typing import Any, NamedTuple, TypeAlias

from sipguard.address import Network, show
from sipguard.call import Call, Direction
from sipguard.decide.limits import Limits, Usage
from sipguard.decide.limitset import Scope
from sipguard.decide.wards import Wards
from sipguard.model import SECOND, Account, Instant, Pair, Sheet
from sipguard.report import seconds

Json: TypeAlias = dict[str, Any]

MOST = 1_000
"""Entries of a list in an answer, whatever is asked for."""
PLACES = 5
"""Places that an account is told to be registered from; there may be more."""
_BOOKS = 400
"""Subjects of limits whose counters are looked at when nobody is named: each takes a hundredth of a millisecond."""
_OVERVIEW = (Scope.ACCOUNT, Scope.GROUP, Scope.TRUNK, Scope.SITE)


class Tolls(NamedTuple):
    """What is asked. `calls` are the running ones, `base` is taken from every instant that is told."""

    calls: Iterable[Call]
    limits: Limits | None
    wards: Wards
    registrations: Iterable[tuple[Account, Network, Instant]]
    base: Instant
    currency: str = ""


def sheet(asked: Sheet, at: Instant, tolls: Tolls) -> Json:
    """Answer a question at `at`. Raises ValueError for one that there is not."""
    if asked.about not in _SHEETS:
        raise ValueError("no such sheet")
    most = max(0, min(MOST, asked.most))
    return {"at": seconds(at, tolls.base), "currency": tolls.currency} | _SHEETS[asked.about](asked, most, at, tolls)


# --- Calls ------------------------------------------------------------------------------------------------------------


def _calls(asked: Sheet, most: int, at: Instant, tolls: Tolls) -> Json:
    """List the running calls whose key begins as asked, the dearest first, then the longest."""
    found = [call for call in tolls.calls if call.key.startswith(asked.name)]
    first = nlargest(most, found, key=lambda call: (call.cost(at), -call.began))
    return {
        "calls": [_call(call, at, tolls.base) for call in first],
        "total": len(found),
        "cost": sum(call.cost(at) for call in found),
    }


def _call(call: Call, at: Instant, base: Instant) -> Json:
    called = call.called
    return {
        "id": call.key,
        "account": None if call.account is None else str(call.account),
        "caller": call.caller,
        "source": None if call.source is None else show(call.source),
        "number": called.e164 or called.dialled,
        "country": called.country,
        "class": str(called.kind),
        "direction": str(call.direction),
        "origin": str(call.origin),
        "ambiguous": call.ambiguous,
        "trunk": call.trunk,
        "carrier": None if call.carrier is None else show(call.carrier),
        "began": seconds(call.began, base),
        "answered": seconds(call.answered, base) if call.answered else 0,
        "seconds": call.lasted(at) // SECOND,
        "cost": call.cost(at),
        "priced": call.rate is not None,
        "confirmed": call.confirmed,
    }


# --- Accounts ---------------------------------------------------------------------------------------------------------


class _Row:
    """What is known of one account."""

    __slots__ = ("calls", "cost", "places", "registered", "seconds", "state", "who")

    def __init__(self, who: str) -> None:
        self.who = who
        self.places: list[Json] = []
        self.registered = 0
        self.calls = 0
        self.seconds = 0
        self.cost = 0
        self.state: list[Json] = []


def _accounts(asked: Sheet, most: int, at: Instant, tolls: Tolls) -> Json:
    """List the accounts of a name, or all: those that spend first, then those that something is done about."""
    rows: dict[str, _Row] = {}
    for account, place, until in tolls.registrations:
        row = _row(rows, account)
        row.registered += 1
        if len(row.places) < PLACES:
            row.places.append({"network": str(place), "until": _until(until, tolls.base)})
    for call in tolls.calls:
        if call.account is not None and call.direction is Direction.OUTBOUND:
            row = _row(rows, call.account)
            row.calls += 1
            row.seconds += call.lasted(at) // SECOND
            row.cost += call.cost(at)
    for what, ward, until in tolls.wards.all():
        account = ward.account if isinstance(ward, Pair) else ward
        where = {"from": str(ward.network)} if isinstance(ward, Pair) else {}
        row = _row(rows, account)
        if len(row.state) < PLACES:
            row.state.append({"what": str(what), "until": _until(until, tolls.base), **where})
    wanted = [row for row in rows.values() if not asked.name or _is_called(row.who, asked.name)]
    first = sorted(wanted, key=lambda row: (-row.cost, -row.calls, not row.state, row.who))[:most]
    return {"accounts": [_account(row) for row in first], "total": len(wanted)}


def _row(rows: dict[str, _Row], account: Account) -> _Row:
    who = str(account)
    return rows.setdefault(who, _Row(who)) if who not in rows else rows[who]


def _account(row: _Row) -> Json:
    return {
        "account": row.who,
        "registered": row.places,
        "registrations": row.registered,
        "calls": row.calls,
        "seconds": row.seconds,
        "cost": row.cost,
        "state": row.state,
    }


def _is_called(who: str, name: str) -> bool:
    """Tell whether an account, as it is written, is meant by a name: `1001@pbx` by 1001, too."""
    who, name = who.casefold(), name.casefold()
    return name in {who, who.partition("@")[0], who.rpartition("@")[0]}


# --- Limits -----------------------------------------------------------------------------------------------------------


def _limits(asked: Sheet, most: int, at: Instant, tolls: Tolls) -> Json:
    """List the counters of a subject, or all of accounts, groups, trunks and sites that are not 0, the fullest first.

    Raises ValueError for a scope that there is not.
    """
    if tolls.limits is None:
        return {"limits": [], "total": 0, "unseen": 0}
    if asked.name:
        scopes = [Scope(asked.scope)] if asked.scope else list(_OVERVIEW)
        told = [each for scope in scopes for each in _usage(tolls.limits, at, scope, asked.name)]
        return {"limits": told[:most], "total": len(told), "unseen": 0}
    subjects = [(scope, name) for scope in _OVERVIEW for name in reversed(tolls.limits.subjects(scope))]
    seen = subjects[:_BOOKS]
    found = (each for scope, name in seen for each in _usage(tolls.limits, at, scope, name))
    used = [each for each in found if each["value"]]
    told = nlargest(most, used, key=_fullness)
    return {"limits": told, "total": len(used), "unseen": len(subjects) - len(seen)}


def _usage(limits: Limits, at: Instant, scope: Scope, name: str) -> Iterator[Json]:
    for usage in limits.usage(at, scope, name):
        yield {"scope": str(scope), "subject": name, **_counter(usage)}


def _counter(usage: Usage) -> Json:
    kind = usage.rule.rpartition(".")[2]
    return {
        "rule": usage.rule,
        "kind": kind,
        "money": "spend" in kind,
        "value": usage.value,
        "warn": usage.warn,
        "critical": usage.critical,
    }


def _fullness(counter: Json) -> float:
    value = counter["value"] / max(1, counter["critical"] or counter["warn"] or 1)
    return value if isinstance(value, float) else 0.0


# --- An incident ------------------------------------------------------------------------------------------------------


def _incident(asked: Sheet, most: int, at: Instant, tolls: Tolls) -> Json:
    """Tell of the accounts of a name: where they are, what is done about them, what they are doing."""
    calls = list(tolls.calls)
    mine = [call for call in calls if call.account is not None and asked.name.casefold() in call.account.called()]
    first = nlargest(most, mine, key=lambda call: (call.cost(at), -call.began))
    return {
        **_accounts(asked, most, at, tolls._replace(calls=calls)),
        "running": [_call(call, at, tolls.base) for call in first],
        "running_total": len(mine),
        "limits": _limits(asked._replace(scope="account"), most, at, tolls)["limits"],
    }


_SHEETS = {"calls": _calls, "accounts": _accounts, "limits": _limits, "incident": _incident}


def _until(until: Instant, base: Instant) -> float:
    """Give the end in seconds, 0 for what has none."""
    return seconds(until, base) if until else 0
