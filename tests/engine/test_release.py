"""The operator's word ends quarantines and shields: those of a name, or those of a place, and nobody else's."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.engine import Engine
from sipguard.model import HOUR, Account, Decision, DecisionVerdict, Order, OrderVerb, Pair, SetName, State, Subject
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from tests.engine.story import Story

HERE, THERE = parse_network("203.0.113.9"), parse_network("203.0.113.10")
SIX = parse_network("2001:db8:0:1::/64")
BOB, OTHER = Account("Bob", "pbx"), Account("1002", "pbx")
ALL_OTHERS = Pair(HERE, Account("*", ""))
FOREVER = 1 << 50


def warded(*subjects: Subject, shield: tuple[Account, ...] = ()) -> Story:
    """Begin with accounts under quarantine, and others under a shield."""
    quarantines = [Decision(0, DecisionVerdict.QUARANTINE, each, FOREVER, ("x",), "r") for each in subjects]
    shields = [Decision(0, DecisionVerdict.SHIELD, each, FOREVER, ("x",), "r") for each in shield]
    return Story(Policy(), State(decisions=[*quarantines, *shields]))


def release(story: Story, whose: str) -> list[str]:
    network = whose[0].isdigit() and (":" in whose or whose.count(".") == 3)
    before = len(story.decisions())
    story.tell(Order(OrderVerb.RELEASE, parse_network(whose) if network else whose, 0, "it was me"))
    told = story.decisions()[before:]
    assert {(each.verdict, each.because, each.rule, each.reason) for each in told} <= {
        (DecisionVerdict.RELEASE, ("order",), "order", "it was me")
    }
    return [str(each.subject) for each in told]


def left(engine: Engine) -> list[str]:
    return [each["subject"] for each in engine.why(parse_network("0.0.0.0/0"))["in_force"] if each["what"] != "watch"]


@pytest.mark.parametrize("name", ["Bob", "bob", "BOB@PBX"])
def test_every_quarantine_and_shield_of_a_name_ends_wherever_it_is(name: str) -> None:
    story = warded(BOB, Pair(HERE, BOB), Pair(SIX, BOB), Pair(HERE, OTHER), OTHER, ALL_OTHERS, shield=(BOB, OTHER))
    assert release(story, name) == ["Bob@pbx", f"Bob@pbx from {HERE}", f"Bob@pbx from {SIX}"]
    assert release(story, name) == []
    assert left(story.engine) == [f"1002@pbx from {HERE}", f"all but the healthy accounts from {HERE}"]
    assert story.engine.counters()["shielded"] == 1


@pytest.mark.parametrize("place", ["203.0.113.9", "203.0.113.8/31", "2001:db8:0:1::77"])
def test_what_is_in_force_at_a_place_ends_for_all_accounts_there_and_for_no_other_place(place: str) -> None:
    story = warded(BOB, Pair(HERE, BOB), ALL_OTHERS, Pair(SIX, BOB), Pair(parse_network("203.0.114.9"), BOB))
    released = release(story, place)
    if ":" in place:
        assert released == [f"Bob@pbx from {SIX}"]
    else:
        assert released == [f"Bob@pbx from {HERE}", f"all but the healthy accounts from {HERE}"]
    assert "Bob@pbx from 203.0.114.9" in left(story.engine)
    assert story.engine.counters()["quarantined"] == 5 - len(released)


@pytest.mark.parametrize("name", ["*", "", "pbx", "1002@other", "bob from 203.0.113.9"])
def test_a_name_that_nobody_under_either_has_releases_nobody(name: str) -> None:
    story = warded(BOB, Pair(HERE, BOB), ALL_OTHERS, Pair(THERE, OTHER), shield=(OTHER,))
    story.tell(Order(OrderVerb.RELEASE, name))
    assert story.decisions() == []


def test_a_released_place_is_no_longer_watched_unless_another_account_is_held_there() -> None:
    story = Story(load('[[detect.accountnets.account]]\nname = "1001"\nnetworks = ["198.51.100.0/24"]\n'))
    story.register(str(HERE))
    assert story.held(SetName.WATCHED) == [str(HERE)]
    release(story, "1001")
    assert story.held(SetName.WATCHED) == []


def test_who_is_released_is_trusted_at_his_next_registration_and_not_held_again_at_once() -> None:
    story = Story(load('[[detect.accountnets.account]]\nname = "1001"\nnetworks = ["198.51.100.0/24"]\n'))
    story.register(str(HERE))
    assert story.held(SetName.TRUSTED) == []
    release(story, "1001")
    story.register(str(HERE))
    assert story.held(SetName.TRUSTED) == [str(HERE)]
    assert len([each for each in story.decisions() if each.verdict is DecisionVerdict.QUARANTINE]) == 1


def test_a_ban_or_unban_of_a_name_does_nothing() -> None:
    story = warded(BOB)
    for verb in (OrderVerb.BAN, OrderVerb.UNBAN):
        story.tell(Order(verb, "bob", HOUR))
    assert story.decisions() == []
    assert story.held() == []
