"""TLS connections that come to nothing: when they are too many, and whose are never."""

from __future__ import annotations

from dataclasses import replace

from sipguard.address import parse_address
from sipguard.detect import tlsprobe
from sipguard.event import FlowEnded, FlowOpened, Standing
from sipguard.model import MINUTE, SECOND, Flow, Instant, SetName
from sipguard.policy.schema import Policy
from tests.engine.story import Story

STRANGER = "203.0.113.9"
OFFICE = "198.51.100.20"
EMPTY = 500
REGISTERED = 1500
CONFIG = tlsprobe.Config()


def connect(story: Story, source: str, port: int, *, seconds: float = 1.0, received: int = EMPTY) -> None:
    """Let a connection be made and ended."""
    story.tell(Flow(parse_address(source), port, opened=True))
    story.wait(seconds)
    story.tell(Flow(parse_address(source), port, opened=False, received=received))


def found(story: Story) -> list[str]:
    return [each.identifier for each in story.findings() if each.detector == tlsprobe.NAME]


def test_one_empty_connection_more_than_the_budget_is_found_and_not_one_before() -> None:
    story = Story()
    for port in range(CONFIG.handshakes):
        connect(story, STRANGER, port)
    assert found(story) == []
    connect(story, STRANGER, 5000)
    assert found(story) == ["handshakes"]
    assert story.held(SetName.THROTTLED) == [STRANGER]
    assert story.held() == []


def test_the_budget_comes_back_evenly_so_that_a_slow_sender_is_never_found() -> None:
    story = Story()
    pause = CONFIG.window / SECOND / CONFIG.handshakes
    for port in range(5 * CONFIG.handshakes):
        connect(story, STRANGER, port)
        story.wait(pause)
    assert found(story) == []


def test_a_phone_that_reconnects_with_each_new_network_is_never_found() -> None:
    story = Story()
    for port in range(60):
        connect(story, STRANGER, port, seconds=5, received=REGISTERED)
    assert found(story) == []


def test_connecting_over_and_over_is_found_whatever_is_said_in_it() -> None:
    story = Story()
    for port in range(CONFIG.churn + 1):
        connect(story, STRANGER, port, seconds=0.05, received=REGISTERED)
    assert found(story) == ["churn"]


def test_phones_that_refuse_a_certificate_are_let_be_where_devices_were_connected_before() -> None:
    story = Story()
    for phone in range(10):
        connect(story, OFFICE, phone, seconds=90, received=REGISTERED)
    for again in range(10 * 15):
        connect(story, OFFICE, 1000 + again, seconds=0.1)
    assert found(story) == []
    for again in range(10 * 15):
        connect(story, OFFICE, 2000 + again, seconds=0.1)
    assert found(story) == ["handshakes"]


def test_devices_that_are_still_connected_count_before_any_of_them_has_ended() -> None:
    story = Story()
    for phone in range(10):
        story.tell(Flow(parse_address(OFFICE), phone, opened=True))
    story.wait(90)
    for again in range(10 * 15):
        connect(story, OFFICE, 1000 + again, seconds=0.1)
    assert found(story) == []


def test_a_registered_device_is_never_counted() -> None:
    story = Story()
    story.register(OFFICE)
    for again in range(500):
        connect(story, OFFICE, again, seconds=0.1)
    assert found(story) == []


def test_the_addresses_of_one_ipv6_network_are_one_source() -> None:
    story = Story()
    for number in range(CONFIG.handshakes + 1):
        connect(story, f"2001:db8:66::{number:x}", 5000)
    assert found(story) == ["handshakes"]


def test_a_connection_whose_beginning_nobody_told_is_no_event() -> None:
    story = Story()
    for port in range(100):
        story.tell(Flow(parse_address(STRANGER), port, opened=False, received=EMPTY))
    assert found(story) == []


def ended(source: int, at: Instant, *, proven: bool = True, tls: bool = True) -> FlowEnded:
    address = b"\xcb" + source.to_bytes(3)
    return FlowEnded(at, address, 5000, 5061, Standing.STRANGER, SECOND, EMPTY, proven=proven, tls=tls)


def test_what_is_not_proven_or_not_tls_blames_nobody() -> None:
    detector = tlsprobe.Detector(CONFIG)
    for at in range(200):
        assert not detector.handlers[FlowEnded](ended(1, at * SECOND, proven=False))
        assert not detector.handlers[FlowEnded](ended(1, at * SECOND, tls=False))
    assert detector.counters()["tlsprobe_sources"] == 0


def test_a_flood_of_sources_stays_within_the_table_and_is_counted() -> None:
    detector = tlsprobe.Detector(replace(CONFIG, sources=1000))
    for number in range(5000):
        detector.handlers[FlowEnded](ended(number * 256, number))
    assert detector.counters() == {"tlsprobe_sources": 1000, "tlsprobe_sources_evicted": 4000}


def test_what_one_source_holds_open_is_bounded_and_raises_its_budget_only_so_far() -> None:
    detector = tlsprobe.Detector(CONFIG)
    address = parse_address(STRANGER)
    for port in range(10_000):
        opened = FlowOpened(SECOND, address, port, 5061, Standing.STRANGER, proven=False, tls=True)
        detector.handlers[FlowOpened](opened)
    late = 5 * MINUTE
    found_at = next(
        number
        for number in range(10_000)
        if detector.handlers[FlowEnded](
            FlowEnded(late, address, 20_000, 5061, Standing.STRANGER, SECOND, EMPTY, proven=True, tls=True)
        )
    )
    assert found_at == CONFIG.handshakes + 64 * CONFIG.device


def test_it_can_be_switched_off() -> None:
    policy = Policy()
    off = replace(policy, detect=replace(policy.detect, tlsprobe=replace(CONFIG, enabled=False)))
    story = Story(off)
    for port in range(200):
        connect(story, STRANGER, port)
    assert found(story) == []
