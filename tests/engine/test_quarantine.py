"""The operator's quarantine holds for whoever is called so, seen before or not, and only his word or time ends it."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.decide.wards import Wards
from sipguard.model import (
    EVERY_OTHER,
    HOUR,
    Account,
    DecisionVerdict,
    Order,
    OrderVerb,
    Pair,
    State,
    VerdictKind,
)
from sipguard.policy.schema import Policy
from tests.engine.gated import asked, text
from tests.engine.story import Story

OFFICE = "198.51.100.20"
PLACE = parse_network(OFFICE)
BOB, OTHER = Account("Bob", "pbx"), Account("bobby", "pbx")
ACCEPT, REFUSE = VerdictKind.ACCEPT, VerdictKind.REFUSE


def order(story: Story, verb: OrderVerb, name: str, span: int = 0) -> list[tuple[str, str, str]]:
    before = len(story.decisions())
    story.tell(Order(verb, name, span, "", "root"))
    return [(str(each.verdict), str(each.subject), each.reason) for each in story.decisions()[before:]]


def call(story: Story, number: int, user: str = "1001") -> VerdictKind:
    return asked(story, OFFICE, text("INVITE", number, user=user))


def test_an_account_that_nobody_has_seen_yet_calls_nobody_once_it_turns_up_and_does_when_it_is_released() -> None:
    story = Story()
    assert order(story, OrderVerb.QUARANTINE, "1001") == [("quarantine", "1001", "root")]
    story.register(OFFICE, user="1001")
    story.register(OFFICE, user="1002")
    assert asked(story, OFFICE, text("INVITE", 1, nonce="any")) is not ACCEPT
    assert asked(story, OFFICE, text("INVITE", 2, user="1002", nonce="any")) is ACCEPT
    assert asked(story, OFFICE, text("REGISTER", 3)) is ACCEPT
    assert [each["subject"] for each in story.engine.why("1001")["in_force"]] == ["1001"]
    assert order(story, OrderVerb.RELEASE, "1001") == [("release", "1001", "root")]
    assert asked(story, OFFICE, text("INVITE", 4, nonce="any")) is ACCEPT


def test_it_takes_effect_on_the_next_call_of_one_that_is_there_and_outlives_a_restart() -> None:
    story = Story()
    story.register(OFFICE, user="1001")
    assert call(story, 1) is ACCEPT
    order(story, OrderVerb.QUARANTINE, "1001@PBX", 2 * HOUR)
    (decision,) = story.decisions()
    assert (decision.verdict, decision.until) == (DecisionVerdict.QUARANTINE, story.now + 2 * HOUR)
    assert call(story, 2) is REFUSE
    later = Story(Policy(), State(decisions=[decision]))
    assert asked(later, OFFICE, text("INVITE", 3, nonce="any")) is not ACCEPT


def test_help_is_called_from_an_account_under_quarantine() -> None:
    story = Story()
    story.register(OFFICE, user="1001")
    order(story, OrderVerb.QUARANTINE, "1001")
    assert asked(story, OFFICE, text("INVITE", 1).replace(b"sip:2000@", b"sip:112@")) is ACCEPT
    assert asked(story, OFFICE, text("INVITE", 2).replace(b"sip:2000@", b"sip:11298@")) is REFUSE


@pytest.mark.parametrize("name", ["*", "", "*@"])
def test_nobody_is_put_under_quarantine_by_a_name_that_stands_for_all(name: str) -> None:
    story = Story()
    story.register(OFFICE, user="1001")
    order(story, OrderVerb.QUARANTINE, name)
    assert call(story, 1) is ACCEPT


def test_whoever_is_released_by_a_longer_name_than_he_was_named_by_is_told_the_right_one() -> None:
    story = Story()
    order(story, OrderVerb.QUARANTINE, "1001")
    ((verdict, _, reason),) = order(story, OrderVerb.RELEASE, "1001@pbx")
    assert (verdict, "as all that is called 1001: release that" in reason) == ("exempt", True)


def test_a_hang_up_or_reset_that_nobody_knows_of_is_nothing() -> None:
    story = Story()
    assert order(story, OrderVerb.HANG_UP, "c0ffee") == order(story, OrderVerb.RESET, "1001") == []


def test_names_fold_case_and_stop_at_their_end() -> None:
    wards = Wards(100)
    wards.quarantine(Account("bob", ""), HOUR, doubted=True)
    assert wards.holds(BOB, PLACE, healthy=True)
    assert wards.holds(Account("BOB@example.net", "other"), PLACE, healthy=True)
    assert not wards.holds(OTHER, PLACE, healthy=True)
    assert wards.doubts(BOB, PLACE, trusted=False)
    assert not wards.doubts(BOB, PLACE, trusted=True)
    wards.advance(HOUR)
    assert not wards.holds(BOB, PLACE, healthy=True)
    assert wards.counters()["quarantined"] == 0


def test_whoever_fills_the_quarantine_cannot_push_the_operators_out_of_it() -> None:
    wards = Wards(100)
    wards.quarantine(Account("bob", ""), 2 * HOUR, doubted=True)
    for number in range(1_000):
        wards.quarantine(Pair(PLACE, Account(str(number), "pbx")), HOUR, doubted=True)
        wards.quarantine(Account(str(number), "pbx"), HOUR, doubted=True)
    assert wards.holds(BOB, PLACE, healthy=True)
    assert wards.counters()["quarantined"] <= 101
    assert not wards.holds(EVERY_OTHER, PLACE, healthy=True)


def test_no_more_names_are_kept_than_there_is_room_for() -> None:
    wards = Wards(100)
    for number in range(10_005):
        wards.quarantine(Account(str(number), ""), HOUR, doubted=True)
    assert wards.counters()["quarantined"] == 10_000
    assert not wards.holds(Account("4", "pbx"), PLACE, healthy=True)
    assert wards.holds(Account("5", "pbx"), PLACE, healthy=True)
