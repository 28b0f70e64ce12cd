"""Strangers' text messages: to many, or many of them."""

from __future__ import annotations

from sipguard.model import SetName
from tests.detect.only import kinds, last, only
from tests.engine.story import PBX, Story

STRANGER = "203.0.113.66"
PHONE = "198.51.100.20"


def write(story: Story, to: str, source: str = STRANGER, port: int = 5060, **more: str) -> None:
    story.ask(source, method="MESSAGE", uri=f"sip:{to}@{PBX}", port=port, **more)  # type: ignore[arg-type]


def test_the_fifth_recipient_is_a_finding_and_the_fourth_is_not() -> None:
    story = only("spam")
    for number in range(4):
        write(story, str(1001 + number), port=5060 + number)
    assert kinds(story) == []
    write(story, "1005")
    assert kinds(story) == [("messages", False)]
    assert story.held(SetName.THROTTLED) == [STRANGER]


def test_thirty_messages_to_one_are_a_finding_and_copies_are_not_counted() -> None:
    story = only("spam")
    for _ in range(29):
        write(story, "1001")
    assert kinds(story) == []
    payload = b"MESSAGE sip:1001@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\nCall-ID: '\"q\r\n\r\n"
    for _ in range(20):
        story.inbound(STRANGER, 5060, payload)
    assert len(kinds(story)) == 1
    assert dict(last(story).evidence)["messages"] == 30


def test_one_name_in_many_writings_is_one_recipient() -> None:
    story = only("spam")
    for to in ("Bob", "bob", "b%6fb", "BOB;x=y", "bob:word"):
        write(story, to)
    assert kinds(story) == []


def test_messages_further_apart_than_the_window_are_no_finding() -> None:
    story = only("spam")
    for number in range(20):
        write(story, str(1001 + number))
        story.wait(151)
    assert kinds(story) == []


def test_a_registered_device_may_write_to_all() -> None:
    story = only("spam")
    story.register(PHONE)
    for number in range(50):
        write(story, str(1001 + number), PHONE)
    assert kinds(story) == []


def test_forged_messages_among_its_own_do_not_get_a_sender_banned() -> None:
    story = only("spam")
    for number in range(4):
        write(story, str(1001 + number), PHONE)
    nonce = story.challenge(PHONE, method="MESSAGE")
    write(story, "1009", PHONE, nonce=nonce)
    assert kinds(story) == [("messages", False)]


def test_its_memory_is_bounded() -> None:
    story = only("spam", sources=100)
    for number in range(1000):
        write(story, "1001", f"192.{number >> 8}.{number & 255}.9")
    assert story.engine.counters()["spam_sources"] == 100
    assert story.engine.counters()["spam_sources_evicted"] == 900
