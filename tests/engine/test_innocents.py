"""Whom the guard must leave alone, in conversations; `pcaps/innocent/` has the same at full length."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipguard.detect import accounts
from sipguard.model import Consequence, DecisionVerdict, SetName
from sipguard.policy.schema import Policy
from tests.engine.story import Story

OFFICE = "198.51.100.20"
GUESSER = "203.0.113.66"


def phones(story: Story, count: int, expires: int) -> None:
    for number in range(count):
        story.register(OFFICE, user=str(2001 + number), port=10_000 + number, expires=expires)


@pytest.mark.parametrize("expires", [600, 3600])
@pytest.mark.parametrize("failed_first", [False, True])
def test_an_office_stays_though_one_phone_in_it_fails_for_an_hour(expires: int, failed_first: bool) -> None:  # noqa: FBT001 - a parameter of the test
    story = Story()
    if failed_first:
        story.guess(OFFICE, user="2000", port=9000)
    phones(story, 49, expires)
    for minute in range(60):
        for _ in range(2):
            story.wait(30)
            story.guess(OFFICE, user="2000", port=9000)
        if minute % 8 == 7:
            phones(story, 49, expires)
    assert story.ordered() == story.ordered(SetName.THROTTLED) == []
    assert story.held(SetName.TRUSTED) == [OFFICE]
    (decision,) = story.decisions()
    assert (decision.verdict, str(decision.subject)) == (DecisionVerdict.QUARANTINE, f"2000@pbx from {OFFICE}")


def test_a_guesser_who_has_one_password_is_no_office() -> None:
    story = Story()
    story.guess(GUESSER, user="2000")
    story.guess(GUESSER, user="2001")
    story.register(GUESSER, user="2002")
    assert story.held(SetName.TRUSTED) == []
    for number in range(3):
        story.guess(GUESSER, user=str(2003 + number))
    assert story.held() == [GUESSER]


def test_a_guesser_s_own_accounts_do_not_make_up_for_many_that_he_tries() -> None:
    story = Story()
    for number in range(4):
        story.guess(GUESSER, user=str(2000 + number))
    for number in range(11):
        story.register(GUESSER, user=str(3000 + number))
    assert story.held(SetName.TRUSTED) == []
    story.guess(GUESSER, user="2004")
    assert story.held() == [GUESSER]


def test_a_guesser_in_an_office_is_told_of_though_a_phone_in_it_was_told_of_a_moment_ago() -> None:
    story = Story()
    phones(story, 5, 3600)
    for _ in range(5):
        story.guess(OFFICE, user="2000", port=9000)
    for number in range(5):
        story.guess(OFFICE, user=str(3000 + number), port=9001)
    assert [str(each.subject) for each in story.decisions()] == [
        f"2000@pbx from {OFFICE}",
        f"all but the healthy accounts from {OFFICE}",
    ]


def test_what_is_in_force_already_is_not_decided_again() -> None:
    story = Story()
    phones(story, 5, 3600)
    for _ in range(100):
        story.wait(20)
        story.guess(OFFICE, user="2000", port=9000)
    assert len(story.decisions()) == 1


def test_a_report_on_an_account_is_told_though_it_is_shielded_already() -> None:
    story = Story()
    for number in range(20):
        story.guess(f"192.0.{100 + number}.66", user="2000")
    assert [each.verdict for each in story.decisions()][-1] is DecisionVerdict.SHIELD
    story.tell(Policy(detect=replace(Policy().detect, accounts=accounts.Config(then=Consequence.REPORT))))
    story.wait(301)
    for number in range(20):
        story.guess(f"198.18.{number}.66", user="2000")
    assert [each.verdict for each in story.decisions()][-1] is DecisionVerdict.REPORT
