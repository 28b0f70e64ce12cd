"""Floods of calls are told by the number that is called, and nobody is punished for being called."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.detect.tdos import called
from sipguard.model import Account, Consequence, DecisionVerdict
from sipguard.policy.schema import Trunk
from tests.detect.only import invite, kinds, last, only

TRUNK = "198.51.100.2"
TRUNKS = (Trunk("Carrier", (parse_network("198.51.100.0/28"),)),)
NUMBER = "4930555000"


def test_the_tenth_call_to_a_number_is_reported_and_the_ninth_is_not() -> None:
    story = only("tdos", TRUNKS, number_calls=10)
    for number in range(9):
        invite(story, TRUNK, NUMBER, user=str(number))
    assert kinds(story) == []
    invite(story, "203.0.113.66", NUMBER)
    assert last(story).subject == Account(NUMBER, "")
    assert dict(last(story).evidence)["callers"] == 10
    assert [each.verdict for each in story.decisions()] == [DecisionVerdict.REPORT]


def test_a_call_repeated_challenged_and_given_up_is_one_call() -> None:
    story = only("tdos", TRUNKS, number_calls=10)
    for number in range(9):
        sent = invite(story, TRUNK, NUMBER)
        for _ in range(5):
            invite(story, TRUNK, NUMBER, again=sent)
        story.ask(TRUNK, method="CANCEL", again=sent, uri=f"sip:{NUMBER}@x", user=str(number))
    assert kinds(story) == []
    invite(story, TRUNK, NUMBER)
    assert dict(last(story).evidence)["given_up_soon"] == 9


def test_calls_further_apart_than_the_window_are_no_flood() -> None:
    story = only("tdos", TRUNKS, number_calls=10)
    for _ in range(100):
        invite(story, TRUNK, NUMBER)
        story.wait(7)
    assert kinds(story) == []


def test_a_trunk_that_carries_too_many_calls_is_reported_whatever_they_call() -> None:
    story = only("tdos", TRUNKS, trunk_calls=20)
    for number in range(20):
        invite(story, TRUNK, str(4930555000 + number))
    assert [(str(each.subject), each.identifier) for each in story.findings()] == [(TRUNK, "trunk")]
    assert story.ordered() == []


@pytest.mark.parametrize("then", list(Consequence))
def test_no_consequence_touches_the_called_account_or_the_trunk(then: Consequence) -> None:
    story = only("tdos", TRUNKS, number_calls=5, trunk_calls=5, then=then)
    for _ in range(5):
        invite(story, TRUNK, "1001")
    assert {each.verdict for each in story.decisions()} <= {DecisionVerdict.REPORT, DecisionVerdict.EXEMPT}


def test_calls_among_registered_devices_are_not_counted() -> None:
    story = only("tdos", number_calls=5)
    story.register("198.51.100.20")
    for _ in range(20):
        invite(story, "198.51.100.20", "1001")
    assert kinds(story) == []


@pytest.mark.parametrize("written", ["+49-30-555", "+49.30.555", "%2b49(30)555", "+4930555;x=1", "+49 30 555"])
def test_a_number_is_the_same_however_it_is_written(written: str) -> None:
    assert called(f"sip:{written}@x".encode()) == b"+4930555"


def test_numbers_that_strangers_invent_do_not_push_out_those_that_trunks_carry() -> None:
    story = only("tdos", TRUNKS, number_calls=10, trunk_calls=10_000, numbers=100)
    for _ in range(9):
        invite(story, TRUNK, NUMBER)
    for number in range(1000):
        invite(story, f"192.{number >> 8}.{number & 255}.9", str(number))
    assert story.engine.counters()["tdos_numbers"] == 100
    assert story.engine.counters()["tdos_numbers_evicted"] > 800
    invite(story, TRUNK, NUMBER)
    assert kinds(story) == [("number", False)]
