"""What the guard says when it is asked why: true, bounded, without effect, and without a secret in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.decide.ladder import Config as Ladder
from sipguard.detect import catalogue
from sipguard.detect.credentials import Config as Credentials
from sipguard.model import HOUR, MINUTE, Clock, Names, Order, OrderVerb, Role, SetName
from sipguard.policy.schema import Policy, Site
from tests.engine.story import START, Story

BAD = "203.0.113.9"
PHONE = "198.51.100.7"
SECRET = "f00dfeedf00dfeedf00dfeedf00dfeed"


def why(story: Story, subject: str) -> dict[str, Any]:
    """Ask as the command does: an address or a network, or else the name of an account."""
    try:
        found: Network | str = parse_network(subject)
    except ValueError:
        found = subject
    told = story.engine.why(found)
    return dict(json.loads(json.dumps(told)))


def counter(told: dict[str, Any], detector: str, option: str) -> tuple[int, int]:
    (found,) = (each for each in told["counters"] if (each["detector"], each["option"]) == (detector, option))
    return found["now"], found["limit"]


def test_of_nobody_there_is_nothing_to_say() -> None:
    told = why(Story(), BAD)
    assert (told["kind"], told["subject"], told["proven"], told["spared"]) == ("address", BAD, False, "")
    assert not told["in_force"] + told["counters"] + told["messages"] + told["registrations"]
    assert told["ladder"] == {"offences": 0, "until": 0, "next_seconds": 3600}


def test_counters_stand_beside_their_limits_before_anything_is_decided() -> None:
    story = Story()
    for _ in range(3):
        story.guess(BAD)
    told = why(story, BAD)
    assert counter(told, "credentials", "failures") == (3, 5)
    assert counter(told, "credentials", "slow_failures") == (3, 30)
    assert counter(told, "networks", "failures") == (3, 20)
    assert told["proven"]
    assert [each["what"] for each in told["in_force"]] == ["watch"]


def test_counters_follow_time_without_a_packet() -> None:
    story = Story()
    story.guess(BAD)
    story.wait(HOUR // 10**9)
    assert counter(why(story, BAD), "credentials", "slow_failures") == (1, 30)
    assert not [each for each in why(story, BAD)["counters"] if each["option"] == "failures"]


def test_every_option_that_is_counted_is_one_of_the_policy() -> None:
    config = catalogue.Config()
    made = catalogue.Detectors()
    made.adopt(config)
    for detector in made.all:
        name = type(detector).__module__.rpartition(".")[2]
        assert hasattr(config, name)
    story = Story()
    for number in range(30):
        story.guess(BAD, user=f"10{number}", port=6000 + number)
        story.ask(BAD, method="INVITE", uri=f"sip:00{number}442037690000@192.0.2.10")
    for each in why(story, BAD)["counters"]:
        assert hasattr(getattr(config, each["detector"]), each["option"])


def test_a_ban_is_told_with_its_end_and_what_the_next_one_would_cost() -> None:
    story = Story(Policy(ban=Ladder(first=HOUR, factor=4)))
    for _ in range(5):
        story.guess(BAD)
    told = why(story, BAD)
    (ban,) = (each for each in told["in_force"] if each["what"] == "block")
    assert ban["subject"] == BAD
    assert ban["until"] == pytest.approx(story.now / 10**9 + 3600, abs=1)
    assert (told["ladder"]["offences"], told["ladder"]["next_seconds"]) == (1, 4 * 3600)


def test_a_ban_of_the_whole_network_is_told_to_whoever_asks_about_one_of_it() -> None:
    story = Story()
    story.tell(Order(OrderVerb.BAN, parse_network("203.0.113.0/24")))
    assert [each["subject"] for each in why(story, BAD)["in_force"]] == ["203.0.113.0/24"]
    assert [each["subject"] for each in why(story, "203.0.113.0/25")["in_force"]] == ["203.0.113.0/24"]
    assert not why(story, "203.0.114.1")["in_force"]


def test_any_address_of_a_64_is_the_same_sender() -> None:
    story = Story()
    for number in range(5):
        story.guess(f"2001:db8:1:2::{number:x}")
    for asked in ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"):
        told = why(story, asked)
        assert (told["subject"], told["in_force"][0]["what"]) == ("2001:db8:1:2::/64", "block")
        assert told["messages"]


def test_the_messages_that_led_to_a_ban_are_shown_without_their_secrets() -> None:
    story = Story()
    for number in range(5):
        nonce = story.challenge(BAD, f"{SECRET}{number}")
        story.answer(story.ask(BAD, nonce, response=SECRET), 401, nonce=SECRET)
    for _ in range(20):
        story.ask(BAD)  # it is banned: what comes now is not read
    told = why(story, BAD)["messages"]
    assert SECRET not in json.dumps(told)
    assert [each["from"] for each in told[-2:]] == [BAD, "pbx"]
    assert any('username="1001"' in line for line in told[-2]["lines"])
    assert told[-1]["lines"][0] == "SIP/2.0 401 Whatever"


def test_a_trusted_phone_is_told_with_its_account_and_nothing_that_it_said() -> None:
    story = Story()
    story.register(PHONE, user="1001")
    story.register(PHONE, user="1002")
    story.ask(PHONE)
    told = why(story, PHONE)
    assert [each["what"] for each in told["in_force"]] == ["trust"]
    assert [each["account"] for each in told["registrations"]] == ["1001@pbx", "1002@pbx"]
    assert len(told["messages"]) <= 6
    for subject in ("1001", "1001@pbx", "1001@PBX"):
        account = why(story, subject)
        assert (account["kind"], account["accounts"]) == ("account", ["1001@pbx"])
        assert account["registrations"][0]["network"] == PHONE
    assert not why(story, "1001@elsewhere")["accounts"]


def test_a_device_is_listened_to_after_it_has_failed() -> None:
    story = Story()
    story.register(PHONE)
    story.wait(60)
    before = len(why(story, PHONE)["messages"])
    story.ask(PHONE)
    assert len(why(story, PHONE)["messages"]) == before
    story.guess(PHONE, user="1002")
    assert "SIP/2.0 401 Whatever" in [each["lines"][0] for each in why(story, PHONE)["messages"]]


def test_who_is_exempt_is_told_by_which_list() -> None:
    home = parse_network("192.0.2.128/25")
    story = Story(Policy(allowed=(home,), sites=(Site("Lyon", (parse_network("203.0.113.0/24"),)),)))
    told = why(story, BAD)
    assert told["spared"] == "allowed"
    assert told["lists"] == [{"role": "allowed", "name": "site Lyon"}]
    assert why(story, "192.0.2.200")["lists"] == [{"role": "allowed", "name": "policy"}]
    assert why(story, "192.0.2.10")["spared"] == "own"
    assert why(story, "127.0.0.1")["spared"] == "reserved"


def test_a_quarantine_is_told_to_whoever_asks_about_the_place_or_the_account() -> None:
    story = Story()
    for user in ("1001", "1002", "1003"):
        story.register(PHONE, user=user)
    for _ in range(5):
        story.guess(PHONE, user="1009")
    pair = f"1009@pbx from {PHONE}"
    for subject in (PHONE, "1009"):
        assert (pair, "quarantine") in [(each["subject"], each["what"]) for each in why(story, subject)["in_force"]]
    assert not why(story, "1001")["in_force"]


def test_an_account_under_attack_is_told_with_its_counters_and_its_shield() -> None:
    story = Story()
    for number in range(30):
        story.guess(f"203.0.{number}.9", user="1001")
    told = why(story, "1001")
    assert counter(told, "accounts", "failures") == (30, 20)
    assert [each["what"] for each in told["in_force"]] == ["shield"]


def test_asking_has_no_effect() -> None:
    asked, silent = Story(), Story()
    for story in (asked, silent):
        for number in range(40):
            story.guess(BAD, user=f"10{number % 3}")
            story.guess(f"203.0.113.{number}", user="1001")
            story.ask(PHONE, method="INVITE", uri=f"sip:{number}@192.0.2.10")
            if story is asked:
                for subject in (BAD, "1001", "203.0.113.0/24", PHONE, "::1"):
                    why(story, subject)
    assert asked.actions == silent.actions
    assert asked.engine.counters() == silent.engine.counters()


def test_times_are_the_wall_clocks_where_it_is_known() -> None:
    story = Story()
    story.tell(Clock(1_700_000_000 * 10**9 - START))
    assert why(story, BAD)["at"] == pytest.approx(1_700_000_000, abs=1)


def test_a_network_names_how_many_of_it_were_heard_and_shows_the_latest() -> None:
    story = Story()
    for number in range(1, 40):
        story.ask(f"203.0.113.{number}")
    told = why(story, "203.0.113.0/24")
    assert (told["kind"], told["senders"], len(told["messages"])) == ("network", 39, 20)
    assert told["messages"][-1]["from"] == "203.0.113.39"
    assert why(story, "198.51.100.0/24")["senders"] == 0


def test_strangers_who_prove_nothing_do_not_push_out_what_led_to_a_ban() -> None:
    story = Story()
    for _ in range(5):
        story.guess(BAD)
    for number in range(2600):
        story.ask(f"10.{number >> 8}.{number & 255}.1")
    assert story.engine.counters()["journal_sources"] <= 2000
    assert story.engine.counters()["journal_sources_evicted"] >= 500
    assert why(story, BAD)["messages"]


def test_one_network_has_no_more_than_its_share_of_the_journal() -> None:
    story = Story()
    story.ask(PHONE)
    for number in range(600):
        story.ask(f"2001:db8:0:{number:x}::1")
    assert why(story, "2001:db8::/48")["senders"] <= 250
    assert why(story, PHONE)["messages"]


def test_a_policy_that_changes_the_detectors_leaves_the_messages() -> None:
    story = Story()
    story.guess(BAD)
    story.tell(Policy(detect=catalogue.Config(credentials=Credentials(failures=9))))
    assert why(story, BAD)["messages"]


hostile = st.text(max_size=40)


@settings(max_examples=30)
@given(st.lists(hostile, min_size=1, max_size=5))
def test_whatever_is_asked_is_answered(names: list[str]) -> None:
    story = Story()
    for name in names:
        user = name.encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "").replace('"', "")
        story.guess(BAD, user=user)
        told = json.dumps(story.engine.why(name))
        assert len(told) < 200_000
        story.engine.why(user)
    story.engine.why(parse_network(BAD))
    story.engine.why(parse_network("0.0.0.0/0"))
    story.engine.why(parse_network("::/0"))


def test_an_address_that_becomes_our_own_is_said_to_be() -> None:
    story = Story()
    for _ in range(5):
        story.guess(BAD)
    assert story.held(SetName.BLOCKED) == [BAD]
    story.tell(Names(Role.OWN, "host", (parse_network(BAD),)))
    told = why(story, BAD)
    assert told["spared"] == "own"
    assert "block" not in [each["what"] for each in told["in_force"]]
    assert told["ladder"]["next_seconds"] * 10**9 > MINUTE


def test_answers_to_what_is_not_read_push_out_nothing() -> None:
    story = Story()
    for _ in range(12):
        story.guess(BAD)  # banned by the fifth; while the guard observes, the PBX goes on answering
    told = why(story, BAD)["messages"]
    assert [each["from"] for each in told] == [BAD, "pbx"] * 3
    assert told[-2]["at"] < story.now / 10**9 - 0.01
