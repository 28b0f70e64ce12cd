"""A stranger who makes a phone ring is found at the first ring, and nobody who may is."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.model import SetName
from sipguard.policy.schema import Trunk
from tests.detect.only import invite, kinds, last, only

STRANGER = "203.0.113.66"
PHONE = "198.51.100.20"
TRUNKS = (Trunk("Carrier", (parse_network("198.51.100.0/28"),)),)


@pytest.mark.parametrize("code", [180, 183, 200])
def test_the_first_call_that_rings_or_is_answered_is_a_finding(code: int) -> None:
    story = only("ghostcall")
    sent = invite(story, STRANGER)
    story.answer(sent, 100)
    assert kinds(story) == []
    story.answer(sent, code)
    story.answer(sent, 200)
    assert kinds(story) == [("rang", False)]
    assert dict(last(story).evidence)["called"] == "1001"
    assert story.held(SetName.THROTTLED) == [STRANGER]


def test_the_sixth_attempt_in_vain_is_a_finding_and_the_fifth_is_not() -> None:
    story = only("ghostcall")
    for number in range(5):
        story.answer(invite(story, STRANGER, str(100 + number)), 404)
    assert kinds(story) == []
    story.answer(invite(story, STRANGER, "99"), 404)
    assert kinds(story) == [("attempts", False)]


def test_attempts_further_apart_than_the_window_are_no_finding() -> None:
    story = only("ghostcall")
    for _ in range(20):
        invite(story, STRANGER)
        story.wait(121)
    assert kinds(story) == []


def test_a_device_that_answers_the_challenge_may_call_as_often_as_it_likes() -> None:
    story = only("ghostcall")
    for number in range(30):
        sent = invite(story, PHONE)
        story.answer(sent, 407, nonce=f"n{number}")
        story.ask(PHONE, f"n{number}", method="INVITE", again=sent, uri="sip:1002@192.0.2.10")
        story.answer(sent, 180)
        story.answer(sent, 200)
    assert kinds(story) == []


def test_a_credential_that_nobody_asked_for_excuses_nothing() -> None:
    story = only("ghostcall")
    story.answer(invite(story, STRANGER, nonce="invented"), 180)
    assert kinds(story) == [("rang", False)]


def test_registered_devices_trunks_and_gateways_in_private_networks_are_no_ghosts() -> None:
    story = only("ghostcall", TRUNKS)
    story.register(PHONE)
    for source in (PHONE, "198.51.100.2", "10.0.0.7"):
        for _ in range(10):
            story.answer(invite(story, source), 180)
    assert kinds(story) == []


def test_private_networks_are_strangers_when_the_policy_says_so() -> None:
    story = only("ghostcall", private=True)
    story.answer(invite(story, "10.0.0.7"), 180)
    assert kinds(story) == [("rang", False)]


@pytest.mark.parametrize("number", ["alice", "4930555000", "1", ""])
def test_calls_to_names_and_long_numbers_are_not_looked_at(number: str) -> None:
    story = only("ghostcall")
    for _ in range(10):
        story.answer(invite(story, STRANGER, number), 180)
    assert kinds(story) == []


@pytest.mark.parametrize("number", ["%31001", "1001;phone-context=x", "1001:secret"])
def test_an_extension_written_otherwise_is_one_still(number: str) -> None:
    story = only("ghostcall")
    story.answer(invite(story, STRANGER, number), 180)
    assert kinds(story) == [("rang", False)]


def test_forged_calls_do_not_get_a_proven_stranger_banned() -> None:
    story = only("ghostcall")
    story.guess(PHONE)  # shows its address, for an hour
    for _ in range(50):
        story.answer(invite(story, PHONE), 180)
    assert {proven for _, proven in kinds(story)} == {False}
    assert story.held() == []


def test_ten_thousand_strangers_fill_no_memory_and_the_next_is_found() -> None:
    story = only("ghostcall", sources=100, calls=100)
    for number in range(2000):
        invite(story, f"192.{number >> 8}.{number & 255}.9")
    counters = story.engine.counters()
    assert counters["ghostcall_calls"] == counters["ghostcall_sources"] == 100
    assert counters["ghostcall_calls_evicted"] == 1900
    story.answer(invite(story, STRANGER), 180)
    assert kinds(story) == [("rang", False)]
