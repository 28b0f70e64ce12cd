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


def test_money_in_doubt_ends_the_call_in_doubt_and_keeps_no_other_from_calling() -> None:
    world = World(only("account", spend_day="{critical = 100}"))
    silent, other = call(), call()
    world.dial(silent)
    world.wait(10 * MINUTE)
    silent.confirmed = False
    world.limits.noticed(world.now, silent)
    world.wait(39 * MINUTE)
    assert world.dial(other)
    world.wait(10 * MINUTE)
    assert {*world.running} == {silent.key, other.key}
    world.wait(20 * MINUTE)  # 79 of the one in doubt, 30 of the other
    assert [each.call.key for each in world.tripped if each.hang_up] == [silent.key, other.key]
    assert 98 * MICROS <= world.spent() <= 102 * MICROS, "within an increment of each"


def test_several_calls_in_doubt_spend_no_more_together_than_one() -> None:
    counted = only("account", spend_day="{critical = 30}")
    before = [call() for _ in range(3)]
    for each in before:
        each.answered = SECOND
    counted.restore([state(each) for each in before], [], SECOND)
    world = World(counted)
    for each in before:
        each.confirmed = False
        counted.reachable(each)
        world.running[each.key] = each
    world.wait(60 * MINUTE)
    assert world.running == {}
    assert 25 * MICROS <= world.spent() <= 33 * MICROS


HALF_AN_HOUR, LATER = 30 * MINUTE - 10 * SECOND, 40 * MINUTE - 10 * SECOND


def test_what_was_doubted_counts_as_soon_as_it_is_confirmed_and_not_twice() -> None:
    counted = only("account", spend_day="{critical = 100}")
    before = call()
    before.answered = SECOND
    counted.restore([state(before)], [], SECOND)
    before.confirmed = False
    counted.reachable(before)
    counted.advance(HALF_AN_HOUR)
    assert counted.usage(HALF_AN_HOUR, Scope.ACCOUNT, "1001")[0].value == MICROS
    before.confirmed = True
    counted.noticed(HALF_AN_HOUR, before)
    assert counted.usage(HALF_AN_HOUR, Scope.ACCOUNT, "1001")[0].value == 30 * MICROS
    before.confirmed = False
    counted.noticed(HALF_AN_HOUR, before)
    counted.advance(LATER)
    assert counted.usage(LATER, Scope.ACCOUNT, "1001")[0].value == 30 * MICROS
    assert [each.at for each in counted.reset(LATER, Scope.ACCOUNT, "1001")] == [LATER]
    assert counted.usage(LATER, Scope.ACCOUNT, "1001")[0].value == 0
    before.ended = 41 * MINUTE
    counted.ended(41 * MINUTE, before)
    assert counted.usage(41 * MINUTE, Scope.ACCOUNT, "1001")[0].value == MICROS
    for book in counted._shelf._books[Scope.ACCOUNT].values():
        assert (book.running, book.committed, book.lasting, book.doubted, book.doubting) == (0, 0, 0, 0, 0)


def test_a_call_from_before_a_restart_that_is_past_its_cap_is_hung_up_at_once_if_that_can_be() -> None:
    for kinds in ({"duration": "{critical = '1h'}"}, {"spend_call": "{critical = 60}"}, {"minutes": "{critical = 60}"}):
        counted = only("account", **kinds)
        before = call()
        before.answered = SECOND
        counted.restore([state(before)], [], MINUTE)
        before.confirmed = False
        counted.reachable(before)
        counted.reachable(call())
        (over,) = counted.advance(30 * HOUR)
        assert over.hang_up
        assert over.call is before


def test_a_call_from_before_a_restart_of_which_no_leg_is_known_is_not_hung_up() -> None:
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
