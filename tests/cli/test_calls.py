"""Calls, accounts, limits and incidents on the command line: tables, JSON, hostile strings, orders as they are."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import pytest

from sipguard.call import MICROS, CallOrigin, CallState, NumberClass, Rate
from sipguard.cli.story import addresses, advice, steps, summary
from sipguard.model import DAY, MINUTE, SECOND, Account, DecisionVerdict, Pair
from tests.cli.conftest import Guard
from tests.cli.test_cli import HOSTILE, is_clean
from tests.keeper.packetside import HOST, ban, boottime


def running(key: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": key,
        "account": "1001@pbx",
        "caller": HOSTILE,
        "source": "192.0.2.7",
        "number": "+25261",
    }
    found |= {"country": "SO", "class": "mobile", "direction": "outbound", "origin": "extension", "ambiguous": False}
    found |= {"trunk": HOSTILE, "carrier": None, "began": time.time(), "answered": time.time(), "seconds": 3723}
    return found | {"cost": 12_340_000, "priced": True, "confirmed": True} | more


def listed(*calls: dict[str, Any], total: int = 0) -> dict[str, Any]:
    body = {"calls": list(calls), "total": total or len(calls), "cost": 1_500_000, "currency": "EUR", "at": 1.0}
    return {"ok": True, "body": body}


def state(key: str, account: Account | None = None, *, lasted: int = 90, ago: int = MINUTE) -> CallState:
    began = boottime() - ago - lasted * SECOND
    called = "0025261", "+25261", NumberClass.MOBILE, "SO"
    rate = Rate("+252", "Somalia", MICROS, 0, 60, 60)
    who = account or Account("1001", "pbx")
    source, ended = b"\xcb\0\x71\x09", boottime() - ago
    return CallState(key, began, began, ended, who, HOSTILE, source, CallOrigin.FORWARDED, "", *called, rate)


def test_running_calls_are_a_table_with_what_they_cost_and_how_many_more_there_are(guard: Guard) -> None:
    ringing = running("ffff000011112222", account=None, answered=0, priced=False, confirmed=False)
    guard.packet.answers["why"] = listed(running("0123456789abcdef"), ringing, total=9)
    done = guard.run("calls", "--limit", "2")
    assert (done.returncode, is_clean(done.stdout)) == (0, True)
    first, second = done.stdout.splitlines()[1:3]
    for part in ("01234567 ", "1001@pbx", "+25261", "SO mobile", "1:02:03", "12.34"):
        assert part in first
    for part in ("rings", "no price", "not heard of lately", "([/x]"):
        assert part in second
    assert "7 more are not shown" in done.stdout
    assert "9 calls, 1.50 EUR so far" in done.stdout
    assert len(json.loads(guard.run("calls", "--json").stdout)["calls"]) == 2
    assert [args["sheet"] for args in guard.ordered("why")] == [["calls", "", "", 2], ["calls", "", "", 50]]


def test_calls_that_are_over_come_from_the_store(guard: Guard) -> None:
    with guard.work:
        guard.packet.delta(state("a"), state("b", Account(HOSTILE, HOSTILE)), state("c", ago=2 * DAY))
    done = guard.run("calls", "--ended", "1d")
    assert (done.returncode, is_clean(done.stdout)) == (0, True)
    assert "2 calls, 3:00, 4.00 in all" in done.stdout
    assert json.loads(guard.run("calls", "--ended", "3d", "--json").stdout)["total"] == 3
    assert guard.run("calls", "--ended", "32d").returncode == 2
    assert guard.run("calls", "--ended", "soon").returncode == 2


def test_a_call_is_hung_up_by_a_beginning_of_its_id_that_no_other_has(guard: Guard) -> None:
    guard.packet.answers["why"] = listed(running("0123456789"))
    guard.packet.answers["hang-up"] = {"ok": True, "body": {"done": "hang-up", "subject": "0123456789"}}
    assert "0123456789 is being hung up" in guard.run("hangup", "0123", "--reason", HOSTILE).stdout
    (order,) = (args["order"] for args in guard.ordered("hang-up"))
    assert isinstance(order, dict)
    assert (order["account"], order["reason"]) == ("0123456789", HOSTILE)
    guard.packet.answers["why"] = listed(running("01"), running("02"), total=7)
    refused = guard.run("hangup", "0")
    assert (refused.returncode, "7 calls have an id that begins with 0" in refused.stderr) == (1, True)
    guard.packet.answers["why"] = listed()
    guard.packet.answers["hang-up"] = {"ok": False, "error": "x is no call that is going on"}
    assert guard.run("hangup", HOSTILE).returncode == 1


def test_a_quarantine_is_ordered_by_the_name_that_people_use(guard: Guard) -> None:
    decision = {"at": 1, "kind": "decision", "subject": HOSTILE, "verdict": "quarantine", "until": 0}
    guard.packet.answers["quarantine"] = {"ok": True, "body": {"decision": decision}}
    done = guard.run("quarantine", "sip:1001@pbx", "--for", "1d", "--reason", HOSTILE)
    assert (done.returncode, is_clean(done.stdout), "is under quarantine" in done.stdout) == (0, True, True)
    (order,) = (args["order"] for args in guard.ordered("quarantine"))
    assert isinstance(order, dict)
    assert (order["verb"], order["account"], order["span"]) == ("quarantine", "1001@pbx", DAY)
    assert guard.run("quarantine", "").returncode == 2
    assert guard.run("quarantine", "1001", "--for", "20000d").returncode == 2


def test_accounts_are_joined_with_what_they_called_for_today(guard: Guard) -> None:
    with guard.work:
        guard.packet.delta(state("a", ago=SECOND), state("b", Account(HOSTILE, "pbx"), ago=SECOND))
    place = {"network": "192.0.2.7", "until": time.time() + 60}
    row = {"account": "1001@pbx", "registered": [place], "registrations": 4, "calls": 1, "seconds": 5, "cost": 0}
    row["state"] = [{"what": "quarantine", "until": time.time() + 60, "from": "192.0.2.7"}]
    body = {"accounts": [row], "total": 1, "currency": "", "at": 1.0}
    guard.packet.answers["why"] = {"ok": True, "body": body}
    done = guard.run("accounts")
    assert (done.returncode, is_clean(done.stdout)) == (0, True)
    assert "192.0.2.7 and 3 more" in done.stdout
    assert "quarantined from 192.0.2.7 until" in done.stdout
    found = json.loads(guard.run("accounts", "--json").stdout)
    assert {each["account"] for each in found["accounts"]} == {"1001@pbx", f"{HOSTILE}@pbx"}
    assert [each["account"] for each in json.loads(guard.run("accounts", "1001", "--json").stdout)["accounts"]] == [
        "1001@pbx"
    ]


def test_limits_are_shown_and_reset_by_scope_and_name(guard: Guard) -> None:
    counter: dict[str, Any] = {
        "scope": "account",
        "subject": HOSTILE,
        "rule": "limits.account.spend_day",
        "kind": "spend_day",
    }
    counter |= {"money": True, "value": 1_500_000, "warn": 0, "critical": 50_000_000}
    guard.packet.answers["why"] = {"ok": True, "body": {"limits": [counter], "total": 3, "unseen": 2}}
    done = guard.run("limits")
    assert (done.returncode, is_clean(done.stdout)) == (0, True)
    for part in ("1.50", "50.00", "limits.account.spend_day", "2 more are not shown", "2 subjects were not looked at"):
        assert part in done.stdout
    guard.run("limits", "group:Sales")
    assert [args["sheet"] for args in guard.ordered("why")][-1] == ["limits", "Sales", "group", 50]
    guard.packet.answers["reset"] = {"ok": True, "body": {"reset": [f"account {HOSTILE}"], "total": 2}}
    done = guard.run("limits", "reset", "1001")
    assert (done.returncode, is_clean(done.stdout), "1 more are not shown" in done.stdout) == (0, True, True)
    guard.run("limits", "reset", "trunk:carrier")
    orders = [args["order"] for args in guard.ordered("reset")]
    assert [(each["scope"], each["account"]) for each in orders if isinstance(each, dict)] == [
        ("account", "1001"),
        ("trunk", "carrier"),
    ]
    for words in (["reset"], ["1001", "1002"], ["reset", "1001", "1002"]):
        assert guard.run("limits", *words).returncode == 2


def test_an_incident_is_told_in_order_on_one_screen_and_whole_in_json(guard: Guard) -> None:
    account = Account("1001", "pbx")
    with guard.work:
        guard.packet.delta(*(state(f"{number:04}", ago=number * MINUTE) for number in range(1, 40)))
        guard.packet.delta(ban(Pair(HOST, account), verdict=DecisionVerdict.QUARANTINE))
    body = {"accounts": [], "total": 0, "running": [running("0123456789")], "running_total": 1, "limits": []}
    guard.packet.answers["why"] = {"ok": True, "body": body | {"currency": "EUR", "at": 1.0}}
    done = guard.run("incident", "1001")
    assert (done.returncode, is_clean(done.stdout)) == (0, True)
    assert len(done.stdout.splitlines()) <= 40
    for part in ("39 times", "39 calls (39 answered) to SO", "78.00", "203.0.113.9", "quarantine 1001@pbx from", "PIN"):
        assert part in done.stdout
    found = json.loads(guard.run("incident", "1001", "--json").stdout)
    assert len(found["bill"]["calls"]) == 39
    assert [each["what"] for each in found["story"]] == ["called", "decided"]
    assert guard.run("incident", "1001", "--since", "400d").returncode == 2


@pytest.mark.parametrize("name", ["1001", "--help", "x; reboot $(id) '", "a\n\x1b[2J"])
def test_what_is_advised_can_be_pasted_whatever_somebody_called_himself(name: str) -> None:
    found = {"account": name, "accounts": [], "running": [], "running_total": 0, "bill": {}, "past": {}}
    command = next(iter(advice(found))).partition(": ")[2]
    words = shlex.split(command)
    assert words[:2] == ["sipguard", "quarantine"]
    assert len([word for word in words[2:] if word != "--"]) == 1
    assert is_clean(summary(found))


def test_a_story_names_as_addresses_what_is_one_and_survives_a_store_that_does_not_work() -> None:
    decision = {"at": 5, "verdict": "block", "subject": HOSTILE, "because": ["x"], "rule": ""}
    found = {"account": "1001", "accounts": [], "running": [running("1")], "running_total": 1}
    past = {
        "decisions": [decision, decision | {"subject": "1001@pbx from 203.0.113.9"}, decision | {"subject": "1001"}]
    }
    assert addresses(found | {"past": past}) == ["192.0.2.7", "203.0.113.9"]
    assert all(is_clean(step.told) for step in steps(found | {"past": past}))
    assert steps(found | {"past": {"error": "x"}, "bill": {"error": "x"}}) == []
