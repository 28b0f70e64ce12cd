"""A new policy: whose settings stay as they are goes on counting where it was, and learns nothing anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipguard.decide.callrules import Calls
from sipguard.detect import accountnets, credentials, flood, takeover
from sipguard.model import MINUTE, Consequence
from sipguard.policy.schema import Policy
from tests.engine.story import Story

GUESSER = "203.0.113.9"
FOUR = Policy().detect.credentials.failures - 1


def guessed(policy: Policy, then: Policy) -> list[str]:
    """Give who is banned where the policy changes before the guess that is one too many."""
    story = Story(policy)
    for _ in range(FOUR):
        story.guess(GUESSER)
    assert not story.held()
    story.tell(then)
    story.guess(GUESSER)
    return story.held()


def of(**tables: object) -> Policy:
    return replace(Policy(), detect=replace(Policy().detect, **tables))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "then",
    [
        Policy(),
        of(flood=flood.Config(base=30)),
        of(takeover=takeover.Config(enabled=False)),
        replace(Policy(), calls=Calls(home=("DE",), zone="Europe/Berlin")),
    ],
    ids=["the same", "another detector's table", "another detector switched off", "the house"],
)
def test_a_guesser_does_not_begin_anew_where_something_else_was_changed(then: Policy) -> None:
    assert guessed(Policy(), then) == [GUESSER]


def test_what_was_told_of_already_comes_to_a_new_consequence_at_once() -> None:
    story = Story(of(accountnets=accountnets.Config(then=Consequence.REPORT)))
    earlier = story.engine._detectors.all
    story.tell(Policy())
    assert [type(each) for each in story.engine._detectors.new] == [accountnets.Detector]
    assert len({*map(id, earlier)} & {*map(id, story.engine._detectors.all)}) == len(earlier) - 1


def test_counters_begin_anew_where_what_they_count_has_changed() -> None:
    assert guessed(Policy(), of(credentials=credentials.Config(window=3 * MINUTE))) == []


def test_only_those_are_made_that_something_has_changed_for() -> None:
    story = Story(Policy())
    made = story.engine._detectors
    earlier = {type(each): each for each in made.all}
    story.tell(of(flood=flood.Config(base=30)))
    assert [type(each) for each in made.new] == [flood.Detector]
    assert [type(each) for each in made.all] == list(earlier), "they speak in the same order"
    assert all(each is earlier[type(each)] for each in made.all if type(each) is not flood.Detector)
    story.tell(replace(Policy(), calls=Calls(home=("DE",))))
    names = {type(each).__module__.rpartition(".")[2] for each in made.new}
    assert "firstabroad" in names, "it goes by what is at home"
    assert not names & {"credentials", "takeover"}
    story.tell(replace(Policy(), calls=Calls(home=("DE",))))
    assert not made.new


def test_one_that_is_switched_off_forgets_what_it_counted_and_the_others_nothing() -> None:
    story = Story(Policy())
    for _ in range(FOUR):
        story.guess(GUESSER)
    story.tell(of(credentials=credentials.Config(enabled=False)))
    story.tell(Policy())
    story.guess(GUESSER)
    assert not story.held()
