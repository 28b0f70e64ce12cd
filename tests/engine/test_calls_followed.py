"""The engine follows calls: by the trunk's name, and until their time is up though nothing else happens."""

from __future__ import annotations

from sipguard.address import parse_network
from sipguard.policy.schema import Policy, Trunk
from tests.engine.gated import text
from tests.engine.story import Story

CARRIER = "198.51.100.99"


def test_a_call_that_leaves_is_followed_and_given_up_in_time() -> None:
    story = Story(Policy(trunks=(Trunk("alpha", (parse_network(CARRIER),)),)))
    tracker = story.engine._tracker
    story.outbound(CARRIER, 5060, text("INVITE", 1))
    (call,) = tracker.calls.live()
    assert (call.trunk, call.direction) == ("alpha", "outbound")
    due = tracker.next_deadline()
    assert due is not None
    story.now += 60_000_000_000
    story.inbound("203.0.113.9", 5060, b"\r\n\r\n")
    assert call.ended == due
    assert list(tracker.calls.live()) == []


def test_what_is_sent_to_a_registered_phone_leaves_not() -> None:
    story = Story()
    story.register("192.0.2.55")
    story.outbound("192.0.2.55", 5062, text("INVITE", 1))
    assert list(story.engine._tracker.calls.live()) == []
