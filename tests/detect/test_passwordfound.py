"""Who guesses and then gets in has found a password; who mistypes and then gets in has not."""

from __future__ import annotations

import pytest

from sipguard.detect import catalogue, credentials, fingerprint, passwordfound
from sipguard.event import Recalled
from sipguard.model import Account, Consequence, DecisionVerdict, Finding, SetName
from sipguard.policy.schema import Policy
from tests.engine.story import Story

GUESSER = "203.0.113.66"
HOME = "198.51.100.20"
PATIENT = Policy(  # nobody is stopped, so that all of the story is heard
    detect=catalogue.Config(
        credentials=credentials.Config(then=Consequence.REPORT),
        fingerprint=fingerprint.Config(then=Consequence.REPORT),
    )
)


def found(story: Story) -> list[Finding]:
    return [each for each in story.findings() if each.detector == "passwordfound"]


def guess(story: Story, times: int, source: str = GUESSER, seconds: float = 0.0, user: str = "1001") -> None:
    for _ in range(times):
        story.guess(source, user=user)
        story.wait(seconds)


def test_a_success_after_five_fast_guesses_quarantines_the_account_and_after_four_it_does_not() -> None:
    story = Story(PATIENT)
    guess(story, 4)
    story.register(GUESSER)
    assert found(story) == []
    other = Story(PATIENT)
    guess(other, 5)
    other.register(GUESSER)
    (finding,) = found(other)
    assert str(finding.subject) == "1001@pbx"
    assert dict(finding.evidence) == {"source": GUESSER, "guessing": "fast", "transport": "udp"}
    assert DecisionVerdict.QUARANTINE in [each.verdict for each in other.decisions()]


@pytest.mark.parametrize("guesses", [2, 8, 30])
def test_a_guesser_who_gets_in_is_not_trusted(guesses: int) -> None:
    story = Story(PATIENT)
    guess(story, guesses)
    story.register(GUESSER)
    assert story.held(SetName.TRUSTED) == []


def test_one_person_who_mistypes_four_times_and_gets_it_right_has_found_nothing() -> None:
    story = Story()
    guess(story, 4, HOME, seconds=5)
    story.register(HOME)
    assert story.findings() == []
    assert story.decisions() == []


def test_an_old_phone_that_retried_all_day_and_was_corrected_has_found_nothing() -> None:
    story = Story(PATIENT)
    guess(story, 120, HOME, seconds=30)
    story.register(HOME)
    assert found(story) == []


def test_a_phone_whose_password_was_changed_under_it_has_found_nothing() -> None:
    story = Story(PATIENT)
    story.register(HOME, expires=60)
    guess(story, 60, HOME, seconds=3)
    story.register(HOME)
    assert found(story) == []


def test_slow_guessing_at_an_account_that_is_at_home_elsewhere_is_found() -> None:
    story = Story(PATIENT)
    story.register(HOME)
    guess(story, 30, seconds=60)
    story.register(GUESSER)
    assert [each.identifier for each in found(story)] == ["slow"]


def test_one_password_tried_on_many_accounts_until_it_fits_is_found() -> None:
    story = Story(PATIENT)
    for number in range(8):
        story.guess(GUESSER, user=f"2{number:03}")
    story.register(GUESSER, user="2008")
    assert [str(each.subject) for each in found(story)] == ["2008@pbx"]


def test_an_office_with_wrong_phones_may_plug_in_a_right_one() -> None:
    story = Story(PATIENT)
    story.register(HOME, user="1001")
    for number in range(20):
        story.guess(HOME, user=f"2{number:03}")
    story.register(HOME, user="1002")
    assert found(story) == []


def test_a_share_of_an_attack_that_gets_in_is_found() -> None:
    story = Story(PATIENT)
    for turn in range(6):
        for host in range(1, 6):
            story.guess(f"100.64.{host}.9", port=5000 + turn)
            story.wait(600)
    story.register("100.64.3.9")
    assert [each.identifier for each in found(story)] == ["many sources"]


def test_the_owner_of_an_account_under_attack_calls_on_from_home_and_from_a_new_place() -> None:
    story = Story(PATIENT)
    story.register(HOME, expires=60)
    for turn in range(6):
        for host in range(1, 40):
            story.guess(f"100.64.{host}.9", port=5000 + turn)
    story.wait(61)
    guess(story, 4, HOME)
    story.register(HOME)
    guess(story, 4, "198.51.100.99", seconds=10)
    story.register("198.51.100.99")
    assert found(story) == []


def test_guesses_forged_in_a_victims_name_find_nothing_when_it_registers() -> None:
    story = Story(PATIENT)
    nonce = story.challenge(GUESSER)
    for _ in range(50):
        story.answer(story.ask(HOME, nonce), 401, nonce="n")
    story.register(HOME)
    assert found(story) == []


def test_a_request_that_nobody_judges_is_no_success() -> None:
    story = Story(PATIENT)
    guess(story, 10)
    nonce = story.challenge(GUESSER)
    for method in ("OPTIONS", "INVITE", "MESSAGE"):
        story.answer(story.ask(GUESSER, nonce, method=method), 200)
    assert found(story) == []


def test_homes_are_known_again_after_a_restart() -> None:
    detector = passwordfound.Detector(passwordfound.Config())
    detector.handlers[Recalled](Recalled(1, b"\x01\x02\x03\x04", Account("1001", "pbx"), 99))
    assert detector.counters()["passwordfound_homes"] == 1


def test_sources_are_remembered_up_to_a_cap() -> None:
    story = Story(Policy(detect=catalogue.Config(passwordfound=passwordfound.Config(sources=100))))
    for number in range(150):
        story.guess(f"100.64.{number}.1")
    assert story.engine.counters()["passwordfound_sources"] == 100
    assert story.engine.counters()["passwordfound_evicted"] == 50
