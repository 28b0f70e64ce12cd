"""A flood is what is more than the devices behind an address can have to say."""

from __future__ import annotations

from sipguard.address import parse_network
from sipguard.model import Account, SetName, State, Trust
from sipguard.policy.schema import Trunk
from tests.detect.only import invite, kinds, last, only
from tests.engine.story import PBX, Story

STRANGER = "203.0.113.66"
OFFICE = "198.51.100.20"


def burst(story: Story, count: int, source: str = STRANGER, method: str = "OPTIONS") -> None:
    for _ in range(count):
        story.ask(source, method=method)


def test_the_budget_may_be_spent_at_once_and_not_one_more() -> None:
    story = only("flood", base=50)
    burst(story, 50)
    assert kinds(story) == []
    burst(story, 1)
    assert kinds(story) == [("OPTIONS", False)]
    assert story.held(SetName.THROTTLED) == [STRANGER]


def test_copies_count() -> None:
    story = only("flood", base=50)
    first = story.ask(STRANGER)
    for _ in range(50):
        story.ask(STRANGER, again=first)
    assert kinds(story) == [("REGISTER", False)]


def test_what_is_spread_over_methods_may_be_twice_as_much_and_no_more() -> None:
    story = only("flood", base=50)
    for method in ("OPTIONS", "REGISTER", "NOTIFY", "REFER"):
        burst(story, 25, method=method)
    assert kinds(story) == []
    burst(story, 2, method="INFO")  # in a tenth of a second, half a request's worth has come back
    assert kinds(story) == [("all", False)]


def test_invented_methods_share_one_budget() -> None:
    story = only("flood", base=50)
    for number in range(51):
        burst(story, 1, method=f"FLOOD{number}")
    assert kinds(story) == [("other", False)]


def test_bytes_that_are_no_message_count() -> None:
    story = only("flood", base=50)
    for number in range(51):
        story.inbound(STRANGER, 5060, b"%d nonsense, and more of it, for it must not be too short\r\n\r\n" % number)
    assert kinds(story) == [("unreadable", False)]


def test_keep_alives_count_of_strangers_and_not_of_registered_devices() -> None:
    story = only("flood", base=50)
    story.register(OFFICE)
    for _ in range(200):
        story.inbound(OFFICE, 5060, b"\r\n\r\n")
    assert kinds(story) == []
    for _ in range(51):
        story.inbound(STRANGER, 5060, b"\r\n\r\n")
    assert kinds(story) == [("unreadable", False)]


def test_the_budget_comes_back_evenly() -> None:
    story = only("flood", base=50)
    for _ in range(1000):
        burst(story, 1)
        story.wait(0.2)
    assert kinds(story) == []


def test_each_device_adds_to_the_budget_and_goes_on_counting_after_its_registration_has_run_out() -> None:
    story = only("flood", base=10, device=10)
    for number in range(9):
        story.register(OFFICE, user=str(2000 + number), expires=60)
        story.wait(3)
    story.wait(3600)
    assert story.held(SetName.TRUSTED) == []
    burst(story, 100, OFFICE)
    assert kinds(story) == []
    burst(story, 2, OFFICE)  # in a tenth of a second, one request's worth has come back
    assert dict(last(story).evidence)["devices"] == 9


def test_what_was_spent_before_a_device_was_known_is_no_more_of_the_budget_with_it() -> None:
    story = only("flood", base=50, device=50)
    burst(story, 49, OFFICE, "REGISTER")
    story.register(OFFICE)
    burst(story, 49, OFFICE, "REGISTER")  # with the one that was shown, 99 of 100
    assert kinds(story) == []
    burst(story, 4, OFFICE, "REGISTER")
    assert kinds(story) == [("REGISTER", False)]


def test_a_device_that_was_not_seen_for_a_week_counts_no_more() -> None:
    story = only("flood", base=10, device=100)
    story.register(OFFICE, user="2000", expires=60)
    story.wait(8 * 86_400)
    story.register(OFFICE, user="2001", expires=60)
    story.wait(120)
    burst(story, 112, OFFICE)
    assert dict(last(story).evidence)["budget"] == 110


def test_devices_are_known_again_after_a_restart() -> None:
    story = only("flood", base=10, device=10)
    place = parse_network(OFFICE)
    trust = [Trust(place, Account(str(number), "pbx"), 10**15) for number in range(9)]
    story = Story(story.engine._policy, State(trust=trust))
    burst(story, 100, OFFICE)
    assert kinds(story) == []


def test_three_hundred_phones_behind_an_unknown_address_may_register_within_20_seconds() -> None:
    story = only("flood")
    for number in range(300):
        story.register(OFFICE, user=str(2000 + number))
        story.wait(0.06)
    assert kinds(story) == []


def test_a_registered_office_is_reported_and_a_trunk_is_not_looked_at() -> None:
    story = only("flood", (Trunk("Carrier", (parse_network("198.51.100.0/28"),)),), base=10, device=1)
    story.register(OFFICE)
    story.wait(10)
    burst(story, 30, OFFICE)
    for _ in range(100):
        invite(story, "198.51.100.2")
    assert {str(each.subject) for each in story.findings()} == {OFFICE}
    assert story.held(SetName.THROTTLED) == []


def test_forged_requests_use_up_no_budget_of_what_shows_itself() -> None:
    story = only("flood", base=50)
    nonce = story.challenge(OFFICE)
    burst(story, 45, OFFICE, "REGISTER")
    for _ in range(50):
        story.ask(OFFICE, nonce)
    assert kinds(story) == []
    story.ask(OFFICE, nonce)
    assert kinds(story) == [("REGISTER", True)]


def test_spoofed_sources_do_not_push_out_what_is_known_of_offices() -> None:
    story = only("flood", base=10, device=10, sources=1000)
    for number in range(9):
        story.register(OFFICE, user=str(2000 + number), expires=60)
    story.wait(61)
    for number in range(5000):
        story.ask(f"192.{number >> 8}.{number & 255}.9", method="OPTIONS")
    assert story.engine.counters()["flood_sources"] == 1000
    burst(story, 100, OFFICE)
    assert kinds(story) == []


def test_the_devices_that_count_are_capped() -> None:
    story = only("flood", base=10, device=1, devices=5)
    for number in range(8):
        story.register(OFFICE, user=str(2000 + number), expires=60)
        story.wait(10)
    story.wait(61)
    burst(story, 16, OFFICE)
    assert dict(last(story).evidence)["budget"] == 15


def test_the_address_of_the_pbx_in_a_request_matters_not() -> None:
    story = only("flood", base=10)
    for number in range(11):
        story.ask(STRANGER, method="OPTIONS", uri=f"sip:{number}@{PBX}", port=1024 + number)
    assert kinds(story) == [("OPTIONS", False)]
