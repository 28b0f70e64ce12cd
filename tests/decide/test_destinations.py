"""Where calls may go: the order of words, the narrower party, the clock, prices, and what a refusal says."""

from __future__ import annotations

import datetime as dt

import pytest

from sipguard.call import Call, Called, Direction, NumberClass, Rate
from sipguard.decide.destinations import Destinations, Refusal
from sipguard.decide.misdials import Misdials
from sipguard.decide.wallclock import UTC, Hours, Moment, Zone
from sipguard.errors import AdapterError
from sipguard.geo.zones import is_zone, zone_table
from sipguard.model import HOUR, MINUTE, SECOND, Account
from sipguard.policy.load import load
from tests.decide.calling import GERMAN, HOME, SOMALI, SOMALIA, call, number, parties

PREMIUM = number("+49900123456", "DE", NumberClass.PREMIUM)
AUSTRIAN = number("+4312345678", "AT")
SATELLITE = number("+870123456789", "", NumberClass.SATELLITE)
UNREAD = Called("9##11", NumberClass.UNREADABLE, why="no number")
EMERGENCY = Called("112", NumberClass.EMERGENCY, "", "DE")
GROUP = "[[group]]\nname = 'Sales'\naccounts = ['1001', '1002']\n"
SITE = "[[site]]\nname = 'Office'\naddresses = ['192.0.2.0/24']\n"
TRUNK = "[[trunk]]\nname = 'Carrier'\naddresses = ['198.51.100.0/28']\n"


def at(day: int, clock: str) -> int:
    """Give a wall clock time in the week of Monday 5 January 2026, UTC."""
    hour, minute = clock.split(":")
    return int(dt.datetime(2026, 1, 5 + day, int(hour), int(minute), tzinfo=dt.UTC).timestamp()) * SECOND


NOON = at(0, "12:00")


def judge(text: str, made: Call, wall: int = NOON, *, deck: bool = False, zone: Zone = UTC) -> str:
    refusal = refused(text, made, wall, deck=deck, zone=zone)
    return "" if refusal is None else refusal.rule


def refused(text: str, made: Call, wall: int = NOON, *, deck: bool = False, zone: Zone = UTC) -> Refusal | None:
    policy = load(text)
    return Destinations(policy.calls, policy.carriers(), parties(policy), zone, deck=deck).judge(made, wall)


CLOSED = "[calls]\nhome = ['DE']\noutbound = false\ndeny = ['national', 'DE']\n"


@pytest.mark.parametrize(
    ("said", "called", "rule"),
    [
        ("", SOMALI, ""),
        ("outbound = false", GERMAN, "calls.outbound"),
        ("international = false", SOMALI, "calls.international"),
        ("international = false", GERMAN, ""),
        ("international = false", SATELLITE, "calls.international"),
        ("international = false", UNREAD, "calls.international"),
        ("international = false", Called("23", NumberClass.EXTENSION), ""),
        ("countries = ['DE', 'AT']", AUSTRIAN, ""),
        ("countries = ['DE', 'AT']", SOMALI, "calls.countries"),
        ("countries = ['DE', 'AT']", UNREAD, "calls.countries"),
        ("countries = ['DE', 'AT']", Called("110", NumberClass.SHORT), ""),
        ("deny = ['SO']", SOMALI, "calls.deny[0]"),
        ("deny = ['AT', 'mobile']", SOMALI, "calls.deny[1]"),
        ("deny = ['+25261']", SOMALI, "calls.deny[0]"),
        ("deny = ['0025']", SOMALI, "calls.deny[0]"),
        ("deny = ['=+25261123456']", SOMALI, "calls.deny[0]"),
        ("deny = ['=+2526112345']", SOMALI, ""),
        ("deny = ['unreadable']", UNREAD, "calls.deny[0]"),
        ("deny = ['national']", GERMAN, "calls.deny[0]"),
        # the more exact word wins, whichever list it stands in
        ("deny = ['SO']\nallow = ['+25261']", SOMALI, ""),
        ("allow = ['SO']\ndeny = ['+25261']", SOMALI, "calls.deny[0]"),
        ("allow = ['+25261']\ndeny = ['+252611']", SOMALI, "calls.deny[0]"),
        ("allow = ['=+25261123456']\ndeny = ['+252611']", SOMALI, ""),
        ("allow = ['+49', 'DE', 'national']\ndeny = ['premium']", PREMIUM, "calls.deny[0]"),
        ("allow = ['+4990012']\ndeny = ['premium']", PREMIUM, ""),
        ("international = false\nallow = ['AT']", AUSTRIAN, ""),
        ("outbound = false\nallow = ['=+493012345678']", GERMAN, ""),
    ],
)
def test_the_most_exact_word_decides(said: str, called: Called, rule: str) -> None:
    assert judge(f"[calls]\nhome = ['DE']\n{said}\n", call(called, rate=None)) == rule


@pytest.mark.parametrize(
    ("said", "called", "rule"),
    [
        # what is narrower lifts or tightens what holds for everybody
        ("international = false\n[[calls.rule]]\naccounts = ['1001']\ninternational = true", SOMALI, ""),
        ("international = false\n[[calls.rule]]\ngroups = ['Sales']\ncountries = ['AT']", AUSTRIAN, ""),
        ("[[calls.rule]]\naccounts = ['1001']\noutbound = false", GERMAN, "calls.rule[0].outbound"),
        ("allow = ['DE']\n[[calls.rule]]\naccounts = ['1001']\noutbound = false", GERMAN, "calls.rule[0].outbound"),
        ("allow = ['AT']\n[[calls.rule]]\nsites = ['Office']\ncountries = ['DE']", AUSTRIAN, "calls.rule[0].countries"),
        # a list's exact word outlives a narrower mode
        ("deny = ['+25261']\n[[calls.rule]]\naccounts = ['1001']\ninternational = true", SOMALI, "calls.deny[0]"),
        ("deny = ['premium']\n[[calls.rule]]\naccounts = ['1001']\nallow = ['DE']", PREMIUM, "calls.deny[0]"),
        # of equally exact words the narrower party's: account, group, site, trunk, everybody
        ("deny = ['SO']\n[[calls.rule]]\ntrunks = ['Carrier']\nallow = ['SO']", SOMALI, ""),
        (
            "[[calls.rule]]\ngroups = ['Sales']\nallow = ['SO']\n[[calls.rule]]\nsites = ['Office']\ndeny = ['SO']",
            SOMALI,
            "",
        ),
        (
            "rule = [{accounts = ['1001@pbx'], deny = ['SO']}, {groups = ['Sales'], allow = ['SO']}]",
            SOMALI,
            "calls.rule[0].deny[0]",
        ),
        # and between equals the one that refuses, whatever their order
        (
            "[[calls.rule]]\naccounts = ['1001']\ndeny = ['SO']\n[[calls.rule]]\naccounts = ['1001']\nallow = ['SO']",
            SOMALI,
            "calls.rule[0].deny[0]",
        ),
        # rules for others do not hold
        ("[[calls.rule]]\naccounts = ['1003']\noutbound = false", GERMAN, ""),
    ],
)
def test_the_narrower_party_decides_between_equals(said: str, called: Called, rule: str) -> None:
    text = f"{GROUP}{SITE}{TRUNK}[calls]\nhome = ['DE']\n{said}\n"
    assert judge(text, call(called, rate=None, trunk="Carrier")) == rule


@pytest.mark.parametrize("name", ["BOB", "bob@example.net"])
def test_another_way_of_writing_an_account_does_not_leave_its_rule(name: str) -> None:
    text = "[[calls.rule]]\naccounts = ['bob']\noutbound = false\n"
    assert judge(text, call(GERMAN, name)) == "calls.rule[0].outbound"


def test_an_unnamed_caller_is_held_to_what_holds_for_everybody() -> None:
    text = "[calls]\nhome = ['DE']\ninternational = false\n[[calls.rule]]\naccounts = ['1001']\ninternational = true\n"
    forged = call(account=None)
    forged.caller = "1001"
    assert judge(text, forged) == "calls.international"


@pytest.mark.parametrize(
    "text", [CLOSED, "[calls]\ncountries = ['FR']\nhighest_rate = 0.01\n", "[calls]\ndeny = ['DE', '112', '=112']\n"]
)
def test_an_emergency_call_always_goes(text: str) -> None:
    assert judge(text, call(EMERGENCY, rate=None), deck=True) == ""
    assert judge(text, call(EMERGENCY, account=None, rate=SOMALIA), deck=True) == ""
    assert judge(text, call(number("+49112123", "DE")), deck=True) != ""


def test_a_call_that_does_not_leave_is_nobody_s_business() -> None:
    made = call(GERMAN)
    made.direction = Direction.INTERNAL
    assert judge("[calls]\noutbound = false\n", made) == ""


NIGHT = "[calls]\nhome = ['DE']\n[[calls.rule]]\nhours = '19:00-07:00'\nweekdays = ['fri']\ninternational = false\n"


@pytest.mark.parametrize(
    ("day", "clock", "closed"),
    [
        (4, "18:59", False),
        (4, "19:00", True),
        (5, "06:59", True),
        (5, "07:00", False),
        (5, "23:00", False),
        (4, "03:00", False),
    ],
)
def test_a_night_belongs_to_the_day_it_begins_on(day: int, clock: str, closed: bool) -> None:  # noqa: FBT001 - a table's column
    assert bool(judge(NIGHT, call(), at(day, clock))) is closed


def test_hours_are_those_of_the_operator_s_zone_summer_and_winter() -> None:
    zone = Zone(zone_table("Europe/Berlin", 2026))
    assert zone.moment(at(0, "06:30")) == Moment(0, 7 * 60 + 30)
    summer = int(dt.datetime(2026, 7, 1, 22, 30, tzinfo=dt.UTC).timestamp()) * SECOND
    assert zone.moment(summer) == Moment(3, 30)
    change = int(dt.datetime(2026, 3, 29, 1, 0, tzinfo=dt.UTC).timestamp())
    assert [zone.moment((change - 1) * SECOND).minute, zone.moment(change * SECOND).minute] == [119, 180]


def test_a_zone_is_what_the_host_knows() -> None:
    assert is_zone("Europe/Berlin")
    assert is_zone("local")
    assert not is_zone("Europe/Berlim")
    assert not is_zone("../../etc/passwd")
    with pytest.raises(AdapterError, match="tzdata"):
        zone_table("Mars/Olympus", 2026)


def test_whole_days_and_equal_ends() -> None:
    assert all(Hours("always", ()).hold(Moment(day, minute)) for day in range(7) for minute in (0, 1439))
    assert Hours("08:00-08:00", ()).hold(Moment(0, 0))
    assert Hours("08:00-24:00", ()).hold(Moment(0, 1439))


@pytest.mark.parametrize(
    ("said", "rate", "rule"),
    [
        ("highest_rate = 0.5", SOMALIA, "calls.highest_rate"),
        ("highest_rate = 1", SOMALIA, ""),
        ("", None, "calls.unknown_rate"),
        ("unknown_rate = true", None, ""),
        ("highest_rate = 0.5\nallow = ['SO']", SOMALIA, "calls.highest_rate"),
        ("highest_rate = 0.5\nallow = ['+252611']", SOMALIA, ""),
        ("allow = ['+252611']", None, ""),
        ("highest_rate = 0.5\n[[calls.rule]]\naccounts=['1001']\nhighest_rate = 2", SOMALIA, ""),
        (
            "highest_rate = 2\n[[calls.rule]]\naccounts=['1001']\nhighest_rate = 0.9",
            SOMALIA,
            "calls.rule[0].highest_rate",
        ),
    ],
)
def test_a_price_is_refused_when_it_is_too_high_or_unknown(said: str, rate: Rate | None, rule: str) -> None:
    assert judge(f"[calls]\nhome = ['DE']\n{said}\n", call(rate=rate), deck=True) == rule


def test_without_rates_no_price_is_unknown_and_free_numbers_need_none() -> None:
    assert judge("", call(rate=None)) == ""
    assert judge("", call(number("+49800123", "DE", NumberClass.TOLL_FREE), rate=None), deck=True) == ""


def test_the_carrier_s_highest_rate_holds_below_its_margin_and_nothing_lifts_it() -> None:
    text = f"{TRUNK}max_rate = 1.05\n[calls]\nallow = ['=+25261123456']\n"
    assert judge(text, call(trunk="Carrier")) == "trunk[0].max_rate"
    assert judge(text, call(trunk="Carrier", rate=HOME)) == ""
    assert judge(text, call(trunk="Other")) == ""


def test_a_refusal_says_why_and_what_to_change() -> None:
    refusal = refused("[calls]\nhome = ['DE']\ndeny = ['SO']\n", call())
    assert refusal == Refusal(
        "calls.deny[0]",
        '+25261123456, mobile (SO), is closed by "SO" in calls.deny; '
        'to allow it, put "=+25261123456" into calls.allow.',
    )


def test_a_refusal_stays_short_whatever_is_dialled() -> None:
    refusal = refused(
        "[calls]\noutbound = false\ndeny = ['unreadable']\n", call(Called("9" * 4000, NumberClass.UNREADABLE))
    )
    assert refusal is not None
    assert len(refusal.why) < 200


def test_misdials_are_different_numbers_within_a_time() -> None:
    misdials = Misdials(load("limits.misdials = 2").limits)
    account, numbers = Account("1001", "pbx"), [number(f"+2526{each}") for each in range(5)]
    assert not any(misdials.refused(each * SECOND, account, numbers[0]) for each in range(50))
    assert [misdials.refused(MINUTE, account, each) for each in numbers[1:3]] == [False, True]
    assert not misdials.refused(3 * HOUR, account, numbers[4])
    assert not any(misdials.refused(3 * HOUR, account, EMERGENCY) for _ in range(9))
    misdials.refused(3 * HOUR, account, numbers[1])
    misdials.forget(Account("1001", "PBX"))
    assert not misdials.refused(3 * HOUR, account, numbers[2])
    assert misdials.refused(3 * HOUR, Account("x", ""), numbers[0]) is False


def test_misdials_of_one_account_are_bounded() -> None:
    misdials = Misdials(load("limits.misdials = 3\nlimits.subjects = 100").limits)
    for each in range(1000):
        misdials.refused(each, Account(f"{each}", ""), number(f"+1{each}"))
        misdials.refused(each, Account("busy", ""), number(f"+1{each}"))
    assert len(misdials._refused) <= 100
    assert max(len(crowd) for crowd in misdials._refused.values()) <= 4


@pytest.mark.parametrize("said", ["", "international = false", "countries = ['DE']"])
def test_a_door_and_a_short_code_are_neither_abroad_nor_without_a_price(said: str) -> None:
    text = f"[calls]\nhome = ['DE']\n{said}\n"
    for called in (Called("door", NumberClass.UNREADABLE), Called("116117", NumberClass.SHORT)):
        assert judge(text, call(called, rate=None), deck=True) == ""
    trunked = call(Called("door", NumberClass.UNREADABLE), rate=None, trunk="alpha")
    assert judge(text, trunked, deck=True) != "", "what a carrier makes of it, nobody knows"
