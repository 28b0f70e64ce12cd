"""Who answers for a call, what is dear, and which calls go on: the same for all detectors of toll fraud."""

from __future__ import annotations

import pytest

from sipguard.call import Called, CallOrigin, NumberClass, Rate
from sipguard.detect import newdestination
from sipguard.model import Account
from sipguard.track.spending import SOMEWHERE, Dear, House, Ongoing, payer_of, prefix_of, spends, tail_of
from tests.detect.calling import (
    ALICE,
    DEAR_HOME,
    GERMAN,
    HELP,
    TRUNK,
    Calling,
    french,
    german,
    number,
    priced,
    somali,
)

WORLD = Calling(newdestination.Detector(newdestination.Config()))


def test_an_authenticated_account_answers_for_its_calls_however_it_is_written() -> None:
    assert payer_of(WORLD.made(somali())) == ALICE
    assert payer_of(WORLD.made(somali(), account=Account("ALICE@pbx", "PBX"))) == Account("alice", "pbx")


def test_nobody_is_blamed_who_only_could_have_been() -> None:
    assert payer_of(WORLD.made(somali(), ambiguous=True)) == TRUNK
    assert payer_of(WORLD.made(somali(), account=None)) == TRUNK
    assert payer_of(WORLD.made(somali(), account=None, trunk="")) == Account("trunk", "")


def test_whom_calls_are_forwarded_for_can_only_be_reported() -> None:
    assert payer_of(WORLD.made(somali(), origin=CallOrigin.FORWARDED)) == Account("1001", "")


@pytest.mark.parametrize(
    ("called", "rate", "dear"),
    [
        (somali(), None, True),
        (french(), None, False),
        (french(), priced(100), False),
        (french(), priced(101), True),
        (DEAR_HOME, None, True),
        (german(), priced(9999), False),
        (HELP, priced(9999), False),
        (number("881631234567", "", NumberClass.SATELLITE), None, True),
    ],
)
def test_dear_is_what_is_so_by_its_kind_its_price_or_its_risk(called: Called, rate: Rate | None, *, dear: bool) -> None:
    assert Dear(GERMAN, 1_000_000, 8)(called, rate) is dear


def test_a_price_limit_of_none_makes_nothing_dear() -> None:
    assert not Dear(GERMAN, 0, 8)(french(), priced(9999))


def test_what_is_at_home_is_never_dear_for_its_risk() -> None:
    assert not Dear(House(("SO",)), 1, 1)(somali(), None)


def test_nothing_is_known_to_be_abroad_without_a_home() -> None:
    assert not SOMEWHERE.abroad(french())
    assert GERMAN.abroad(french())
    assert not GERMAN.abroad(german())
    assert not GERMAN.abroad(HELP)


def test_a_call_for_help_is_never_counted() -> None:
    assert not spends(WORLD.made(HELP))
    assert spends(WORLD.made(german()))


@pytest.mark.parametrize(
    ("digits", "prefix"),
    [("12125551234", "1212"), ("79161234567", "7916"), ("33140123456", "33140"), ("25261", "25261")],
)
def test_a_prefix_is_the_country_code_and_three_digits(digits: str, prefix: str) -> None:
    assert prefix_of(number(digits, ""), None) == prefix


def test_a_coarser_deck_makes_a_prefix_shorter_and_a_finer_one_does_not_make_it_longer() -> None:
    assert prefix_of(somali(), Rate("252", "Somalia", 1, 0, 1, 1)) == "252"
    assert prefix_of(somali(), Rate("25261120", "Somalia", 1, 0, 1, 1)) == "252611"
    assert prefix_of(somali(), Rate("", "all else", 1, 0, 1, 1)) == "252611"
    assert prefix_of(HELP, None) == ""


@pytest.mark.parametrize("text", ["+25261123456", "0025261123456", "9 00 25261 123456", "+252-61-123456"])
def test_a_number_ends_the_same_however_it_is_written(text: str) -> None:
    assert tail_of(text) == "261123456"


@pytest.mark.parametrize("text", ["", "anonymous", "1001", "+", "Ж" * 9])
def test_a_name_is_no_number(text: str) -> None:
    assert tail_of(text) == ""


def test_ongoing_calls_are_bounded_by_key_and_in_all() -> None:
    ongoing = Ongoing(most=10, each=3)
    calls = [WORLD.made(somali(each)) for each in range(20)]
    for call in calls[:5]:
        ongoing.enter(call, ("one",))
    assert ongoing.count("one") == 3
    assert list(ongoing.of("one")) == calls[2:5]
    for call in calls[5:]:
        ongoing.enter(call, (call.key,))
    assert len(ongoing) == 10
    assert ongoing.evicted == 10
    for call in calls:
        ongoing.leave(call)
    assert len(ongoing) == 0
    assert ongoing.count("one") == 0


def test_a_call_entered_again_is_counted_once_and_under_its_new_keys() -> None:
    ongoing, call = Ongoing(10, 5), WORLD.made(somali())
    ongoing.enter(call, ("one", "two"))
    ongoing.enter(call, ("two",))
    assert (ongoing.count("one"), ongoing.count("two")) == (0, 1)
