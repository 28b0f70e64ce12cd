"""What a detector says of its counts is what it goes by: one below the limit before the finding, and none too many."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipguard.address import parse_address, parse_network
from sipguard.model import SECOND, Flow
from sipguard.policy.schema import Trunk
from tests.detect.asking import request
from tests.detect.only import invite, only
from tests.engine.story import PBX, Story

BAD = "203.0.113.66"


def guess(story: Story, number: int) -> None:
    story.guess(BAD, user=f"{1000 + number}", port=6000 + number)


def guess_from_many(story: Story, number: int) -> None:
    story.guess(f"203.0.113.{number % 10}", user="1001")


def refused(story: Story, number: int) -> None:
    story.answer(story.ask(BAD, user=f"{1000 + number}"), 404)


def call(story: Story, number: int) -> None:
    invite(story, BAD, f"{200 + number}")


def write(story: Story, number: int) -> None:
    story.ask(BAD, method="MESSAGE", uri=f"sip:{100 + number}@{PBX}")


def dial(story: Story, number: int) -> None:
    invite(story, BAD, f"{number + 1}0044203769{1234:04}")


def ask_again(story: Story, number: int) -> None:
    story.ask(BAD, method="OPTIONS")


def knock(story: Story, number: int) -> None:
    story.answer(story.ask(BAD, method="OPTIONS", uri=f"sip:{300 + number}@{PBX}"), 404)


def handshake(story: Story, number: int) -> None:
    for opened in (True, False):
        story.now += SECOND // 100
        story.tell(Flow(parse_address(BAD), 7000 + number, opened=opened, received=0 if opened else 500))


def spoil(story: Story, number: int) -> None:
    story.inbound(BAD, 5062, request(number, change=(("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),)))


ONE_BY_ONE: list[tuple[str, str, Callable[[Story, int], None], int]] = [
    # detector, option, what is done each time, and how much of the limit that is
    ("credentials", "failures", guess, 1),
    ("networks", "failures", guess_from_many, 1),
    ("enumeration", "accounts", refused, 1),
    ("ghostcall", "attempts", call, 1),
    ("spam", "recipients", write, 1),
    ("dialplan", "heads", dial, 1),
    ("sweep", "users", knock, 1),
    ("tlsprobe", "handshakes", handshake, 1),
    ("flood", "base", ask_again, 1),
    ("malformed", "points", spoil, 4),
]


def count(story: Story, option: str, subject: str = BAD) -> tuple[int, int]:
    asked = parse_network(subject) if "." in subject else subject
    found = [each for each in story.engine.why(asked)["counters"] if each["option"] == option]
    return (found[0]["now"], found[0]["limit"]) if found else (0, 0)


@pytest.mark.parametrize(("name", "option", "do", "each"), ONE_BY_ONE, ids=[row[0] for row in ONE_BY_ONE])
def test_the_count_climbs_to_the_limit_and_then_it_is_found(
    name: str, option: str, do: Callable[[Story, int], None], each: int
) -> None:
    story = only(name)
    do(story, 0)
    _, limit = count(story, option)
    assert limit
    done = 1
    while not story.findings():
        assert done * each - 2 <= count(story, option)[0] <= min(done * each, limit)  # a budget comes back with time
        assert done * each <= 1000
        do(story, done)
        done += 1
    assert limit <= done * each <= limit + max(each, 2)


def test_guesses_at_an_account_are_counted_by_its_name() -> None:
    story = only("accounts")
    for number in range(19):
        story.guess(f"203.0.{number}.9", user="1001")
    for name in ("1001", "1001@pbx", "1001@PBX"):
        assert count(story, "failures", name) == (19, 20)
        assert count(story, "slow_failures", name) == (19, 60)
    assert count(story, "failures", "100") == (0, 0)


def test_networks_of_an_account_are_counted_by_its_name() -> None:
    story = only("takeover")
    for number in (1, 2, 3):
        story.register(f"198.51.{number}.7")
    assert count(story, "networks", "1001") == (3, 5)


def test_failures_of_several_sources_are_counted_for_a_password_found() -> None:
    story = only("passwordfound")
    for number in range(7):
        story.guess(f"203.0.{number}.9", user="1001")
    assert count(story, "spread", "1001") == (7, 20)


def test_calls_are_counted_by_trunk_and_by_number() -> None:
    carrier = "198.51.100.1"
    story = only("tdos", trunks=(Trunk("carrier", (parse_network(carrier),)),))
    for _ in range(30):
        invite(story, carrier, "5551234")
    assert count(story, "trunk_calls", carrier) == (30, 300)
    assert count(story, "number_calls", "5551234") == (30, 60)
    story.wait(61)
    assert count(story, "number_calls", "5551234") == (0, 0)
