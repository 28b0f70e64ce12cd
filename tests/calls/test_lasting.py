"""What lasts over a restart, what is forgotten in time, and what a flood may push out."""

from __future__ import annotations

from sipguard.call import CallOrigin
from sipguard.event import CallEnded
from sipguard.model import HOUR, MINUTE, SECOND
from sipguard.track.limits import Config
from tests.calls.test_course import talking
from tests.calls.world import World

# --- After a restart --------------------------------------------------------------------------------------------------


def test_a_running_call_is_unconfirmed_after_a_restart_until_the_pbx_speaks_in_it() -> None:
    for by_pbx in (True, False):
        world = World()
        _, leg = talking(world)
        before = world.call
        world.restart()
        (call,) = world.running()
        assert (call.key, call.confirmed, call.answered) == (before.key, False, before.answered)
        world.request(leg, "UPDATE", by_pbx=by_pbx)
        assert call.confirmed is by_pbx, "a carrier's word alone can be forged"
        world.reply(leg, "UPDATE", 200, by_pbx=not by_pbx)
        assert call.confirmed
        world.bye(leg, by_pbx=True)
        assert isinstance(world.events[-1], CallEnded)
        assert world.running() == []


def test_a_call_that_ends_after_a_restart_ends_by_either_ones_bye() -> None:
    for by_pbx in (True, False):
        world = World()
        _, leg = talking(world)
        world.restart()
        world.bye(leg, by_pbx=by_pbx)
        assert world.running() == []
        assert world.told()[-1] == "Ended"


def test_a_call_that_rang_during_a_restart_is_answered_when_the_pbx_says_so() -> None:
    world = World()
    world.dials()
    leg = world.leaves()
    world.answer(leg, 180)
    world.restart()
    world.answer(leg, 200)
    assert world.told() == ["Attempted"]
    world.request(leg, "ACK", by_pbx=True)
    assert world.told() == ["Attempted", "Confirmed", "Answered"]
    world.bye(leg, by_pbx=True)
    assert world.running() == []
    refused = World()
    leg = refused.leaves()
    refused.restart()
    refused.answer(leg, 486)
    refused.request(leg, "ACK", by_pbx=True)
    assert refused.running() == []


def test_calls_of_which_nobody_hears_after_a_restart_run_out() -> None:
    world = World()
    world.leaves(user="x")
    talking(world)
    world.restart()
    world.wait(1)
    assert len(world.running()) == 2
    world.wait(61 * MINUTE / SECOND)
    assert [bool(each.answered) for each in world.running()] == [True]
    world.wait(25 * HOUR / SECOND)
    assert world.running() == []
    assert world.calls.next_deadline() is None


# --- Bounds -----------------------------------------------------------------------------------------------------------


def test_a_flood_of_strangers_pushes_out_no_call_and_is_bounded() -> None:
    world = World(Config(calls=1000))
    _, leg = talking(world)
    world.dials(number="0088812345")
    for number in range(3000):
        flood = world.dialog(f"203.{number % 200}.113.{number % 250}", "0088812345", outgoing=False)
        world.invite(flood)
    counters = world.calls.counters()
    assert counters["call_legs_asked"] <= 250
    assert counters["call_legs_asked_evicted"] >= 2750
    world.leaves(number="0088812345", user="x")
    assert world.outbound[1].origin is CallOrigin.EXTENSION
    world.bye(leg, by_pbx=True)
    assert len(world.running()) == 1


def test_past_the_cap_the_oldest_call_is_ended_and_told() -> None:
    world = World(Config(calls=1000))
    for number in range(1005):
        world.leaves(number=f"00252{number:07}", user="x")
    assert len(world.running()) == 1000
    assert world.told().count("Ended") == 5
    assert world.calls.counters()["calls_evicted"] == 5


def test_everything_is_forgotten_in_time() -> None:
    world = World(Config(calls=1000))
    for number in range(50):
        inside = world.dials(number=f"00252{number:07}")
        leg = world.leaves(number=f"00252{number:07}")
        world.answer(leg, (486, 180, 200)[number % 3])
        if number % 5 == 0:
            world.answer(inside, 200)
    world.wait(3 * 24 * 3600)
    counters = world.calls.counters()
    assert (counters["calls"], counters["call_legs"]) == (0, 0)
    assert world.calls.next_deadline() is None


def test_a_call_that_rings_over_a_restart_and_for_minutes_after_it_is_known_when_it_is_answered() -> None:
    world = World()
    leg = world.leaves(user="x")
    world.answer(leg, 180)
    world.restart()
    for _ in range(10):
        world.wait(60)
    world.answer(leg, 200)
    world.request(leg, "ACK", by_pbx=True)
    (running,) = world.running()
    assert running.answered
    assert running.confirmed
