"""What limits refuse, what they end, and that nobody gets round them by splitting, spoofing or waiting."""

from __future__ import annotations

import pytest

from sipguard.call import MICROS, Direction, NumberClass, Rate
from sipguard.decide.books import Grade
from sipguard.decide.limits import Limits
from sipguard.decide.limitset import Scope
from sipguard.model import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Account, Span
from tests.decide.calling import (
    GERMAN,
    HOME,
    SECONDS,
    SOMALI,
    SOMALIA,
    World,
    call,
    number,
    only,
    parties,
    whole,
)

DEFAULT = ""


def test_the_first_call_beyond_each_kind_of_limit_is_refused() -> None:
    for kinds, named in (
        ({"calls": "{critical = 3}"}, "calls"),
        ({"total": "{critical = 3, window = '2d'}"}, "total"),
        ({"concurrent": "{critical = 3}"}, "concurrent"),
        ({"expensive_concurrent": "{critical = 3}"}, "expensive_concurrent"),
        ({"same_number": "{critical = 3}"}, "same_number"),
        ({"same_prefix": "{critical = 3}"}, "same_prefix"),
        ({"spend_hour": "{critical = 3}"}, "spend_hour"),
        ({"spend_day": "{critical = 3}"}, "spend_day"),
        ({"minutes": "{critical = 3}"}, "minutes"),
    ):
        world = World(only("account", **kinds))
        assert [world.dial(call()) for _ in range(4)] == [True, True, True, False], named
        assert world.refused == [f"limits.account.{named}"]


def test_different_expensive_numbers_are_counted_and_the_known_ones_stay_open() -> None:
    world = World(only("account", expensive_numbers="{critical = 3}"))
    near = [number(f"+2526112345{each}", "SO") for each in range(5)]
    assert [world.dial(call(each)) for each in near] == [True, True, True, False, False]
    assert world.dial(call(near[0]))
    assert world.dial(call(GERMAN, rate=HOME))


def test_a_call_that_would_cost_too_much_at_once_is_refused() -> None:
    world = World(only("account", spend_call="{critical = 2}"))
    assert not world.dial(call(rate=Rate("+882", "Satellite", 0, 3 * MICROS, 60, 60)))


@pytest.mark.parametrize(
    ("scope", "same"),
    [
        ("group", (call(account="1001"), call(account="1002"))),
        ("trunk", (call(account="1001"), call(account=None))),
        ("site", (call(account="1001"), call(account="7"))),
        ("class", (call(account="1001"), call(number("+26377", "ZW", NumberClass.MOBILE), account=None))),
        ("country", (call(account="1001"), call(number("+2529", "SO"), account=None))),
        ("number", (call(account="1001"), call(account=None))),
    ],
)
def test_each_scope_adds_up_what_is_its_own(scope: str, same: tuple[object, object]) -> None:
    world = World(only(scope, concurrent="{critical = 1}"))
    first, second = same
    assert world.dial(first)  # type: ignore[arg-type]
    assert not world.dial(second)  # type: ignore[arg-type]
    other = call(number("+4420", "GB"), account="9", rate=HOME, trunk="Other")
    other.source = None
    assert world.dial(other)


def test_a_running_call_ends_at_its_longest() -> None:
    world = World(only("account", duration="{warn = '1h', critical = '4h'}"))
    endless = call(GERMAN, rate=HOME)
    world.dial(endless)
    world.wait(HOUR)
    assert [(each.level, each.hang_up) for each in world.tripped] == [(Grade.WARN, False)]
    world.wait(10 * HOUR)
    assert endless.lasted(world.now) == 4 * HOUR
    assert not world.running


@pytest.mark.parametrize("rate", [SOMALIA, SECONDS, Rate("", "", 7 * MICROS, MICROS // 3, 30, 6)])
@pytest.mark.parametrize("kind", ["spend_call", "spend_hour", "spend_day"])
@pytest.mark.parametrize("calls", [1, 7])
@pytest.mark.parametrize("late", [0, 60 * MILLISECOND, SECOND])
def test_money_stops_at_the_cap_and_not_more_than_an_increment_before_it(
    rate: Rate, kind: str, calls: int, late: Span
) -> None:
    cap = 50 * MICROS
    world = World(only("account", **{kind: "{critical = 50}"}), late=late)
    for _ in range(calls):
        world.wait(3 * SECOND)
        world.dial(call(rate=rate))
    world.wait(50 * MINUTE)
    assert not world.running
    assert world.spent() <= cap * (calls if kind == "spend_call" else 1)
    left = cap * (calls if kind == "spend_call" else 1) - world.spent()
    stride = -(-rate.per_minute * (max(rate.step, 6) + 3) // 60)  # seconds let begin at once, and those of a hang-up
    assert left <= calls * stride


def test_many_calls_begun_at_once_cannot_overtake_a_cap_together() -> None:
    world = World(only("account", spend_day="{critical = 10}"))
    ringing = [call() for _ in range(40)]
    rang = [each for each in ringing if world.dial(each, answer=False)]
    assert len(rang) == 10
    for each in rang:
        world.answer(each)
    world.wait(DAY)
    assert world.spent() == 10 * MICROS


def test_answered_minutes_end_a_running_call_too() -> None:
    world = World(only("account", minutes="{critical = 90}"))
    world.dial(call(GERMAN, rate=HOME))
    world.wait(3 * HOUR)
    assert 89 * MINUTE <= world.over[0].lasted(world.now) <= 90 * MINUTE


def test_many_small_calls_below_each_threshold_still_meet_the_day() -> None:
    world = World(whole(DEFAULT))
    for minute in range(30 * 60):
        made = call(number(f"+2526{minute % 10}", "SO"))
        if world.dial(made):
            world.wait(50 * SECOND)
            world.hang_up(made) if made.key in world.running else None
            world.wait(10 * SECOND)
        else:
            world.wait(MINUTE)
    assert world.spent() <= 2 * 100 * MICROS


def test_a_weekend_to_somalia_costs_what_the_day_says_even_without_any_rates() -> None:
    world = World(whole(DEFAULT))
    for attempt in range(2 * 24 * 2):
        for line in range(10):
            world.dial(call(number(f"+25261{attempt % 50:02}{line}", "SO"), rate=None))
        world.wait(30 * MINUTE)
    minutes = sum(each.lasted(world.now) for each in (*world.over, *world.running.values())) // MINUTE
    assert minutes <= 2 * 400  # at an assumed 0.25 a minute, 100 a day


def test_splitting_over_numbers_prefixes_countries_and_trunks_changes_nothing_for_the_account() -> None:
    world = World(only("account", spend_day="{critical = 5}"))
    made = [
        call(number(f"+{each}1", country), trunk=country) for each, country in ((252, "SO"), (220, "GM"), (235, "TD"))
    ]
    for each in made:
        world.dial(each)
    world.wait(HOUR)
    assert world.spent() == 5 * MICROS


@pytest.mark.parametrize("name", ["BOB", "bob@example.net", "Bob@PBX"])
def test_another_way_of_writing_an_account_is_no_second_allowance(name: str) -> None:
    world = World(only("account", concurrent="{critical = 1}"))
    assert world.dial(call(account="bob"))
    assert not world.dial(call(account=name))


def test_what_a_caller_says_of_himself_moves_nobody_s_counters() -> None:
    world = World(only("account", total="{critical = 1}"))
    for _ in range(5):
        forged = call(account=None)
        forged.caller = "1001"
        world.dial(forged)
    assert world.dial(call(account="1001"))


def test_strangers_and_inbound_and_internal_calls_count_nowhere() -> None:
    counted = only("country", total="{critical = 1}")
    for direction in (Direction.INBOUND, Direction.INTERNAL):
        made = call()
        made.direction = direction
        assert counted.began(0, made) == counted.answered(0, made) == []
    stranger = call(account=None)
    stranger.carrier = None
    counted.began(0, stranger)
    counted.answered(0, stranger)
    counted.ended(0, stranger)
    assert counted.usage(0, Scope.COUNTRY, "SO") == []


def test_calls_that_are_never_answered_cost_nothing_and_count_as_calls() -> None:
    world = World(only("account", spend_day="{critical = 5}", total="{critical = 100}"))
    for _ in range(100):
        made = call()
        assert world.dial(made, answer=False)
        world.wait(SECOND)
        world.hang_up(made)
    assert not world.dial(call())
    assert world.refused == ["limits.account.total"]


def test_emergency_calls_are_neither_refused_nor_counted_when_everything_is_exhausted() -> None:
    world = World(only("account", concurrent="{critical = 1}", total="{critical = 1}", spend_day="{critical = 1}"))
    world.dial(call())
    assert not world.dial(call())
    help_ = number("", "DE", NumberClass.EMERGENCY)
    for _ in range(20):
        assert world.dial(call(help_))
    assert len(world.running) == 21
    assert [each.value for each in world.limits.usage(world.now, Scope.ACCOUNT, "1001")] == [1, 1, MICROS]


def test_nothing_is_given_back_at_midnight_but_a_day_later() -> None:
    world = World(only("account", spend_day="{critical = 3}"))
    world.wait(23 * HOUR + 59 * MINUTE)
    assert [world.dial(call()) for _ in range(4)] == [True, True, True, False]
    for made in tuple(world.running.values()):
        world.hang_up(made)
    world.wait(2 * MINUTE)
    assert not world.dial(call())
    world.wait(23 * HOUR)
    assert not world.dial(call())
    world.wait(90 * MINUTE)
    assert world.dial(call())


def test_an_unconfirmed_call_fills_no_place_and_ends_at_its_own_length() -> None:
    world = World(
        only("account", concurrent="{critical = 1}", spend_day="{critical = 1000}", duration="{critical = '1h'}")
    )
    silent = call()
    world.dial(silent)
    world.wait(3 * MINUTE)
    silent.confirmed = False
    world.limits.noticed(world.now, silent)
    other = call()
    assert world.dial(other)
    world.hang_up(other)
    world.wait(HOUR - 5 * MINUTE)
    assert silent.key in world.running
    silent.confirmed = True
    world.wait(71 * SECOND)  # looked at again, also without being told
    assert not world.dial(call())
    silent.confirmed = False
    world.wait(MINUTE)
    assert silent.key not in world.running


def test_a_failed_over_call_is_one_and_is_counted_where_it_went() -> None:
    counted = whole(
        "[[trunk]]\nname='A'\naddresses=['198.51.100.1']\nchannels=1\nmargin=0\n"
        "[[trunk]]\nname='B'\naddresses=['198.51.100.2']\nchannels=1\nmargin=0\n"
    )
    world = World(counted)
    made = call(GERMAN, rate=HOME, trunk="A")
    world.dial(made, answer=False)
    made.trunk = "B"
    assert world.limits.refusal(world.now, made) is None
    world.answer(made)
    assert world.dial(call(GERMAN, rate=HOME, trunk="A"))
    assert not world.dial(call(GERMAN, rate=HOME, trunk="B"))
    assert world.refused == ["trunk[1].channels"]
    calls = {each.rule: each.value for each in world.limits.usage(world.now, Scope.ACCOUNT, "1001")}
    assert calls["limits.account.calls"] == 2


@pytest.mark.parametrize(
    ("setting", "fits"),
    [("channels = 10", 9), ("calls_per_second = 10", 9), ("daily_spend = 10", 9), ("channels = 1", 1)],
)
def test_the_guard_stops_calls_before_the_carrier_does(setting: str, fits: int) -> None:
    carrier = f"[[trunk]]\nname='Carrier'\naddresses=['198.51.100.1']\n{setting}\n"
    empty = "[[limits.rule]]\ntrunks=['Carrier']\nexpensive_concurrent={}\n"
    world = World(
        whole(
            f"{carrier}{empty}[limits.account]\nexpensive_concurrent={{}}\n[limits.number]\nexpensive_concurrent={{}}"
        )
    )
    dialled = [world.dial(call(trunk="Carrier")) for _ in range(12)]
    assert dialled == [True] * fits + [False] * (12 - fits)
    assert set(world.refused) == {f"trunk[0].{setting.partition(' ')[0]}"}


def test_a_rule_for_one_account_stands_in_the_place_of_the_general_limit() -> None:
    world = World(whole("[[limits.rule]]\naccounts = ['Callcentre']\nconcurrent = { critical = 50 }\ncalls = {}"))
    assert all(world.dial(call(GERMAN, "callcentre", HOME)) for _ in range(50))
    assert not world.dial(call(GERMAN, "callcentre", HOME))
    assert sum(world.dial(call(GERMAN, "1001", HOME)) for _ in range(60)) == 30


def test_a_warning_is_told_once_until_it_was_kept_to_again() -> None:
    world = World(only("account", concurrent="{warn = 1, critical = 5}"))
    made = [call() for _ in range(3)]
    for each in made:
        world.dial(each)
    assert [(each.level, each.value, each.threshold) for each in world.tripped] == [(Grade.WARN, 2, 1)]
    for each in made:
        world.hang_up(each)
    for each in (call(), call()):
        world.dial(each)
    assert len(world.tripped) == 2


def test_an_ordered_hang_up_that_has_no_effect_is_ordered_again() -> None:
    counted = only("account", duration="{critical = '1m'}")
    made = call()
    counted.began(0, made)
    made.answered = 1
    counted.answered(1, made)
    orders = []
    while (due := counted.next_deadline()) is not None and due < HOUR:
        orders += [each.at for each in counted.advance(due) if each.hang_up]
    assert len(orders) > 5
    assert orders[0] == MINUTE + 1
    assert orders[1] - orders[0] == 10 * SECOND


def test_a_reset_begins_anew_for_one_subject_and_keeps_the_running_calls() -> None:
    world = World(only("account", concurrent="{critical = 2}", spend_day="{critical = 3}"))
    world.dial(call())
    world.wait(MINUTE + 30 * SECOND)
    world.dial(call(account="1002"))
    assert not [world.dial(call()) for _ in range(2)][1]
    noun = world.limits.reset(world.now, Scope.ACCOUNT, "1001")
    assert [(each.scope, each.subject) for each in noun] == [("account", "1001@pbx")]
    spent = {each.rule: each.value for each in world.limits.usage(world.now, Scope.ACCOUNT, "1001")}
    assert spent["limits.account.spend_day"] == 0
    assert not world.dial(call())  # two are running still
    other = {each.rule: each.value for each in world.limits.usage(world.now, Scope.ACCOUNT, "1002")}
    assert other["limits.account.spend_day"] == MICROS


def test_the_running_calls_are_bounded_and_what_had_to_go_is_settled() -> None:
    counted = whole(
        "limits.running = 100\n[limits.account]\ntotal = {critical = 1000000}\n"
        "concurrent = {}\nspend_day = {critical = 1000}"
    )
    for each in range(150):
        made = call(account="1001", key=f"k{each}")
        made.answered = each * SECOND + 1
        counted.began(each * SECOND, made)
        counted.answered(each * SECOND + 1, made)
    usage = {each.rule: each.value for each in counted.usage(150 * SECOND, Scope.ACCOUNT, "1001")}
    assert counted.counters()["calls_running"] == 100
    assert counted.lost == counted.counters()["calls_lost"] == 50
    assert usage["limits.account.total"] == 150
    assert usage["limits.account.spend_day"] >= 150 * MICROS
    assert len(counted._due) <= 2 * 100 + 64


def test_a_flood_of_numbers_pushes_out_no_account() -> None:
    counted = whole("limits.subjects = 100\n[limits.number]\ntotal = {critical = 5}\n")
    counted.began(0, call(account="quiet"))
    for each in range(500):
        counted.began(each, call(number(f"+2526{each:06}", "SO"), key=f"n{each}"))
    assert counted.counters()["limits_number"] <= 100
    assert counted.counters()["limits_evicted"] >= 400
    assert counted.usage(500, Scope.ACCOUNT, "quiet")


def test_a_refusal_says_whose_limit_it_is_and_where_it_stands() -> None:
    counted = only("account", spend_day="{critical = 1.5}")
    counted.began(0, call())
    refusal = counted.refusal(1, call())
    assert refusal is not None
    assert refusal.rule == "limits.account.spend_day"
    assert "account 1001@pbx would have 2.00 within a day; limits.account.spend_day ends at 1.50" in refusal.why


def test_a_look_changes_nothing() -> None:
    counted = only("account", total="{critical = 1}")
    for _ in range(10):
        assert counted.refusal(0, call()) is None
    assert counted.counters()["calls_running"] == 0
    assert counted.usage(0, Scope.ACCOUNT, "1001") == []
    assert Limits.refusal is not None
    assert parties().groups(Account("1001", "pbx")) == ("Sales",)
    assert SOMALI.country == "SO"
