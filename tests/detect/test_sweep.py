"""Who knocks at many doors is found, however slowly; who knocks at one again and again is not."""

from __future__ import annotations

import pytest

from sipguard.model import Frame, Hook, Origin, SetName
from tests.detect.only import invite, kinds, last, only
from tests.engine.story import PBX, Story, udp

STRANGER = "203.0.113.66"
OFFICE = "198.51.100.20"


def knock(story: Story, number: int, source: str = STRANGER, method: str = "OPTIONS", code: int = 200) -> None:
    sent = story.ask(source, method=method, user=str(number), uri=f"sip:{number}@{PBX}", port=5000 + number % 1000)
    story.answer(sent, code)


@pytest.mark.parametrize(("method", "code"), [("OPTIONS", 200), ("REGISTER", 404), ("SUBSCRIBE", 403), ("INVITE", 404)])
def test_the_twelfth_user_asked_for_in_vain_is_a_finding_and_the_eleventh_is_not(method: str, code: int) -> None:
    story = only("sweep")
    for number in range(11):
        knock(story, 1000 + number, method=method, code=code)
    assert kinds(story) == []
    knock(story, 1011, method=method, code=code)
    assert kinds(story) == [("users", False)]
    assert story.held(SetName.THROTTLED) == [STRANGER]


def test_patience_does_not_help() -> None:
    story = only("sweep")
    for number in range(12):
        knock(story, 1000 + number, method=("OPTIONS", "PUBLISH", "NOTIFY")[number % 3], code=489)
        story.wait(7000)
    assert kinds(story) == [("users", False)]
    assert dict(last(story).evidence)["within_seconds"] == 77_000


def test_keep_alives_are_no_sweep() -> None:
    story = only("sweep")
    for _ in range(500):
        knock(story, 100)
        story.wait(30)
    assert kinds(story) == []


def test_the_fourth_of_our_ports_asked_in_vain_is_a_finding_though_none_answers() -> None:
    story = only("sweep")
    for port in (5060, 5061, 5080, 50600):
        request = (
            f"OPTIONS sip:{PBX} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{port}\r\nCall-ID: c{port}\r\n"
        )
        story.tell(Frame(udp(STRANGER, 5060, PBX, port, request.encode() + b"\r\n"), Hook.PREROUTING, Origin.TAP))
        story.wait(31)
    assert kinds(story) == []
    knock(story, 1)  # whoever speaks next moves the time on
    assert kinds(story) == [("places", False)]


def test_an_office_whose_pbx_is_down_is_no_sweep() -> None:
    story = only("sweep")
    for _ in range(5):
        for number in range(50):
            story.ask(OFFICE, user=str(2000 + number))
        story.wait(60)
    assert kinds(story) == []


def test_an_office_that_comes_back_at_once_is_no_sweep_however_slow_the_pbx_is() -> None:
    story = only("sweep")
    asked = [story.ask(OFFICE, user=str(2000 + number)) for number in range(300)]
    for number, sent in enumerate(asked):
        story.answer(sent, 401, nonce=f"n{number}")
    story.wait(20)
    for number in range(300):
        story.register(OFFICE, user=str(2000 + number))
    assert kinds(story) == []


def test_challenges_left_unanswered_count_after_half_a_minute() -> None:
    story = only("sweep")
    for number in range(12):
        story.challenge(STRANGER, user=str(1000 + number))
    assert kinds(story) == []
    story.wait(31)
    story.challenge(STRANGER, user="1000")
    assert kinds(story) == [("users", False)]


def test_calls_that_are_let_in_are_no_sweep() -> None:
    story = only("sweep")
    for number in range(40):
        sent = invite(story, STRANGER, str(1000 + number))
        story.answer(sent, 180)
        story.answer(sent, 200)
    story.wait(60)
    invite(story, STRANGER, "1")
    assert kinds(story) == []


def test_one_key_on_every_request_hides_nothing() -> None:
    story = only("sweep")
    first = story.ask(STRANGER, method="OPTIONS", user="1000", uri=f"sip:1000@{PBX}")
    for number in range(12):
        story.ask(STRANGER, method="OPTIONS", user=str(1000 + number), uri=f"sip:{1000 + number}@{PBX}", again=first)
        story.answer(first, 200)
    assert kinds(story) == [("users", False)]


def test_forged_requests_do_not_get_a_proven_stranger_banned() -> None:
    story = only("sweep")
    story.guess(OFFICE)
    for number in range(100):
        knock(story, 1000 + number, OFFICE)
    assert {proven for _, proven in kinds(story)} == {False}


def test_its_memory_is_bounded_by_sources_and_by_doors() -> None:
    story = only("sweep", sources=100)
    for number in range(1000):
        story.ask(f"192.{number >> 8}.{number & 255}.9", method="OPTIONS")
    assert story.engine.counters()["sweep_sources"] == 100
    assert story.engine.counters()["sweep_sources_evicted"] == 900
    for number in range(1000):
        story.ask(STRANGER, method="REGISTER", user=str(number))
    for detector in story.engine._detectors.all:
        assert max(len(knocks) for knocks in detector._sources.values()) == 24  # type: ignore[attr-defined]
