"""Calls sent on, calls that nobody dialled, first calls, and calls that come in to make money."""

from __future__ import annotations

from typing import Any

import pytest

from sipguard.call import CallOrigin, NumberClass
from sipguard.detect import diversion, firstabroad, newdestination, orphancalls, tollfreepump, wangiri
from sipguard.model import DAY, HOUR, SECOND, Account, Instant
from sipguard.track.spending import House
from tests.detect.calling import (
    ALICE,
    DEAR_HOME,
    GERMAN,
    HELP,
    OTHER,
    TRUNK,
    Calling,
    french,
    german,
    number,
    somali,
)

FREE = number("498001234567", "DE", NumberClass.TOLL_FREE)
WEEK = 8 * DAY // SECOND
ORPHAN = {"origin": CallOrigin.ORPHAN, "account": None, "source": None}
FORWARD = {"origin": CallOrigin.FORWARDED, "account": None, "source": None}


def sent_on(**settings: Any) -> Calling:
    return Calling(diversion.Detector(diversion.Config(**settings), GERMAN))


def orphans(**settings: Any) -> Calling:
    return Calling(orphancalls.Detector(orphancalls.Config(**settings), GERMAN))


def first(house: House = GERMAN, **settings: Any) -> Calling:
    return Calling(firstabroad.Detector(firstabroad.Config(**settings), house))


def new(**settings: Any) -> Calling:
    return Calling(newdestination.Detector(newdestination.Config(**settings), GERMAN))


def pumped(**settings: Any) -> Calling:
    return Calling(tollfreepump.Detector(tollfreepump.Config(**settings)))


def rung(**settings: Any) -> Calling:
    return Calling(wangiri.Detector(wangiri.Config(**settings), GERMAN))


# --- diversion --------------------------------------------------------------------------------------------------------


def test_one_call_forwarded_to_a_dear_place_is_told_and_only_many_abroad_are() -> None:
    world = sent_on(forwards=3)
    world.begin(somali(), **FORWARD)
    world.begin(french(1), **FORWARD)
    world.begin(french(2), **FORWARD)
    world.begin(german(), **FORWARD)
    assert world.kinds() == [("Carrier", "forward 252611")]
    world.begin(french(3), **FORWARD)
    assert world.kinds()[1:] == [("Carrier", "forward")]


def test_a_forwarded_call_for_help_is_nothing() -> None:
    world = sent_on(forwards=1)
    world.begin(HELP, **FORWARD)
    world.refer(world.made(german()), HELP)
    assert world.found == []


def test_transfers_are_the_accounts_only_when_its_phone_asked() -> None:
    world = sent_on(transfers=2)
    talk = world.talk(german())
    for each in range(2):
        world.refer(talk, somali(each), by_phone=False)
    assert world.kinds() == [("Carrier", "transfer")]
    for each in range(2):
        world.refer(talk, somali(each))
    assert world.kinds()[1:] == [(str(ALICE), "transfer")]


def test_a_transferred_call_is_found_when_it_is_held_and_not_after_it_ended() -> None:
    world = sent_on(held=60 * SECOND)
    held = world.talk(somali(), origin=CallOrigin.TRANSFERRED)
    world.call(somali(1), 59, origin=CallOrigin.TRANSFERRED)
    world.wait(2)
    world.begin(german())
    assert world.kinds() == [(str(ALICE), "held")]
    world.end(held)
    assert len(world.found) == 1


def test_whom_calls_are_sent_on_for_is_bounded() -> None:
    world = sent_on(entries=100, transfers=1000)
    for each in range(500):
        talk = world.talk(german(), account=Account(f"u{each}", "pbx"))
        world.refer(talk, somali())
        world.talk(somali(), origin=CallOrigin.TRANSFERRED)
    counts = world.detector.counters()
    assert counts["diversion_entries"] <= 151
    assert counts["diversion_entries_evicted"] > 800


# --- orphancalls ------------------------------------------------------------------------------------------------------


def test_the_first_dear_orphan_is_told_and_only_several_abroad() -> None:
    world = orphans(calls=3)
    world.begin(french(1), **ORPHAN)
    world.begin(somali(1), **ORPHAN)
    world.begin(french(2), **ORPHAN)
    assert world.kinds() == [("Carrier", "252611"), ("Carrier", "abroad")]


def test_what_could_be_somebodys_or_stays_at_home_is_no_orphan() -> None:
    world = orphans(calls=1)
    world.begin(somali(), ambiguous=True, **ORPHAN)
    world.begin(somali())
    world.begin(german(), **ORPHAN)
    world.begin(HELP, **ORPHAN)
    assert world.found == []


def test_trunks_of_orphans_are_bounded() -> None:
    world = orphans(trunks=10, calls=100)
    for each in range(50):
        world.begin(french(), trunk=f"t{each}", **ORPHAN)
    assert world.detector.counters() == {"orphancalls_trunks": 10, "orphancalls_trunks_evicted": 40}


# --- firstabroad ------------------------------------------------------------------------------------------------------


def known(world: Calling) -> None:
    world.call(german(), 60)
    world.wait(WEEK)
    world.call(german(), 60)


def test_a_first_call_abroad_by_day_from_the_usual_place_is_not_told_unless_wanted() -> None:
    for always in (False, True):
        world = first(always=always)
        known(world)
        world.begin(french())
        assert len(world.found) == always


def test_a_first_call_abroad_from_a_new_address_is_told_once() -> None:
    world = first()
    known(world)
    world.begin(french(), source=OTHER)
    world.begin(somali(), source=OTHER)
    assert world.kinds() == [(str(ALICE), "first")]
    assert dict(world.found[0].evidence)["also"] == "new address"


@pytest.mark.parametrize(
    ("minute", "told"), [(0, True), (359, True), (360, False), (1199, False), (1200, True), (-1, False)]
)
def test_a_first_call_abroad_at_night_is_told(minute: int, *, told: bool) -> None:
    def clock(_: Instant) -> int:
        return minute

    world = first(House(("DE",), clock))
    known(world)
    world.begin(french())
    assert bool(world.found) is told


def test_never_is_no_night() -> None:
    world = first(House(("DE",), lambda _: 0), night="never")
    known(world)
    world.begin(french())
    assert world.found == []


def test_while_an_account_is_learned_nothing_is_told_and_it_is_one_that_calls_abroad() -> None:
    world = first(always=True)
    world.begin(somali())
    known(world)
    world.begin(somali(), source=OTHER)
    assert world.found == []


def test_what_is_not_authenticated_is_neither_told_nor_learned() -> None:
    world = first(always=True)
    for facts in ({"account": None}, {"ambiguous": True}, {"origin": CallOrigin.FORWARDED}):
        world.begin(german(), **facts)
        world.wait(WEEK)
        world.begin(somali(), **facts)
    assert world.found == []
    assert world.detector.counters()["firstabroad_accounts"] == 0


def test_accounts_that_call_are_bounded() -> None:
    world = first(accounts=100)
    for each in range(500):
        world.begin(german(), account=Account(f"u{each}", "pbx"))
    assert world.detector.counters()["firstabroad_accounts"] <= 51
    assert world.detector.counters()["firstabroad_accounts_evicted"] > 400


# --- newdestination ---------------------------------------------------------------------------------------------------


def test_a_dear_place_that_the_house_never_called_is_told_once() -> None:
    world = new()
    known(world)
    world.begin(somali(1))
    world.begin(somali(2))
    world.begin(french())
    assert world.kinds() == [(str(ALICE), "252611")]


def test_what_was_called_while_the_house_was_learned_is_not_new() -> None:
    world = new()
    world.begin(somali())
    world.wait(WEEK)
    world.begin(somali())
    world.begin(HELP)
    assert world.found == []


def test_destinations_are_bounded() -> None:
    world = new(destinations=100)
    for each in range(1000):
        world.begin(number(f"88{each:03d}12345", "", NumberClass.GLOBAL))
    assert world.detector.counters()["newdestination_known"] == 100
    assert world.detector.counters()["newdestination_known_evicted"] == 900


# --- tollfreepump -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("callers", "pattern"),
    [
        (["+49301234567"] * 10, "few callers"),
        ([f"+493012345{each:02d}" for each in range(10)], "one block of numbers"),
        (["anonymous"] * 10, "no caller shown"),
    ],
)
def test_a_toll_free_number_that_machines_call_is_found(callers: list[str], pattern: str) -> None:
    world = pumped(calls=10)
    for caller in callers:
        world.end(world.answer(world.comes(caller, FREE)))
        world.wait(5)
    (found,) = world.found
    assert found.subject == Account("+498001234567", "")
    assert dict(found.evidence)["pattern"] == pattern
    assert dict(found.evidence)["short"] == 9


def test_many_callers_from_everywhere_are_customers() -> None:
    world = pumped(calls=10)
    for each in range(200):
        world.comes(f"+49{each:03d}{each:03d}{each:03d}", FREE)
    assert world.found == []


def test_only_toll_free_numbers_and_those_named_are_looked_at_and_only_from_trunks() -> None:
    world = pumped(calls=3, numbers=("+493012" + "0" * 5,))
    for _ in range(5):
        world.comes("+49301234567", german(7))
        world.comes("+49301234567", FREE, trunk="")
    assert world.found == []
    for _ in range(3):
        world.comes("+49301234567", german(0))
    assert len(world.found) == 1


def test_called_numbers_are_bounded_and_so_is_what_is_kept_of_each() -> None:
    world = pumped(entries=10, calls=3, numbers=tuple(german(each).e164 for each in range(50)))
    for each in range(50):
        world.comes(f"+4930{each:09d}", german(each))
    assert world.detector.counters() == {"tollfreepump_numbers": 10, "tollfreepump_numbers_evicted": 40}


# --- wangiri ----------------------------------------------------------------------------------------------------------


def test_who_calls_back_a_single_ring_from_abroad_is_told_and_never_blamed() -> None:
    world = rung()
    world.rings("+25261123456")
    world.wait(HOUR // SECOND)
    world.begin(number("25261123456", "SO"))
    (found,) = world.found
    assert (found.subject, found.identifier) == (Account("1001", ""), "call-back")


@pytest.mark.parametrize(("seconds", "code"), [(30, 487), (1, 486)])
def test_who_rings_for_long_or_is_turned_away_did_not_ring_once(seconds: int, code: int) -> None:
    world = rung()
    call = world.comes("+25261123456", german())
    world.wait(seconds)
    world.end(call, code)
    world.begin(number("25261123456", "SO"))
    assert world.found == []


def test_a_call_back_at_home_or_much_later_is_nothing() -> None:
    world = rung(memory=HOUR)
    world.rings("+4930120000000")
    world.rings("+25261123456")
    world.begin(number("4930120000000", "DE", NumberClass.GEOGRAPHIC))
    world.wait(2 * HOUR // SECOND)
    world.begin(number("25261123456", "SO"))
    assert world.found == []


def test_many_rings_of_risky_numbers_are_a_wave() -> None:
    world = rung(calls=5)
    for each in range(4):
        world.rings(f"+2526112345{each}")
        world.rings(f"+4930{each:07d}")
    assert world.found == []
    world.rings("00252611234567")
    assert [(each.subject, each.identifier, each.proven) for each in world.found] == [(TRUNK, "wave", False)]


def test_a_premium_number_at_home_is_called_back_too() -> None:
    world = rung()
    world.rings(DEAR_HOME.e164)
    world.begin(DEAR_HOME)
    assert world.kinds() == [("1001", "call-back")]


def test_callers_are_bounded() -> None:
    world = rung(callers=100)
    for each in range(500):
        world.rings(f"+493{each:08d}")
    assert world.detector.counters() == {"wangiri_callers": 100, "wangiri_callers_evicted": 400}
