"""Requests are answered once each, whatever is in them."""

from __future__ import annotations

from typing import Any

import pytest

from sipguard.address import parse_network
from sipguard.call import LimitReset
from sipguard.control.orders import Answer, Args, asked_about, names_of, order_of, outcome, serve
from sipguard.errors import AdapterError
from sipguard.model import (
    SECOND,
    Account,
    Alert,
    Decision,
    DecisionVerdict,
    Enforced,
    Held,
    Names,
    Order,
    OrderVerb,
    Record,
    Role,
    SetName,
    Sheet,
    Trust,
)
from sipguard.report import pack

NETWORK = parse_network("192.0.2.7")
ORDER = Order(OrderVerb.BAN, NETWORK, SECOND, "why", "root")


def broken(_args: Args) -> Answer:
    raise AdapterError("nft", "no such file")


VERBS = {"broken": broken, "order": lambda args: (True, str(order_of(args)))}


@pytest.mark.parametrize(
    ("message", "ok"),
    [
        ({"id": 1, "verb": "order", "args": {"order": pack(ORDER)}}, True),
        ({"id": 1, "verb": "order", "args": {"order": {"noun": "order"}}}, False),
        ({"id": 1, "verb": "order", "args": {"order": pack(Trust(NETWORK, Account("a", "b"), 1))}}, False),
        ({"id": 1, "verb": "order", "args": None}, False),
        ({"id": 1, "verb": "order"}, False),
        ({"id": 1, "verb": [], "args": {}}, False),
        ({"id": 1, "verb": "unheard of", "args": {}}, False),
        ({"id": 1, "verb": "broken", "args": {}}, False),
        ({}, False),
    ],
)
def test_every_request_gets_one_reply(message: dict[str, Any], ok: bool) -> None:  # noqa: FBT001 - a table's column
    reply = serve({"t": "request", **message}, VERBS)
    assert (reply["t"], reply["id"], reply["ok"]) == ("reply", message.get("id", 0), ok)
    assert ("body" in reply) is ok
    assert ("error" in reply) is not ok


def test_a_question_is_about_a_network_or_a_name() -> None:
    assert asked_about({"network": "192.0.2.7"}) == NETWORK
    assert asked_about({"account": "192.0.2.7"}) == "192.0.2.7"
    for args in ({}, {"network": "x"}, {"network": None}, {"account": 1}, {"account": ["x"]}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            asked_about(args)


def test_names_are_names() -> None:
    names = Names(Role.TRUNK, "trunk a", (NETWORK,))
    assert names_of({"t": "names", "what": pack(names)}) == names
    with pytest.raises(TypeError):
        names_of({"t": "names", "what": pack(ORDER)})


def decided(verdict: DecisionVerdict, reason: str = "") -> list[Record]:
    return [Record(5, Decision(5, verdict, NETWORK, 9, ("order",), "allowed", reason))]


def test_an_order_is_done_only_when_engine_and_kernel_say_so() -> None:
    refused = [Enforced(Held(SetName.BLOCKED, NETWORK, 9), ok=False, why="the set is full")]
    assert outcome(ORDER, decided(DecisionVerdict.BLOCK), [], 0)[0] is True
    assert outcome(ORDER, decided(DecisionVerdict.BLOCK), refused, 0) == (
        False,
        "the kernel did not take it: the set is full",
    )
    assert outcome(ORDER, decided(DecisionVerdict.EXEMPT), [], 0) == (False, "it is exempt by allowed")
    assert outcome(ORDER, decided(DecisionVerdict.EXEMPT, "a trunk"), [], 0) == (False, "a trunk")
    assert outcome(ORDER, [], [], 0) == (False, "192.0.2.7 is not banned")


def test_a_hang_up_or_a_reset_that_nobody_did_is_refused_and_one_that_was_done_is_told() -> None:
    hang_up, reset = Order(OrderVerb.HANG_UP, "c0ffee"), Order(OrderVerb.RESET, "1001", scope="account")
    assert outcome(hang_up, [], [], 0) == (False, "c0ffee is no call that is going on")
    assert outcome(reset, [], [], 0) == (False, "account 1001 has no counters")
    refusal = Alert(5, "order-refused", "c0ffee", "it is a call for help")
    assert outcome(hang_up, [refusal], [], 0) == (False, "it is a call for help")
    assert outcome(hang_up, [Alert(5, "hung-up", "c0ffee", "ordered")], [], 0)[0] is True
    ok, body = outcome(reset, [Record(5, LimitReset(5, "account", f"1001@{n}")) for n in range(101)], [], 0)
    assert (ok, len(body["reset"]), body["reset"][0], body["total"]) == (True, 100, "account 1001@0", 101)


def test_a_sheet_is_asked_for_by_what_it_is_about() -> None:
    assert asked_about({"sheet": ["calls", "c0", "", 5]}) == Sheet("calls", "c0", "", 5)
    wrong: tuple[Args, ...] = ({"sheet": None}, {"sheet": []}, {"sheet": ["calls", "", "", "x"]})
    for args in wrong:
        with pytest.raises((KeyError, TypeError, ValueError)):
            asked_about(args)


def test_a_release_says_what_it_released_and_no_more_than_a_hundred_of_it() -> None:
    order = Order(OrderVerb.RELEASE, "1001")
    assert outcome(order, [], [], 0) == (False, "1001 is under no quarantine or shield")
    done = [
        Record(5, Decision(5, DecisionVerdict.RELEASE, Account("1001", f"realm{number}"), 0, ("order",), "order"))
        for number in range(101)
    ]
    ok, body = outcome(order, done, [], 0)
    assert (ok, len(body["released"]), body["released"][0], body["total"]) == (True, 100, "1001@realm0", 101)
