"""What limits make of silence, restarts, names and clocks: no way round them, and nobody is hit by mistake."""

from __future__ import annotations

from sipguard.call import MICROS, Called, NumberClass
from sipguard.decide.limits import Limits
from sipguard.decide.limitset import Scope
from sipguard.decide.parties import Parties
from sipguard.model import HOUR, MINUTE, SECOND, Account
from sipguard.policy.load import load
from tests.decide.calling import World, call, only, state


def test_silence_is_no_way_to_talk_for_ever() -> None:
    for kinds, most in (({"duration": "{critical = '2h'}"}, 121), ({"spend_call": "{critical = 150}"}, 151)):
        world = World(only("account", concurrent="{critical = 1}", **kinds))
        silent = call()
        world.dial(silent)
        world.wait(HOUR)
        silent.confirmed = False
        world.limits.noticed(world.now, silent)
        assert world.dial(call(), answer=False), "it fills no place"
        world.wait((most - 60) * MINUTE)
        assert silent.key not in world.running


def test_a_call_from_before_a_restart_of_which_nothing_was_heard_is_not_hung_up() -> None:
    counted = only("account", duration="{critical = '1h'}")
    before = call()
    before.answered = SECOND
    counted.restore([state(before)], [], MINUTE)
    assert counted.advance(30 * HOUR) == []


def test_a_clock_that_was_set_back_during_a_call_leaves_nothing_running() -> None:
    counted = only("account", spend_day="{critical = 100}")
    over = call()
    over.began, over.answered, over.ended = HOUR, HOUR + SECOND, MINUTE
    counted.restore([state(over)], [], 2 * HOUR)
    assert counted.counters()["calls_running"] == 0
    assert counted.usage(2 * HOUR, Scope.ACCOUNT, "1001")[0].value == MICROS, "its first increment"


def test_a_door_has_no_price_and_what_could_hide_a_number_has_one() -> None:
    for dialled, trunk, dear in (
        ("door", "", False),
        ("intercom-1204", "", False),
        ("", "", False),
        ("door", "alpha", True),
        ("00252x6123456", "", True),
        ("9##11", "", True),
        ("a" * 64, "", True),
    ):
        world = World(only("account", spend_day="{critical = 100}"))
        world.dial(call(Called(dialled, NumberClass.UNREADABLE), rate=None, trunk=trunk))
        spent = world.limits.usage(world.now, Scope.ACCOUNT, "1001")[0].value
        assert (spent > 0) is dear, dialled


def test_while_no_country_is_named_nothing_is_taken_to_be_abroad() -> None:
    policy = load("")
    counted = Limits(policy.limits, (), Parties((), lambda _: ""))
    unread = call(Called("03012345678", NumberClass.UNREADABLE), rate=None)
    premium = call(Called("+1900", NumberClass.PREMIUM, "+19005551234", "US"), rate=None)
    for made, spent in ((unread, 0), (premium, 2 * MICROS)):
        made.account = Account(made.called.dialled, "pbx")
        counted.began(SECOND, made)
        value = {each.rule: each.value for each in counted.usage(SECOND, Scope.ACCOUNT, made.called.dialled)}
        assert value["limits.account.spend_day"] == spent
