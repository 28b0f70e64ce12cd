"""Many calls to one place: in quick succession, side by side, for long, or after a test."""

from __future__ import annotations

from typing import Any

import pytest

from sipguard.call import CallOrigin
from sipguard.detect import costlycalls, longcalls, prefixburst, testcall
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Account
from tests.detect.calling import (
    ALICE,
    BOB,
    DEAR_HOME,
    GERMAN,
    HELP,
    TRUNK,
    Calling,
    Heard,
    french,
    german,
    somali,
)


def burst(**settings: Any) -> Calling:
    return Calling(prefixburst.Detector(prefixburst.Config(**settings), GERMAN))


def costly(**settings: Any) -> Calling:
    return Calling(costlycalls.Detector(costlycalls.Config(**settings), GERMAN))


def lengthy(**settings: Any) -> Calling:
    return Calling(longcalls.Detector(longcalls.Config(**settings), GERMAN))


def probed(**settings: Any) -> Calling:
    return Calling(testcall.Detector(testcall.Config(**settings), GERMAN))


# --- Every one of them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detector", [prefixburst.Detector(prefixburst.Config(), GERMAN),
                                      costlycalls.Detector(costlycalls.Config(), GERMAN),
                                      longcalls.Detector(longcalls.Config(), GERMAN),
                                      testcall.Detector(testcall.Config(), GERMAN)])  # fmt: skip
def test_no_call_for_help_and_none_at_home_is_ever_counted(detector: Heard) -> None:
    world = Calling(detector)
    world.call(HELP, 1)
    for each in range(100):
        for called in (HELP, german(each)):
            world.talk(called)
        world.wait(60)
    assert world.found == []


# --- prefixburst ------------------------------------------------------------------------------------------------------


def test_calls_in_quick_succession_to_one_prefix_are_found_and_begin_anew() -> None:
    world = burst(calls=4)
    for each in range(8):
        world.call(french(each), 5)
    assert world.kinds() == [(str(ALICE), "33140")] * 2


def test_calls_at_once_are_found_before_there_are_many() -> None:
    world = burst(at_once=3)
    for each in range(3):
        world.begin(french(each))
    assert world.kinds() == [(str(ALICE), "33140")]


def test_calls_further_apart_are_no_burst() -> None:
    world = burst(calls=4, window=MINUTE)
    for each in range(30):
        world.call(french(each), 25)
    assert world.found == []


def test_a_call_that_may_have_ended_unheard_is_not_one_at_once() -> None:
    world = burst(at_once=2)
    world.doubt(world.begin(french(1)))
    world.begin(french(2))
    assert world.found == []


def test_a_call_from_before_a_restart_is_one_at_once_when_it_is_heard_of() -> None:
    world = burst(at_once=2)
    world.confirm(world.made(french(1)))
    world.begin(french(2))
    assert world.kinds() == [(str(ALICE), "33140")]


def test_many_accounts_are_found_by_their_trunk_and_none_of_them_is() -> None:
    world = burst(calls=3, trunk_calls=6)
    for each in range(6):
        world.call(french(each), 1, account=Account(f"10{each}", "pbx"))
    assert world.kinds() == [(str(TRUNK), "33140")]


def test_whoever_calls_in_cannot_have_an_account_blamed_that_is_forwarded() -> None:
    world = burst(calls=3)
    for each in range(3):
        world.call(french(each), 1, origin=CallOrigin.FORWARDED)
    (found,) = world.found
    assert found.subject == Account("1001", "")


def test_premium_numbers_at_home_are_counted() -> None:
    world = burst(calls=2)
    world.call(DEAR_HOME, 1)
    world.call(DEAR_HOME, 1)
    assert len(world.found) == 1


def test_prefixes_are_bounded_and_one_network_holds_half_of_them() -> None:
    world = burst(entries=100)
    for each in range(1000):
        world.call(somali(each), 1, account=Account(f"u{each}", "pbx"))
    counts = world.detector.counters()
    assert counts["prefixburst_entries"] <= 51
    assert counts["prefixburst_entries_evicted"] > 900


# --- costlycalls ------------------------------------------------------------------------------------------------------


def test_dear_calls_side_by_side_are_found_at_each_one_more() -> None:
    world = costly(calls=3)
    for each in range(4):
        world.begin(somali(each))
    assert world.kinds() == [(str(ALICE), "252611")] * 2


def test_ended_and_unheard_calls_do_not_count() -> None:
    world = costly(calls=3)
    world.end(world.talk(somali(1)))
    world.doubt(world.talk(somali(2)))
    world.begin(somali(3))
    world.begin(somali(4))
    assert world.found == []
    world.begin(somali(5))
    assert len(world.found) == 1


def test_a_call_that_two_could_have_made_counts_for_the_trunk_alone() -> None:
    world = costly(calls=2, trunk_calls=3)
    for each in range(3):
        world.begin(somali(each), ambiguous=True)
    assert world.kinds() == [(str(TRUNK), "252611")]


def test_cheap_calls_abroad_are_not_costly() -> None:
    world = costly(calls=2)
    for each in range(10):
        world.begin(french(each))
    assert world.found == []


def test_followed_calls_are_bounded() -> None:
    world = costly(running=100, calls=1000, trunk_calls=10_000)
    for each in range(500):
        world.begin(somali(each))
    assert world.detector.counters() == {"costlycalls_running": 100, "costlycalls_running_evicted": 400}


# --- longcalls --------------------------------------------------------------------------------------------------------


def test_long_calls_are_found_at_whatever_happens_next() -> None:
    world = lengthy(calls=2, length=MINUTE)
    for each in range(2):
        world.talk(french(each))
    world.wait(59)
    world.begin(german())
    assert world.found == []
    world.wait(2)
    world.begin(german())
    assert world.kinds() == [(str(ALICE), "long")]


def test_a_call_that_only_rings_is_not_long() -> None:
    world = lengthy(calls=2, length=MINUTE)
    for each in range(5):
        world.begin(french(each))
    world.wait(100)
    world.begin(german())
    assert world.found == []


def test_a_long_call_from_before_a_restart_is_long_at_once() -> None:
    world = lengthy(calls=2, length=MINUTE)
    for each in range(2):
        world.confirm(world.made(french(each), answered=world.now - HOUR))
    assert world.kinds() == [(str(ALICE), "long")]


def test_waiting_calls_are_bounded_however_many_come_and_go() -> None:
    world = lengthy(running=100, length=DAY)
    for each in range(1000):
        world.call(french(each), 1)
    for each in range(150):
        world.talk(french(each))
    counts = world.detector.counters()
    assert counts["longcalls_running"] == 100
    assert counts["longcalls_running_evicted"] == 50
    assert len(world.detector._waiting._due) <= 200  # type: ignore[attr-defined]


# --- testcall ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [True, False])
def test_a_burst_after_a_test_is_found_once(*, answered: bool) -> None:
    world = probed(calls=3)
    if answered:
        world.call(somali(), 5)
    else:
        world.end(world.begin(somali()), 486)
    world.wait(DAY // SECOND)
    for each in range(9):
        world.begin(somali(each))
    assert world.kinds() == [(str(ALICE), "252611")]


def test_a_burst_without_a_test_a_talk_or_another_account_is_none() -> None:
    world = probed(calls=3)
    world.call(somali(), 60)
    world.call(somali(), 5, account=BOB)
    world.wait(HOUR // SECOND)
    for each in range(9):
        world.begin(somali(each))
    assert world.found == []


def test_a_second_test_at_once_does_not_hide_the_first() -> None:
    world = probed(calls=3)
    for each in range(4):
        world.call(somali(each), 3)
    world.wait(HOUR // SECOND)
    for each in range(3):
        world.begin(somali(each))
    assert len(world.found) == 1


def test_a_prefix_that_somebody_talked_to_since_is_his_own() -> None:
    world = probed(calls=3)
    world.call(somali(), 5)
    world.wait(HOUR // SECOND)
    world.call(somali(), 300)
    for each in range(9):
        world.begin(somali(each))
    assert world.found == []


def test_a_test_is_forgotten_in_the_end() -> None:
    world = probed(calls=2, memory=HOUR)
    world.call(somali(), 5)
    world.wait(2 * HOUR // SECOND)
    world.call(somali(), 5)
    world.call(somali(), 5)
    assert world.found == []


def test_tested_prefixes_are_bounded() -> None:
    world = probed(entries=100)
    for each in range(1000):
        world.call(somali(), 1, account=Account(f"u{each}", "pbx"))
    assert world.detector.counters()["testcall_entries"] <= 51
    assert world.detector.counters()["testcall_entries_evicted"] > 900
