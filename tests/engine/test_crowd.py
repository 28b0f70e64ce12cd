"""Addresses that nobody proved to hold, by the thousand: what they may cost, and who may not hide among them."""

from __future__ import annotations

from sipguard.address import show
from sipguard.model import Alert, Finding, SetName
from tests.detect.asking import request
from tests.engine.story import PBX, Story

SCANNER = (("User-Agent: a phone", "User-Agent: friendly-scanner"),)
GUESSER = "203.0.113.66"


def forged(story: Story, count: int, first: int = 1 << 16) -> None:
    """Let as many addresses send one datagram each that only a scanner sends, a thousand a second."""
    for number in range(first, first + count):
        source = show((number * 256).to_bytes(4))
        story.inbound(source, 5062, request(number, source=source, change=SCANNER))
        story.wait(0.001)


def findings(story: Story) -> int:
    return sum(isinstance(finding, Finding) for finding in story.findings())


def test_forged_addresses_beyond_what_can_be_real_are_counted_and_not_told_one_by_one() -> None:
    story = Story()
    forged(story, 5000)
    counts = story.engine.counters()
    assert counts["held_throttled"] == findings(story) < 2000
    assert counts["passed_over"] == 5000 - findings(story)
    crowds = [each for each in story.actions if isinstance(each, Alert) and each.kind == "unproven-crowd"]
    assert len(crowds) == 1


def test_a_crowd_has_a_most_however_slowly_it_comes() -> None:
    story = Story()
    for second in range(130):
        forged(story, 100, (1 << 16) + 100 * second)
        story.wait(0.95)
    assert story.engine.counters()["held_throttled"] <= 10_000


def test_nobody_who_proves_his_address_hides_in_the_crowd() -> None:
    story = Story()
    forged(story, 3000)
    for _ in range(5):
        story.guess(GUESSER)
    assert story.held(SetName.BLOCKED) == [GUESSER]


def test_after_the_crowd_has_gone_a_scanner_is_told_again() -> None:
    story = Story()
    forged(story, 3000)
    before = findings(story)
    story.wait(60)
    forged(story, 1, 9 << 16)
    assert findings(story) == before + 1
    assert PBX not in story.held(SetName.THROTTLED)
