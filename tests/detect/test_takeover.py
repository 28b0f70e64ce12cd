"""What is new for an account is told, once; what is its own is not; and nobody but its owner teaches it anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipguard.address import Address, show
from sipguard.detect import takeover
from sipguard.detect.takeover import family
from sipguard.event import Registered
from sipguard.model import DAY, HOUR, SECOND, Account, Consequence, DecisionVerdict, Lookups, Record, State, Trust
from sipguard.policy.schema import Policy
from sipguard.track import habits
from tests.engine.story import Story

PLACES = {
    "198.51.100.2": ("DE", 64500),
    "198.51.100.1": ("DE", 64501),
    "203.0.113.": ("SO", 64510),
    "2001:db8:": ("FR", 64511),
}
HOME, OTHER_SYSTEM, ABROAD, FRANCE, OFFICE = (
    "198.51.100.20",
    "198.51.100.10",
    "203.0.113.66",
    "2001:db8:3::1",
    "10.0.0.7",
)
DESK = "Yealink SIP-T46S 66.86.0.15"


def place(address: Address) -> tuple[str, int]:
    text = show(address)
    return next((where for start, where in PLACES.items() if text.startswith(start)), ("", 0))


LOOK = Lookups(lambda address: place(address)[0], lambda address: place(address)[1])


def story(look: Lookups = LOOK, **settings: object) -> Story:
    config = takeover.Config(**settings)  # type: ignore[arg-type]
    return Story(replace(Policy(), detect=replace(Policy().detect, takeover=config)), look=look)


def settled(source: str = HOME, look: Lookups = LOOK, **settings: object) -> Story:
    """Begin with an account that has been at home for more than a day."""
    told = story(look, **settings)
    told.register(source, agent=DESK)
    told.wait(25 * 3600)
    told.register(source, agent=DESK)
    told.wait(2 * 3600)
    assert found(told) == []
    return told


def found(told: Story) -> list[tuple[str, str]]:
    return [
        (each.identifier, str(dict(each.evidence).get("new", "")))
        for each in told.findings()
        if each.detector == "takeover"
    ]


def test_a_new_country_and_a_new_device_are_told_in_one_line() -> None:
    told = settled()
    told.register(ABROAD, agent="MicroSIP/3.21.3")
    assert found(told) == [("new", "country, system, device")]
    told.register(ABROAD, port=6000, agent="MicroSIP/3.21.3")
    assert len(found(told)) == 1


def test_thief_and_owner_who_register_in_turn_are_told_of_once_a_day() -> None:
    told = settled()
    for _ in range(24):
        told.register(ABROAD, agent=DESK)
        told.wait(1800)
        told.register(HOME, agent=DESK)
        told.wait(1750)
    assert found(told) == [("new", "country, system"), ("travel", "")]


def test_new_firmware_and_a_new_port_are_not_new() -> None:
    told = settled()
    told.register(HOME, port=6000, agent="Yealink SIP-T46S 66.87.0.1")
    told.register("198.51.100.21", agent="Yealink SIP-T42U 108.86.0.20")
    assert found(told) == []


@pytest.mark.parametrize("source", [HOME, OFFICE])
def test_a_new_system_is_told_where_that_is_all_there_is_of_it(source: str) -> None:
    told = settled(source)
    told.register(OTHER_SYSTEM, agent=DESK)
    assert found(told) == [("new", "system" if source == HOME else "country")]


def test_a_device_that_says_nothing_of_itself_is_a_new_kind() -> None:
    told = settled()
    told.register(HOME)
    assert found(told) == [("new", "device")]


def test_what_is_new_is_told_once_a_day_until_it_settles() -> None:
    told = settled(learning=DAY, settles=3 * DAY)
    for _ in range(6 * 24):
        told.register(FRANCE, agent=DESK)
        told.wait(3600)
    assert len(found(told)) == 3


def test_an_account_is_only_learned_on_its_first_day_but_nobody_travels_so_fast() -> None:
    told = story()
    told.register(HOME, agent=DESK)
    told.wait(2 * 3600)
    told.register(FRANCE, agent="Linphone/5.2")
    assert found(told) == []
    told.wait(60)
    told.register(ABROAD, agent="Linphone/5.2")
    assert found(told) == [("travel", "")]


def test_an_account_with_two_homes_does_not_travel_between_them() -> None:
    told = story()
    for _ in range(40):
        told.register(HOME, agent=DESK)
        told.wait(3600)
        told.register(FRANCE, agent=DESK)
        told.wait(3600)
    for _ in range(5):
        told.register(HOME, agent=DESK)
        told.register(FRANCE, agent=DESK)
    assert found(told) == []


def test_travel_fires_just_below_its_time_and_not_at_it() -> None:
    for seconds, identifiers in ((3599 - 1, ["travel"]), (3600, ["new"])):
        told = settled(settles=DAY)
        told.register(HOME, agent=DESK)
        told.wait(seconds)
        told.register(ABROAD, agent=DESK)
        assert [identifier for identifier, _ in found(told)][:1] == identifiers


def test_an_account_at_too_many_places_is_found_at_the_fifth() -> None:
    told = story(look=Lookups(lambda _: "", lambda _: 0))
    for network in range(4):
        told.register(f"198.51.{network}.7", agent=DESK)
        told.register(f"198.51.{network}.8", agent=DESK)
    assert found(told) == []
    told.register("198.51.4.7", agent=DESK)
    assert found(told) == [("networks", "")]


def test_places_that_were_left_do_not_count() -> None:
    told = story(look=Lookups(lambda _: "", lambda _: 0))
    for network in range(20):
        told.register(f"198.51.{network}.7", agent=DESK)
        told.register(f"198.51.{network}.7", agent=DESK, expires=0)
    for network in range(20):
        told.register(f"198.51.{network}.7", agent=DESK, expires=60)
        told.wait(30)
    assert found(told) == []


# --- Framing and hiding -----------------------------------------------------------------------------------------------


def test_no_unproven_registration_moves_a_history_but_it_is_told() -> None:
    told = settled()
    for user in ("1001", "1009"):  # the same nonce for two addresses proves neither
        told.challenge(ABROAD, nonce="shared", user=user)
        told.challenge("203.0.113.99", nonce="shared", user=user)
    for _ in range(9 * 24):
        told.register(ABROAD, nonce="shared", agent="MicroSIP/3")
        told.wait(3600)
    doubtful = [each for each in told.findings() if each.detector == "takeover"]
    assert {each.proven for each in doubtful} == {False}
    assert len(doubtful) > 7 * 20  # it never becomes the account's own
    before = len(found(told))
    told.register(HOME, agent=DESK)
    assert len(found(told)) == before


def test_strangers_who_write_a_name_or_guess_leave_no_trace() -> None:
    told = settled()
    for number in range(50):
        told.ask(ABROAD, extra="User-Agent: friendly-scanner")
        told.guess(f"203.0.113.{number + 100}")
    assert found(told) == []
    assert told.engine.counters()["takeover_accounts"] == 1


def test_a_thief_cannot_push_the_owner_out_of_his_history() -> None:
    met = habits.Met()
    for value in ("DE", "FR"):
        met.own(0, value)
    for number in range(1000):
        met.meet(number, f"thief {number}", DAY)
    assert met.owns("DE")
    assert met.owns("FR")
    assert len(met) <= habits.KINDS + 1
    full = habits.Met()
    for number in range(8):
        full.own(0, number)
    full.meet(1, "thief", DAY)
    full.meet(2, "another", DAY)
    assert all(full.owns(number) for number in range(8))
    assert len(full) == 9


def test_another_spelling_of_the_account_is_no_new_account() -> None:
    told = story()
    told.register(HOME, user="bob", agent=DESK)
    told.wait(26 * 3600)
    told.register(HOME, user="bob", agent=DESK)
    told.register("2001:db8:3::1", user="BOB", agent=DESK)
    assert [identifier for identifier, _ in found(told)] == ["travel", "new"]


def test_a_call_of_somebody_who_never_registers_is_seen_when_it_is_answered() -> None:
    told = settled()
    nonce = told.challenge(ABROAD, method="INVITE")
    sent = told.ask(ABROAD, nonce, method="INVITE")
    assert found(told) == []
    told.answer(sent, 200)
    assert found(told) == [("new", "country, system")]


def test_a_call_that_a_pbx_lets_in_for_anybody_frames_nobody() -> None:
    told = settled()
    sent = told.ask(ABROAD, "made-up", method="INVITE")  # no nonce of the PBX's: not proven
    told.answer(sent, 200)
    assert found(told) == []


# --- Consequences, memory ---------------------------------------------------------------------------------------------


def test_quarantine_takes_the_new_place_and_not_the_home() -> None:
    told = settled(then=Consequence.QUARANTINE)
    told.register(ABROAD, agent=DESK)
    quarantined = [str(each.subject) for each in told.decisions() if each.verdict is DecisionVerdict.QUARANTINE]
    assert quarantined == [f"1001@pbx from {ABROAD}"]


def test_after_a_restart_the_places_of_registrations_in_force_are_known() -> None:
    told = settled()
    told.register(HOME, agent=DESK, expires=7 * 24 * 3600)
    trust = [each.what for each in told.actions if isinstance(each, Record) and isinstance(each.what, Trust)]
    again = Story(state=State(trust=trust[-1:]), look=LOOK)
    again.register(HOME, agent=DESK)
    assert found(again) == []
    again.register(ABROAD, agent=DESK)
    assert [identifier for identifier, _ in found(again)] == ["travel", "new"]


def test_its_tables_are_bounded() -> None:
    detector = takeover.Detector(takeover.Config(accounts=100), LOOK)
    hear = detector.handlers[Registered]
    for number in range(1000):
        source = bytes((10, number % 5, number >> 8, number & 255))
        hear(Registered(number, source, Account(str(number), "pbx"), b"", HOUR, b"x", proven=True))
    assert detector.counters()["takeover_accounts"] <= 100
    assert detector.counters()["takeover_accounts_evicted"] >= 900
    for number in range(1000):
        source = bytes((number & 255, number >> 8, 1, 1))
        hear(Registered(SECOND, source, Account("999", "pbx"), b"", HOUR, str(number).encode() * 10, proven=True))
    (history,) = [each for each in detector._accounts.values() if len(each.places) > 5]
    assert len(history.places) <= habits.PLACES
    assert len(history.devices) <= habits.KINDS + 1


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        (b"Yealink SIP-T46S 66.86.0.15", b"yealink"),
        (b"Linphone/3.6.1 (belle-sip/1.4)", b"linphone"),
        (b"MicroSIP/3.21.3", b"microsip"),
        (b"snom320/8.7.5.35", b"snom"),
        (b"PolycomVVX-VVX_410-UA/5.9", b"polycomvvx-vvx"),
        (b"Zoiper rv2.10.1", b"zoiper"),
        (b"3CXPhone 6.0", b"3cxphone"),
        (b"Cisco-CP8841/11.0", b"cisco-cp"),
        (b"1234", b"1234"),
        (b"  ", b""),
        (b"", b""),
        (b"\xff\xfe(", b"\xff\xfe"),
    ],
)
def test_a_kind_of_device_is_its_name_without_its_version(agent: bytes, kind: bytes) -> None:
    assert family(agent) == kind
