"""Lists of addresses that others keep: what they ban, whom they never ban, and what is left when they change."""

from __future__ import annotations

from sipguard.address import Network, parse_network
from sipguard.decide import feeds
from sipguard.model import (
    DAY,
    HOUR,
    SECOND,
    Alert,
    Decision,
    DecisionVerdict,
    Feed,
    Held,
    Hold,
    Instant,
    Names,
    Order,
    OrderVerb,
    Release,
    Role,
    SetName,
    State,
)
from sipguard.policy.schema import Policy
from tests.engine.story import PBX, Story

BAD = "45.95.1.7"
OTHER = "45.95.1.8"
PHONE = "198.51.100.20"


def feed(*networks: str, block: bool = True, name: str = "bad") -> Feed:
    return Feed(name, tuple(parse_network(each) for each in networks), block)


def said(story: Story, what: Feed) -> None:
    """Say a list, and let all of it be worked through."""
    story.tell(what)
    for _ in range(2000):
        if story.engine.next_deadline() is None or not busy(story):
            break
        story.wait(0.05)


def busy(story: Story) -> bool:
    return story.engine._feeds.next_deadline() is not None


def alerts(story: Story, kind: str) -> list[Alert]:
    return [each for each in story.actions if isinstance(each, Alert) and each.kind == kind]


def released(story: Story) -> list[str]:
    return [str(each.held.network) for each in story.actions if isinstance(each, Release)]


def test_a_list_that_blocks_is_held_and_says_whose_it_is() -> None:
    story = Story()
    said(story, feed(BAD, "45.96.0.0/20", "2001:db8:66::/64"))
    assert story.held() == [BAD, "45.96.0.0/20", "2001:db8:66::/64"]
    held = [each for each in story.actions if isinstance(each, Hold)]
    assert {each.because for each in held} == {("feed", "bad")}
    assert not story.decisions()


def test_a_list_that_is_watched_bans_nobody_and_reports_each_sender_once() -> None:
    story = Story()
    said(story, feed(BAD, "45.96.0.0/20", block=False))
    for source in (BAD, BAD, "45.96.3.9"):
        story.ask(source, method="OPTIONS")
    assert story.held() == []
    assert [str(each.subject) for each in story.findings() if each.detector == "feed"] == [BAD, "45.96.3.9"]
    decision = next(each for each in story.decisions() if "feed" in each.because)
    assert (decision.verdict, decision.because) == (DecisionVerdict.REPORT, ("feed", "bad"))
    assert story.engine.counters()["feed hits bad"] == 3
    story.wait(DAY / SECOND + 1)
    story.ask(BAD, method="OPTIONS")
    assert len([each for each in story.findings() if each.detector == "feed"]) == 3


def test_own_allowed_reserved_and_trunk_addresses_are_never_held_wherever_in_a_network_they_lie() -> None:
    story = Story(Policy(allowed=(parse_network("45.97.4.0/24"),)))
    story.tell(Names(Role.TRUNK, "carrier", (parse_network("45.98.1.1"),)))
    said(story, feed(PBX, "192.0.0.0/16", "45.97.0.0/16", "45.98.1.1", "127.0.0.1", "224.0.0.5", BAD))
    assert story.held() == [BAD]
    assert story.ordered() == [BAD]
    assert story.engine.counters()["feed spared bad"] == 6


def test_who_becomes_allowed_is_let_go_and_banned_again_when_he_is_no_longer() -> None:
    story = Story()
    said(story, feed(BAD))
    story.tell(Names(Role.ALLOWED, "site", (parse_network(BAD),)))
    assert story.held() == []
    said(story, feed(BAD))
    assert story.held() == []
    story.tell(Names(Role.ALLOWED, "site", ()))
    said(story, feed(BAD))
    assert story.held() == [BAD]


def test_a_network_with_a_registered_device_is_told_of_and_not_held() -> None:
    story = Story()
    story.register(PHONE)
    said(story, feed(PHONE, "198.51.100.0/24", BAD))
    assert story.held() == [BAD]
    assert [each.subject for each in alerts(story, "feed-overlap")] == [PHONE, "198.51.100.0/24"]
    assert story.engine.counters()["feed overlap bad"] == 2
    said(story, feed(PHONE, "198.51.100.0/24", BAD))
    assert len(alerts(story, "feed-overlap")) == 2


def test_a_device_that_registers_from_an_address_on_a_watched_list_is_told_of() -> None:
    story = Story()
    said(story, feed(PHONE, block=False))
    story.register(PHONE)
    story.ask(PHONE, method="OPTIONS")
    story.ask(PHONE, method="OPTIONS")
    assert [each.subject for each in alerts(story, "feed-overlap")] == [PHONE]


def test_only_differences_reach_the_kernel() -> None:
    story = Story()
    said(story, feed(BAD, OTHER))
    done = len(story.actions)
    said(story, feed(BAD, OTHER))
    assert len(story.actions) == done
    said(story, feed(OTHER, "45.95.1.9"))
    assert story.held() == [OTHER, "45.95.1.9"]
    assert released(story) == [BAD]


def test_a_list_that_is_gone_or_only_watched_from_now_on_lets_all_go() -> None:
    for last in (feed(), feed(BAD, OTHER, block=False)):
        story = Story()
        said(story, feed(BAD, OTHER))
        said(story, last)
        assert story.held() == []


def test_two_lists_with_the_same_address_hold_it_until_both_have_let_go() -> None:
    story = Story()
    said(story, feed(BAD, name="one"))
    said(story, feed(BAD, name="two"))
    said(story, feed(OTHER, name="one"))
    assert story.held() == [BAD, OTHER]
    assert released(story) == []
    said(story, feed(OTHER, name="two"))
    assert story.held() == [OTHER]


def test_a_ban_by_anybody_else_is_left_to_him() -> None:
    story = Story()
    story.tell(Order(OrderVerb.BAN, parse_network(BAD), 10 * DAY))
    said(story, feed(BAD))
    said(story, feed(OTHER))
    assert story.held() == [BAD, OTHER]


def test_what_the_operator_bans_for_longer_outlives_the_list() -> None:
    story = Story()
    said(story, feed(BAD))
    story.tell(Order(OrderVerb.BAN, parse_network(BAD), 10 * DAY))
    said(story, feed(OTHER))
    assert BAD in story.held()


def test_what_the_operator_unbans_stays_unbanned_while_it_is_on_the_list() -> None:
    story = Story()
    said(story, feed(BAD, OTHER))
    story.tell(Order(OrderVerb.UNBAN, parse_network(BAD)))
    said(story, feed(BAD, OTHER))
    assert story.held() == [OTHER]


def test_elements_end_two_days_after_the_list_was_last_said_and_are_renewed_when_it_is() -> None:
    story = Story()
    said(story, feed(BAD))
    begun = story.now
    story.wait(DAY / SECOND + 10)
    said(story, feed(BAD))
    until = [each.until for each in story.engine.wanted()]
    assert until[0] > begun + feeds.HOLD
    story.wait(feeds.HOLD / SECOND + 10)
    assert story.held() == []
    said(story, feed(BAD))
    assert story.held() == [BAD]


def test_a_long_list_is_put_in_force_step_by_step_and_packets_are_read_between() -> None:
    story = Story()
    networks = tuple(Network(bytes([45, 1, *number.to_bytes(2)]), 32) for number in range(5 * feeds.STEP))
    story.tell(Feed("long", networks, block=True))
    assert len(story.held()) <= feeds.STEP
    story.ask("203.0.113.5", method="OPTIONS")
    assert len(story.held()) <= feeds.STEP
    said(story, Feed("long", networks, block=True))
    assert len(story.held()) == len(networks)


def test_lists_are_bounded_in_number_and_together_in_length() -> None:
    story = Story()
    for number in range(feeds.LISTS + 5):
        story.tell(feed(BAD, name=f"list {number}"))
    counters = story.engine.counters()
    assert sum(name.startswith("feed entries") for name in counters) == feeds.LISTS
    networks = tuple(Network(bytes([45, *number.to_bytes(3)]), 32) for number in range(feeds.MOST + 10))
    story.tell(Feed("list 0", networks, block=False))
    counters = story.engine.counters()
    assert counters["feed entries list 0"] == feeds.MOST - feeds.LISTS + 1
    assert counters["feeds_left_out"] == 10 + feeds.LISTS - 1


def restarted(what: Feed, adopted: Held) -> Story:
    return Story(state=State(adopted=[adopted], feeds=[what]))


def test_after_a_restart_what_the_kernel_holds_for_a_list_is_the_lists_and_no_ban() -> None:
    end: Instant = 2_000_000 * SECOND
    story = restarted(feed(BAD, "45.96.0.0/20"), Held(SetName.BLOCKED, parse_network("45.96.8.0/21"), end))
    assert story.held() == [BAD, "45.96.0.0/20"]
    assert not story.decisions()
    assert not story.ordered()  # the shell asks for all that is wanted, at once
    said(story, feed(BAD))
    assert story.held() == [BAD]


def test_after_a_restart_what_no_list_has_any_more_is_adopted_as_a_ban() -> None:
    end: Instant = 2_000_000 * SECOND
    story = restarted(feed(BAD), Held(SetName.BLOCKED, parse_network(OTHER), end))
    assert story.held() == [OTHER, BAD]
    assert [each.because for each in story.decisions()] == [("adopted",)]


def test_a_restart_does_not_hold_our_own_address_whatever_the_list_says() -> None:
    story = restarted(feed(BAD, PBX), Held(SetName.BLOCKED, parse_network(BAD), 2_000_000 * SECOND))
    assert story.held() == [BAD]


def test_packets_of_the_blocked_count_as_hits() -> None:
    story = Story()
    said(story, feed(BAD))
    story.ask(BAD, method="OPTIONS")
    assert story.engine.counters()["feed hits bad"] == 1
    assert not story.findings()


def test_the_same_inputs_give_the_same_actions() -> None:
    runs = []
    for _ in range(2):
        story = Story()
        said(story, feed(BAD, OTHER, "45.96.0.0/20"))
        story.wait(HOUR / SECOND)
        said(story, feed(OTHER))
        runs.append(story.actions)
    assert runs[0] == runs[1]
    assert not any(isinstance(each, Decision) for each in runs[0])
