"""Numbers that nobody has: who asks for one is found at once, and who answers for one silences it."""

from __future__ import annotations

from typing import Any

import pytest

from sipguard.address import parse_network
from sipguard.detect.canary import chosen
from sipguard.model import HOUR, SetName
from sipguard.policy.schema import Trunk
from tests.detect.only import invite, kinds, last, only
from tests.engine.story import PBX, Story

STRANGER = "203.0.113.66"
PHONE = "198.51.100.20"
TRUNKS = (Trunk("Carrier", (parse_network("198.51.100.0/28"),)),)


def named(**more: Any) -> Story:
    return only("canary", TRUNKS, numbers=("4711", "+4930555000"), automatic=0, **more)


def watched() -> tuple[Story, list[bytes]]:
    """Begin a story in which the guard has chosen canaries itself."""
    story = only("canary", watched=HOUR)
    for _ in range(3):
        for number in range(1001, 1009):
            story.register(f"198.51.100.{number - 980}", user=str(number))
        story.wait(1800)
    (detector,) = story.engine._detectors.all
    return story, list(detector._canaries)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"])
def test_one_request_for_a_named_canary_is_a_finding(method: str) -> None:
    story = named()
    story.ask(STRANGER, method=method, user="4711", uri=f"sip:4711@{PBX}")
    assert kinds(story) == [("canary", False)]
    assert story.held() == []
    assert story.held(SetName.THROTTLED) == [STRANGER]


def test_a_request_for_its_neighbour_is_none() -> None:
    story = named()
    for number in ("4710", "4712", "47110", "", "+49305550001"):
        invite(story, STRANGER, number)
    assert kinds(story) == []


@pytest.mark.parametrize("number", ["47-11", "%34711", "4711;x=y", "+49-30-555000", "4930555000", "+4930(555)000"])
def test_a_canary_written_otherwise_is_one_still(number: str) -> None:
    story = named()
    invite(story, STRANGER, number)
    assert kinds(story) == [("canary", False)]


def test_who_shows_his_address_with_it_is_banned() -> None:
    story = named()
    nonce = story.challenge(STRANGER, method="INVITE", user="1001")
    invite(story, STRANGER, "4711", nonce=nonce, user="1001")
    assert kinds(story) == [("canary", True)]
    assert story.held() == [STRANGER]


def test_a_forged_request_does_not_get_a_proven_stranger_banned() -> None:
    story = named()
    story.guess(PHONE)
    invite(story, PHONE, "4711")
    assert kinds(story) == [("canary", False)]
    assert story.held() == []


def test_registered_devices_and_trunks_may_dial_it() -> None:
    story = named()
    story.register(PHONE)
    for source in (PHONE, "198.51.100.2"):
        story.answer(invite(story, source, "4711"), 404)
    assert kinds(story) == []
    invite(story, STRANGER, "4711")
    assert kinds(story) == [("canary", False)]


@pytest.mark.parametrize("code", [180, 200])
def test_it_is_silent_once_the_pbx_has_answered_for_it(code: int) -> None:
    story = named()
    story.register(PHONE)
    sent = story.ask(PHONE, method="INVITE", user="4711", uri=f"sip:4711@{PBX}")
    story.answer(sent, code)
    invite(story, STRANGER, "4711")
    assert kinds(story) == []
    assert story.engine.counters()["canaries_withdrawn"] == 1


def test_it_is_silent_once_somebody_has_registered_it() -> None:
    story = named()
    story.register(PHONE, user="4711")
    before = len(kinds(story))  # the new phone itself asked for it before anybody knew
    invite(story, STRANGER, "4711")
    assert len(kinds(story)) == before


def test_a_stranger_cannot_silence_it_by_writing_it_into_to() -> None:
    story = named()
    sent = story.ask(STRANGER, method="INVITE", user="4711", uri=f"sip:1001@{PBX}")
    story.answer(sent, 180)
    story.answer(sent, 200)
    sent = story.ask(STRANGER, method="OPTIONS", user="4711", uri=f"sip:1001@{PBX}")
    story.answer(sent, 200)
    invite(story, "203.0.113.67", "4711")
    assert kinds(story) == [("canary", False)]


def test_the_guard_chooses_its_own_when_it_has_seen_enough() -> None:
    story = only("canary", watched=HOUR)
    for _ in range(2):
        for number in range(1001, 1009):
            story.register(PHONE, user=str(number))
        assert story.engine.counters()["canaries"] == 0
        story.wait(1799)
    story.wait(10)
    story.register(PHONE, user="1001")
    assert story.engine.counters()["canaries"] == 5


def test_it_chooses_none_of_few_extensions_and_none_that_a_device_has_dialled() -> None:
    story = only("canary", watched=HOUR)
    for number in range(1001, 1005):
        story.register(PHONE, user=str(number))
    for number in range(900, 1110):
        invite(story, PHONE, str(number))
    story.wait(3600)
    story.register(PHONE, user="1004")
    assert story.engine.counters()["canaries"] == 0
    story.register(PHONE, user="1005")
    assert story.engine.counters()["canaries"] == 0
    story.wait(3600)
    story.register(PHONE, user="1005")
    assert story.engine.counters()["canaries"] == 0


def test_a_new_phone_may_register_what_was_chosen_and_silences_it() -> None:
    story, canaries = watched()
    story.register("198.51.100.99", user=canaries[0].decode())
    assert kinds(story) == []
    assert story.engine.counters()["canaries_withdrawn"] == 1
    invite(story, STRANGER, canaries[0].decode())
    assert kinds(story) == []


def test_a_wrong_password_for_a_chosen_one_and_a_second_one_asked_for_are_findings() -> None:
    story, canaries = watched()
    story.challenge(STRANGER, user=canaries[0].decode())
    assert kinds(story) == []
    story.challenge(STRANGER, user=canaries[1].decode())
    assert kinds(story) == [("canary", False)]
    story.guess("203.0.113.67", user=canaries[2].decode())
    assert kinds(story)[-1] == ("canary", True)
    assert story.held() == ["203.0.113.67"]


def test_a_call_to_a_chosen_one_is_a_finding_at_once() -> None:
    story, canaries = watched()
    invite(story, STRANGER, canaries[0].decode())
    assert dict(last(story).evidence)["asked_for"] == canaries[0].decode()


def test_what_is_chosen_lies_apart_is_never_round_and_follows_from_all_that_is_used() -> None:
    used = [b"%d" % number for number in range(1001, 1021)]
    found = [int(number) for number in chosen(used, 10)]
    assert len(found) > 5
    assert all(min(abs(number - int(other)) for other in used) >= 10 and number % 10 for number in found)
    assert chosen(list(reversed(used)), 10) == chosen(used, 10)
    assert chosen([*used, b"1050"], 10) != chosen(used, 10)
    assert all(len(str(number)) == 4 for number in found)


def test_of_a_full_number_plan_none_is_chosen() -> None:
    assert chosen([b"%d" % number for number in range(100, 1000)], 10) == []


def test_its_memory_is_bounded() -> None:
    story = named(sources=100)
    for number in range(1000):
        invite(story, f"192.{number >> 8}.{number & 255}.9", "4711")
    (detector,) = story.engine._detectors.all
    assert len(detector._calls) == 100  # type: ignore[attr-defined]
