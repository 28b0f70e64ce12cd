"""Patience does not help a guesser, and honest people are not added up."""

from __future__ import annotations

from sipguard.detect import catalogue, credentials
from sipguard.model import Finding
from sipguard.policy.schema import Policy
from tests.engine.story import Story

GUESSER = "203.0.113.66"
OFFICE = "198.51.100.20"


def found(story: Story) -> list[Finding]:
    return [each for each in story.findings() if each.detector == "credentials"]


def patient(story: Story, guesses: int, seconds: float) -> None:
    for _ in range(guesses):
        story.guess(GUESSER)
        story.wait(seconds)


def test_the_thirtieth_guess_of_a_day_bans_and_the_twenty_ninth_does_not() -> None:
    story = Story()
    patient(story, 29, 200)
    assert found(story) == []
    patient(story, 1, 0)
    assert [each.identifier for each in found(story)] == ["slow"]
    assert story.held() == [GUESSER]


def test_one_guess_a_minute_is_found_in_the_fast_window() -> None:
    story = Story()
    patient(story, 5, 60)
    assert story.held() == [GUESSER]


def test_one_guess_an_hour_is_below_the_slow_window() -> None:
    story = Story()
    patient(story, 100, 3600)
    assert found(story) == []


def test_an_office_whose_people_mistype_and_get_it_right_is_never_added_up() -> None:
    story = Story()
    for person in range(40):
        story.guess(OFFICE, user=f"1{person:03}")
        story.register(OFFICE, user=f"1{person:03}")
        story.wait(600)
    assert found(story) == []


def test_success_with_an_own_account_does_not_help_the_guesser() -> None:
    story = Story()
    for _ in range(30):
        story.guess(GUESSER, user="victim")
        story.register(GUESSER, user="own")
        story.wait(200)
    assert [each.identifier for each in found(story)] == ["slow"]
    assert dict(found(story)[0].evidence)["tried"] == "victim@pbx"


def test_failures_with_an_own_account_that_then_succeeds_do_not_wash_away_the_others() -> None:
    story = Story()
    for _ in range(15):
        story.guess(GUESSER, user="victim")
        story.wait(200)
    for _ in range(14):
        story.guess(GUESSER, user="own")
        story.wait(200)
    story.register(GUESSER, user="own")
    for _ in range(15):
        story.guess(GUESSER, user="victim")
        story.wait(200)
    assert [each.identifier for each in found(story)] == ["slow"]


def test_what_was_found_fast_is_not_told_once_more_as_slow() -> None:
    story = Story(Policy(detect=catalogue.Config(credentials=credentials.Config(failures=20, slow_failures=30))))
    for _ in range(12):
        story.answer(story.ask(GUESSER, "made-up", user="own"), 401, nonce="n")
    patient(story, 40, 1)
    assert {each.identifier for each in found(story)} == {"failures"}


def test_forged_failures_add_nothing_to_proven_ones() -> None:
    story = Story()
    for _ in range(25):
        story.answer(story.ask(OFFICE, "made-up"), 401, nonce="n")
        story.wait(200)
    for _ in range(8):
        story.guess(OFFICE)
        story.wait(200)
    assert story.held() == []
