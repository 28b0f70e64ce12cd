"""Sheets of calls, accounts and limits: what is asked for, the dearest first, bounded, and changed by no question."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.call import MICROS, Call, CallOrigin
from sipguard.callsheet import MOST, PLACES, Tolls, sheet
from sipguard.decide.wards import Wards
from sipguard.model import HOUR, MINUTE, SECOND, Account, Pair, Sheet
from sipguard.policy.load import load
from tests.decide.calling import GERMAN, HOME, SOMALI, call, only

NOW = 10 * HOUR
HERE, THERE = parse_network("192.0.2.10"), parse_network("203.0.113.9")
HOSTILE = '[/x]\x1b[2J\r\n"'


def running(made: Call, minutes: int = 5) -> Call:
    made.began, made.answered = NOW - minutes * MINUTE - SECOND, NOW - minutes * MINUTE
    return made


def wards() -> Wards:
    found = Wards(100)
    found.quarantine(Account("1002", ""), NOW + HOUR, doubted=True)
    found.quarantine(Pair(THERE, Account("1003", "pbx")), NOW + HOUR, doubted=True)
    found.shield(Account("1003", "pbx"), NOW + HOUR)
    return found


def tolls(*calls: Call, registered: int = 1) -> Tolls:
    account = Account("1001", "pbx")
    places = [(account, parse_network(f"192.0.2.{number + 10}"), NOW + HOUR) for number in range(registered)]
    return Tolls(calls, None, wards(), places, HOUR, "EUR")


def test_calls_are_listed_the_dearest_first_with_where_they_go_and_what_they_cost() -> None:
    dear, cheap, unpriced = running(call(key="aa1")), running(call(GERMAN, rate=HOME, key="ab2"), 60), call(key="b3")
    unpriced.rate, unpriced.account, unpriced.caller, unpriced.source = None, None, HOSTILE, None
    unpriced.confirmed, unpriced.origin = False, CallOrigin.ORPHAN
    found = sheet(Sheet("calls"), NOW, tolls(cheap, unpriced, dear))
    assert [each["id"] for each in found["calls"]] == ["aa1", "ab2", "b3"]
    first, _, last = found["calls"]
    assert (first["account"], first["number"], first["country"], first["class"]) == (
        "1001@pbx",
        "+25261123456",
        "SO",
        "mobile",
    )
    assert (first["cost"], first["seconds"], first["answered"]) == (5 * MICROS, 300, (NOW - HOUR) / SECOND - 300)
    assert (last["caller"], last["priced"], last["confirmed"], last["answered"]) == (HOSTILE, False, False, 0)
    assert (found["total"], found["cost"], found["currency"]) == (3, 5 * MICROS + 600_000, "EUR")
    assert [each["id"] for each in sheet(Sheet("calls", "a"), NOW, tolls(cheap, unpriced, dear))["calls"]] == [
        "aa1",
        "ab2",
    ]


def test_no_question_gets_more_than_it_may_and_each_is_told_how_many_there_are() -> None:
    many = [running(call(key=f"{number:05}", account=str(number))) for number in range(MOST + 5)]
    for about in ("calls", "accounts"):
        found = sheet(Sheet(about, most=10**9), NOW, tolls(*many))
        assert (len(found[about]), found["total"] >= MOST + 5) == (MOST, True)
        assert sheet(Sheet(about, most=-1), NOW, tolls(*many))[about] == []
    (row,) = sheet(Sheet("accounts", "1001@pbx"), NOW, tolls(registered=PLACES + 4))["accounts"]
    assert (len(row["registered"]), row["registrations"]) == (PLACES, PLACES + 4)


def test_accounts_are_those_that_call_are_registered_or_that_something_is_done_about() -> None:
    dear, other = running(call(account="1009")), running(call(SOMALI, account="1001"), 1)
    found = sheet(Sheet("accounts"), NOW, tolls(dear, other, running(call(account=None))))
    rows = {row["account"]: row for row in found["accounts"]}
    assert list(rows) == ["1009@pbx", "1001@pbx", "1002", "1003@pbx"]
    assert (rows["1009@pbx"]["calls"], rows["1009@pbx"]["cost"], rows["1009@pbx"]["registrations"]) == (
        1,
        5 * MICROS,
        0,
    )
    assert rows["1001@pbx"]["registered"] == [{"network": "192.0.2.10", "until": 10 * 3600.0}]
    assert rows["1002"]["state"] == [{"what": "quarantine", "until": 10 * 3600.0}]
    assert [(each["what"], each.get("from")) for each in rows["1003@pbx"]["state"]] == [
        ("quarantine", "203.0.113.9"),
        ("shield", None),
    ]


def test_an_incident_is_of_the_accounts_of_the_name_and_of_nobody_else() -> None:
    mine, other = running(call(account="Bob")), running(call(account="Bobby"))
    found = sheet(Sheet("incident", "bob"), NOW, tolls(mine, other))
    assert ([each["account"] for each in found["running"]], found["running_total"]) == (["Bob@pbx"], 1)
    assert [each["account"] for each in found["accounts"]] == ["Bob@pbx"]


def test_limits_show_what_is_used_of_them_the_fullest_first_or_what_is_asked_for() -> None:
    counted = only("account", total="{ critical = 10 }", calls="{ critical = 4 }")
    for made in (call(account="1001"), call(account="1001"), call(account="1002")):
        counted.began(NOW, made)
    asked = tolls()._replace(limits=counted)
    found = sheet(Sheet("limits"), NOW, asked)
    told = [(each["subject"], each["kind"], each["value"], each["critical"]) for each in found["limits"]]
    assert told[0] == ("1001@pbx", "calls", 2, 4)
    assert ("1002@pbx", "total", 1, 10) in told
    assert found["total"] == 4
    named = sheet(Sheet("limits", "1002", "account"), NOW, asked)
    assert {each["subject"] for each in named["limits"]} == {"1002"}
    assert sheet(Sheet("limits", "nobody"), NOW, asked)["limits"] == []


@pytest.mark.parametrize("asked", [Sheet("unheard of"), Sheet("limits", "x", "unheard of")])
def test_there_is_no_other_question(asked: Sheet) -> None:
    with pytest.raises(ValueError, match=r".+"):
        sheet(asked, NOW, tolls()._replace(limits=only("account")))


def test_the_default_policy_has_no_limits_to_ask_for_until_something_is_counted() -> None:
    assert load("").limits is not None
    assert sheet(Sheet("limits"), NOW, tolls()._replace(limits=only("account")))["limits"] == []
