"""One account guessed at from many sources is found, and its owner is not the one who suffers."""

from __future__ import annotations

from sipguard.detect import accounts, catalogue
from sipguard.model import DecisionVerdict, Finding
from sipguard.policy.schema import Policy
from tests.engine.story import Story

OWNER = "198.51.100.20"


def found(story: Story) -> list[Finding]:
    return [each for each in story.findings() if each.detector == "accounts"]


def strangers(count: int, network: int = 0) -> list[str]:
    """Give addresses of as many /24 networks."""
    return [f"100.{64 + network + number // 250}.{number % 250}.9" for number in range(count)]


def test_the_twentieth_failure_of_several_sources_shields_the_account_and_the_nineteenth_does_not() -> None:
    story = Story()
    for source in strangers(19):
        story.guess(source)
    assert found(story) == []
    story.guess("203.0.113.66")
    (finding,) = found(story)
    assert str(finding.subject) == "1001@pbx"
    assert (finding.identifier, finding.proven) == ("fast", True)
    assert dict(finding.evidence)["sources"] == 20
    assert [each.verdict for each in story.decisions()] == [DecisionVerdict.SHIELD]
    assert story.held() == []


def test_two_hundred_sources_with_one_guess_an_hour_each_are_found_within_the_slow_window() -> None:
    story = Story()
    for source in strangers(200):
        story.guess(source)
        story.wait(18)  # a second round would begin after an hour
    assert found(story)[0].identifier == "fast"  # all on one account, it is no slow attack at all
    slow = Story()
    for source in strangers(60):
        slow.guess(source)
        slow.wait(20 * 60)
    assert [each.identifier for each in found(slow)] == ["slow"]


def test_what_is_below_both_windows_is_not_found() -> None:
    story = Story()
    for source in strangers(100):
        story.guess(source)
        story.wait(25 * 60)
    assert found(story) == []


def test_two_sources_are_no_crowd_however_much_they_fail() -> None:
    story = Story(Policy(detect=catalogue.Config(accounts=accounts.Config(sources=3))))
    for _ in range(40):
        for source in strangers(2):
            story.answer(story.ask(source, "made-up"), 401, nonce="n")
    assert found(story) == []


def test_one_busy_source_and_two_that_failed_once_are_no_crowd() -> None:
    story = Story()
    for source in strangers(2):
        story.guess(source)
    for _ in range(60):
        story.answer(story.ask("203.0.113.66", "made-up"), 401, nonce="n")
    assert found(story) == []


def test_the_owner_s_own_failures_before_a_success_count_for_nothing() -> None:
    story = Story()
    for place in (OWNER, "198.51.100.21", "198.51.100.22"):
        for _ in range(4):
            story.guess(place)
        story.register(place)
    for source in strangers(18):
        story.guess(source)
    assert found(story) == []


def test_an_owner_who_is_registered_adds_nothing_to_an_attack() -> None:
    story = Story()
    for place in (OWNER, "198.51.100.21", "198.51.100.22"):
        story.register(place)
        for _ in range(10):
            story.answer(story.ask(place, "of-before-a-restart"), 401, nonce="n")
    assert found(story) == []


def test_stale_never_counts() -> None:
    story = Story()
    for source in strangers(60):
        nonce = story.challenge(source)
        story.answer(story.ask(source, nonce), 401, nonce="fresh", stale=True)
    assert found(story) == []


def test_an_attack_that_goes_on_is_told_again_but_not_with_every_guess() -> None:
    story = Story()
    for source in strangers(200):
        story.guess(source)
        story.wait(15)
    assert len(found(story)) == 2  # 50 minutes; a shield of an hour is put up anew when half of it is over


def test_forged_failures_make_a_finding_that_says_so() -> None:
    story = Story()
    for source in strangers(20):
        story.answer(story.ask(source, "made-up"), 401, nonce="n")
    (finding,) = found(story)
    assert not finding.proven
    assert story.held() == []


def test_a_flood_of_invented_accounts_leaves_one_that_is_real_in_its_place() -> None:
    story = Story(Policy(detect=catalogue.Config(accounts=accounts.Config(accounts=100))))
    for source in strangers(19):
        story.guess(source)
    story.register(OWNER)
    for number, source in enumerate(strangers(300, network=10)):
        story.answer(story.ask(source, "made-up", user=f"x{number}"), 401, nonce="n")
    assert story.engine.counters()["accounts_attacked"] <= 100
    assert story.engine.counters()["accounts_attacked_evicted"] > 0
    story.guess("203.0.113.66")
    assert [str(each.subject) for each in found(story)] == ["1001@pbx"]


def test_one_network_cannot_fill_the_memory() -> None:
    story = Story(Policy(detect=catalogue.Config(accounts=accounts.Config(accounts=800))))
    for number in range(400):
        story.answer(story.ask(f"203.0.113.{number % 250}", "made-up", user=f"x{number}"), 401, nonce="n")
    assert story.engine.counters()["accounts_attacked"] == 100
