"""Nouns survive the trip through JSON, and lines hold what they promise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sipguard import report
from sipguard.address import Network, parse_network
from sipguard.call import CallLegs, CallOrigin, CallState, LimitReset, NumberClass, Rate
from sipguard.model import (
    SECOND,
    Account,
    Action,
    Decision,
    DecisionVerdict,
    Finding,
    HangUp,
    Held,
    Hold,
    Lesson,
    Names,
    Offence,
    Order,
    OrderVerb,
    Record,
    Release,
    Role,
    SetName,
    Trust,
    Verdict,
    VerdictKind,
)

NET = parse_network("2001:db8::/64")
CALL = CallState(
    key="c0ffee",
    began=SECOND,
    answered=2 * SECOND,
    ended=63 * SECOND,
    account=Account("10\u00e901\udcff", "pbx"),
    caller='"\x1b',
    source=bytes(15) + b"\1",
    origin=CallOrigin.ORPHAN,
    trunk="carrier",
    dialled="0025261",
    e164="+25261",
    kind=NumberClass.MOBILE,
    country="SO",
    rate=Rate("+252", "Somalia; mobile", 300_000, 10, 60, 30),
    leg="dialog",
)
NOUNS: list[report.Packable] = [
    Decision(5, DecisionVerdict.BLOCK, NET, 2**62 + 1, ("credentials",), "detect.credentials.then", "why", 3),
    Decision(5, DecisionVerdict.REPORT, Account("10\u00e901", "r@x"), 0, (), ""),
    Offence(NET, 4, 77),
    Trust(parse_network("192.0.2.1"), Account('a"\x00', "realm"), 9),
    Held(SetName.BLOCKED, NET, 3),
    Order(OrderVerb.BAN, NET, 7, "because", "root"),
    Order(OrderVerb.RELEASE, "192.0.2.1", 0, "a name that looks like an address", "root"),
    Order(OrderVerb.RESET, "1001", 0, "", "root", scope="account"),
    Names(Role.TRUNK, "sip.example.net", (NET, parse_network("192.0.2.0/24"))),
    CALL,
    replace(CALL, account=None, source=None, rate=None, ended=0),
    LimitReset(5, "account", "10\udcff01@pbx"),
    Lesson(-7, "firstabroad", Account("10\udcff01", ""), "+252", "5,0 \udcff"),
    CallLegs(5, "c0ffee", "MQ=="),
]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_unpack_gives_back_exactly_what_was_packed(noun: report.Packable) -> None:
    assert report.unpack(json.loads(json.dumps(report.pack(noun)))) == noun


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"noun": "held"},
        {"noun": "held", "set": "blocked", "network": "x", "until": 1},
        {"noun": ["held"]},
        {"noun": 3},
        {**report.pack(CALL), "rate": ["+252"]},
        {**report.pack(CALL), "rate": ["+252", "Somalia", 300_000, 10, 60, 0]},
        {**report.pack(CALL), "rate": ["+252", "Somalia", -1, 10, 60, 30]},
        {**report.pack(CALL), "source": "nowhere"},
        {**report.pack(CALL), "class": "unheard of"},
    ],
)
def test_unpack_raises_value_error_for_anything_else(value: report.Json) -> None:
    with pytest.raises(ValueError, match=r".+"):
        report.unpack(value)


def test_a_ban_reads_as_the_action_block_with_times_from_the_base() -> None:
    hold = Hold(11 * SECOND, Held(SetName.BLOCKED, NET, 71 * SECOND), ("credentials",))
    assert report.line(hold, SECOND) == {
        "action": "block",
        "at": 10.0,
        "because": ["credentials"],
        "kind": "action",
        "subject": "2001:db8::/64",
        "until": 70.0,
    }


def test_every_line_names_its_kind_its_time_and_its_subject() -> None:
    actions: list[Action] = [
        Record(1, Finding(1, "credentials", NET, "failures", 8, proven=True, evidence=(("failures", 5),))),
        Record(1, NOUNS[0]),  # type: ignore[arg-type]
        Release(1, Held(SetName.THROTTLED, NET)),
    ]
    for action in actions:
        line = report.line(action, 0)
        assert line is not None
        assert {"kind", "at", "subject"} <= line.keys()


@pytest.mark.parametrize("name", [SetName.TRUSTED, SetName.WATCHED, SetName.ALLOWED])
def test_whom_the_guard_trusts_watches_or_allows_is_no_news(name: SetName) -> None:
    assert report.line(Hold(1, Held(name, NET)), 0) is None
    assert report.line(Release(1, Held(name, NET)), 0) is None


def test_a_calls_beginning_answer_and_end_are_a_line_each_and_the_last_says_what_it_cost() -> None:
    begun = replace(CALL, answered=0, ended=0)
    states = (begun, replace(begun, answered=2 * SECOND), CALL)
    lines = [report.line(Record(9 * SECOND, state), SECOND) for state in states]
    assert [line["call"] for line in lines if line] == ["begun", "answered", "ended"]
    last = lines[-1]
    assert last is not None
    assert (last["at"], last["kind"], last["number"], last["seconds"]) == (8.0, "call", "+25261", 61.0)
    assert last["cost"] == "0.45001"  # 60 and 30 seconds at 0.30 a minute, and the connection
    assert "cost" not in (lines[1] or {})


def test_verdicts_and_the_stores_own_state_are_not_reported() -> None:
    assert report.line(Verdict(VerdictKind.ACCEPT), 0) is None
    assert report.line(Record(1, Offence(Network(b"\1\2\3\4", 32), 1, 2)), 0) is None


def test_of_a_ban_what_it_holds_is_kept_and_of_an_order_everything() -> None:
    network = parse_network("203.0.113.9")
    ban = Decision(1, DecisionVerdict.BLOCK, network, 7, ("credentials",), "detect.credentials.then", "", 3)
    assert report.lean(ban) == Held(SetName.BLOCKED, network, 7)
    assert report.lean(replace(ban, verdict=DecisionVerdict.THROTTLE)) == Held(SetName.THROTTLED, network, 7)
    for whole in (
        replace(ban, rule="order.force"),
        replace(ban, verdict=DecisionVerdict.RELEASE),
        replace(ban, subject=Account("1001", "pbx"), verdict=DecisionVerdict.QUARANTINE),
        Offence(network, 2, 9),
    ):
        assert report.lean(whole) is whole


def test_a_hang_up_is_a_line_when_it_is_begun_and_none_when_it_goes_on() -> None:
    line = report.line(HangUp(3 * SECOND, "key", "too long", (), ("call-id",)), SECOND)
    assert line == {"action": "hang-up", "at": 2.0, "kind": "action", "subject": "key", "text": "too long",
                    "way": "managed"}  # fmt: skip
    assert report.line(HangUp(3 * SECOND, "key", ""), SECOND) is None
