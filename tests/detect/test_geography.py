"""Who comes from where, what of it is not wanted, and whom nobody can blame for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipguard.address import Address, show
from sipguard.detect import geography
from sipguard.detect.geography import AccountCountries
from sipguard.event import AuthSucceeded
from sipguard.model import SECOND, Account, Consequence, DecisionVerdict, Lookups, SetName, Transport
from sipguard.policy.schema import Policy
from tests.engine.story import Story

PLACES = {
    "198.51.100.": ("DE", 64500),
    "203.0.113.": ("SO", 64510),
    "192.0.2.": ("FR", 64511),
    "2001:db8:66:": ("SO", 64510),
}
HOME, ABROAD, FRANCE, UNKNOWN = "198.51.100.20", "203.0.113.66", "192.0.2.77", "10.1.2.3"


def place(address: Address) -> tuple[str, int]:
    text = show(address)
    return next((where for start, where in PLACES.items() if text.startswith(start)), ("", 0))


LOOK = Lookups(lambda address: place(address)[0], lambda address: place(address)[1])


def policy(**settings: object) -> Policy:
    detect = replace(Policy().detect, geography=geography.Config(**settings))  # type: ignore[arg-type]
    return replace(Policy(), detect=detect)


def story(**settings: object) -> Story:
    return Story(policy(**settings), look=LOOK)


def found(told: Story) -> list[str]:
    return [str(each.subject) for each in told.findings() if each.detector == "geography"]


def test_nothing_is_found_when_nothing_is_listed() -> None:
    told = story()
    told.guess(ABROAD)
    told.register(ABROAD)
    assert found(told) == []


def test_a_denied_country_is_found_at_its_first_request_and_others_are_not() -> None:
    told = story(deny=("SO",))
    told.challenge(HOME)
    told.challenge(UNKNOWN)
    assert found(told) == []
    told.challenge(ABROAD)
    assert found(told) == [ABROAD]


def test_only_allowed_countries_are_wanted_but_unknown_addresses_are_not_blamed() -> None:
    told = story(allow=("DE",))
    told.challenge(HOME)
    told.challenge(UNKNOWN)
    told.challenge(FRANCE, method="INVITE")
    assert found(told) == [FRANCE]


def test_a_system_stands_above_its_country() -> None:
    told = story(allow=("DE", "FR"), deny=("SO",), allow_systems=(64510,), deny_systems=(64511,))
    told.challenge(ABROAD)
    told.challenge(FRANCE)
    assert found(told) == [FRANCE]


def test_a_port_or_an_address_of_the_same_64_is_not_reported_again_within_an_hour() -> None:
    told = story(deny=("SO",))
    for number in range(20):
        told.challenge(f"2001:db8:66:1::{number + 1}", port=5060 + number)
        told.wait(20)
    assert found(told) == ["2001:db8:66:1::/64"]


def test_other_methods_and_registered_devices_are_left_alone() -> None:
    told = story(deny=("SO",))
    told.challenge(ABROAD, method="OPTIONS")
    assert found(told) == []
    told = story(deny=("SO",), account=(AccountCountries("1001", ("SO",)),))
    told.register(ABROAD)
    before = len(found(told))
    told.wait(3000)
    told.register(ABROAD)
    told.challenge(ABROAD, method="INVITE")
    assert len(found(told)) == before


def test_a_spoofed_sender_is_slowed_down_but_never_banned() -> None:
    told = story(deny=("SO",), then=Consequence.BLOCK)
    for number in range(50):
        told.ask(ABROAD, user=str(number))
    assert told.held() == []
    assert told.held(SetName.THROTTLED) == [ABROAD]


def test_a_proven_one_is_banned_where_the_policy_says_so() -> None:
    told = story(deny=("SO",), then=Consequence.BLOCK)
    told.guess(ABROAD)
    assert told.held() == [ABROAD]


def test_an_account_is_found_outside_its_countries_and_only_there() -> None:
    told = story(account=(AccountCountries("1001", ("DE",)),), then=Consequence.QUARANTINE)
    told.register(HOME)
    told.register(FRANCE, user="1002")
    assert found(told) == []
    told.register(FRANCE)
    assert found(told) == [f"1001@pbx from {FRANCE}"]
    (decision,) = (each for each in told.decisions() if each.because == ("geography",))
    assert decision.verdict is DecisionVerdict.QUARANTINE


def test_a_list_of_an_account_stands_above_the_general_ones() -> None:
    told = story(deny=("SO",), account=(AccountCountries("1001", ("SO",)),))
    told.register(ABROAD)
    assert [each for each in found(told) if " from " in each] == []


@pytest.mark.parametrize(
    ("listed", "used", "same"),
    [
        ("1001", "1001", True),
        ("1001@pbx", "1001", True),
        ("1001@PBX", "1001", True),
        ("1001@elsewhere", "1001", False),
        ("reception", "RECEPTION", True),
        ("Reception", "reception@pbx.example", True),
        ("1001", "10011", False),
        ("1001", "1002@1001", False),
    ],
)
def test_an_account_is_known_under_whatever_name_a_pbx_takes(listed: str, used: str, *, same: bool) -> None:
    detector = geography.Detector(geography.Config(account=(AccountCountries(listed, ("DE",)),)), LOOK)
    account = Account(used, "pbx")
    event = AuthSucceeded(SECOND, b"\xcb\x00\x71\x42", 5060, Transport.UDP, account, "REGISTER", proven=True)
    assert bool(detector.handlers[AuthSucceeded](event)) is same


def test_its_tables_are_bounded_and_one_network_cannot_fill_them() -> None:
    told = story(deny=("SO",), sources=1000)
    for number in range(3000):
        told.ask(f"203.0.113.{number % 256}", user="1001")
        told.ask(f"2001:db8:66:{number:x}::1", user="1001")
    counts = told.engine.counters()
    assert counts["geography_sources"] <= 256 + 125
    assert counts["geography_sources_evicted"] > 0
