"""No traffic makes the flow table grow past its caps, and nobody's flood takes the place of the proven."""

from __future__ import annotations

import tracemalloc

from sipguard.model import HOUR, MINUTE, SECOND
from sipguard.wire.flow import Flow
from sipguard.wire.l4 import ACK, SYN, Segment
from sipguard.wire.stream import Streams, StreamsConfig
from tests.wire.story import SERVER, Story

SMALL = StreamsConfig(max_flows=64, share=8, max_pending_bytes_per_flow=4000, max_pending_bytes=16_000)


def flood(streams: Streams, count: int, *, flags: int = SYN, data: bytes = b"", at: int = 1, first: int = 11) -> None:
    """Send one segment from each of many networks."""
    for number in range(count):
        source = bytes([first, number // 256 % 256, number % 256, 1])
        streams.feed(at, Segment(source, 1000, SERVER, 5060, 1, 1, flags, data))


def proven(streams: Streams, *, client: bytes, port: int = 40000) -> Story:
    """Make a flow that is proven."""
    story = Story(streams, client=client, port=port).handshake()
    story.from_client(b"REGISTER")
    story.from_server()
    assert story.flow.proven
    return story


def alive(story: Story) -> bool:
    """Tell whether the flow is still known."""
    return (*story.client, *story.server) in story.streams._entries


def test_a_flood_of_syns_takes_the_place_of_the_unproven_only() -> None:
    streams = Streams(SMALL)
    good = proven(streams, client=b"\xc6\x33\x64\x01")
    flood(streams, 10_000)
    flood(streams, 10_000, flags=ACK, data=b"x", first=12)
    assert len(streams) == 64
    assert streams.evicted == 20_001 - 64
    assert alive(good)


def test_real_connections_without_a_proof_go_before_the_proven() -> None:
    streams = Streams(SMALL)
    good = proven(streams, client=b"\xc6\x33\x64\x01")
    stories = [Story(streams, client=bytes([10, 0, number, 1])).handshake() for number in range(200)]
    assert alive(good)
    assert [alive(each) for each in stories].count(True) == 63
    assert not alive(stories[0])


def test_the_proven_that_was_silent_longest_goes_first() -> None:
    streams = Streams(SMALL)
    first = proven(streams, client=b"\xc6\x33\x64\x01")
    second = proven(streams, client=b"\xc6\x33\x65\x01")
    first.at = 10 * SECOND
    first.from_client(b"keep-alive")
    for number in range(63):
        proven(streams, client=bytes([10, 0, number, 1]))
    assert alive(first)
    assert not alive(second)


def test_one_network_holds_no_more_than_its_share_and_evicts_its_own() -> None:
    streams = Streams(SMALL)
    other = Story(streams, client=b"\xc6\x33\x64\x01").handshake()
    for number in range(1000):
        proven(streams, client=bytes([203, 0, 113, number % 256]), port=1000 + number)
    assert len(streams) == 8 + 1
    assert alive(other)


def test_one_ipv6_site_is_one_network() -> None:
    streams = Streams(SMALL)
    for number in range(100):
        source = bytes([0x20, 1, 0xD, 0xB8, 0, 0, number]) + bytes(9)
        streams.feed(0, Segment(source, 1000, bytes(16), 5060, 1, 0, SYN, b""))
    assert len(streams) == 8


def test_flows_count_into_the_share_of_who_opened_them_whatever_port_he_uses() -> None:
    streams = Streams(SMALL)
    for number in range(100):
        streams.feed(0, Segment(b"\xcb\x00\x71\x09", 5060, SERVER, 20_000 + number, 1, 0, SYN, b""))
    own = Story(streams, client=b"\xcb\x00\x71\x09", port=5060)
    assert len(own.streams) == 8
    assert {entry[0].network for entry in streams._entries.values()} == {b"\xcb\x00\x71"}


def test_closed_flows_go_first() -> None:
    streams = Streams(SMALL)
    closed = proven(streams, client=b"\xc6\x33\x64\x01")
    closed.reset_from_client()
    flood(streams, 63)
    assert alive(closed)
    flood(streams, 1, first=12)
    assert not alive(closed)


def test_silent_flows_are_forgotten_when_new_ones_come() -> None:
    streams = Streams()
    good = proven(streams, client=b"\xc6\x33\x64\x01")
    flood(streams, 50)
    flood(streams, 50, at=6 * MINUTE, first=12)
    assert len(streams) == 51
    assert streams.expired == 50
    assert alive(good)
    flood(streams, 1, at=3 * HOUR, first=13)
    assert not alive(good)


def test_bytes_behind_a_hole_are_capped_for_a_flow_and_read_when_the_cap_is_reached() -> None:
    story = Story(Streams(SMALL)).handshake()
    base = story.sent
    for number in range(1, 200):
        story.from_client(b"x" * 100, seq=base + number * 200)
        assert story.streams.held_bytes <= 4000
    assert story.streams.yielded
    assert len(story.heard()) >= 199 * 100 - 4000


def test_bytes_are_capped_for_a_network_and_the_longest_holder_yields() -> None:
    streams = Streams(SMALL)
    stories = [Story(streams, client=bytes([203, 0, 113, number])).handshake() for number in range(8)]
    for story in stories:
        story.from_client(b"x" * 500, seq=story.sent + 10)
        assert streams.held_bytes <= 2000
    assert [story.flow.inward.held > 0 for story in stories] == [False] * 5 + [True] * 3
    delivered = [each for story in stories for each in story.found]
    assert len(delivered) == 5
    assert all(each.gap for each in delivered)


def test_bytes_are_capped_for_all_and_the_longest_holder_yields() -> None:
    streams = Streams(SMALL)
    stories = [Story(streams, client=bytes([203, 0, number, 1])).handshake() for number in range(60)]
    for story in stories:
        story.from_client(b"x" * 500, seq=story.sent + 10)
        assert streams.held_bytes <= 16_000
    assert not stories[0].flow.inward.held
    assert stories[-1].flow.inward.held


def test_bytes_not_yet_acknowledged_are_capped_too() -> None:
    story = Story(Streams(SMALL)).handshake()
    for _ in range(200):
        story.from_client(b"x" * 300)
        assert story.streams.held_bytes <= 4000
    assert story.heard() == b"x" * 60_000
    assert not any(each.gap for each in story.found)


def test_syns_with_much_data_fill_nothing() -> None:
    streams = Streams(SMALL)
    flood(streams, 200, data=b"x" * 1400)
    assert streams.held_bytes <= 16_000
    story = Story(streams, client=b"\xc6\x33\x64\x01").handshake()
    story.from_client(b"x" * 60_000, flags=SYN, seq=5)
    assert story.flow.fresh is not None
    assert story.flow.fresh.payload == b""


def test_a_flow_takes_two_kilobytes_and_a_flood_no_more_than_the_cap() -> None:
    tracemalloc.start()
    streams = Streams(StreamsConfig(max_flows=1000))
    flood(streams, 3000)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(streams) == 1000
    assert held < 2_500_000


def amid(streams: Streams, flow: Flow, count: int) -> None:
    """Keep so much of a flow's message, and forget what has to go for it."""
    streams.amid(flow, count)
    while streams.relieve(flow):
        pass


def test_half_messages_of_one_network_take_no_more_than_its_share_and_its_own_oldest_go() -> None:
    streams = Streams(SMALL)
    other = Story(streams, client=b"\xc6\x33\x64\x01").handshake()
    amid(streams, other.flow, 1000)
    stories = [Story(streams, client=bytes([10, 0, 0, number]), port=2000).handshake() for number in range(1, 9)]
    for story in stories:
        amid(streams, story.flow, 300)
    assert [alive(each) for each in stories] == [False, False, True, True, True, True, True, True]  # 2,000 is its share
    assert alive(other)
    assert streams.half_bytes == 1000 + 6 * 300
    assert streams.evicted == 2
    assert len(streams.ended) == 2


def test_half_messages_of_all_together_are_bounded_and_who_waits_longest_goes() -> None:
    streams = Streams(SMALL)
    stories = [Story(streams, client=bytes([10, 0, number, 1])).handshake() for number in range(40)]
    for story in stories:
        amid(streams, story.flow, 1000)
    assert [alive(each) for each in stories] == [False] * 24 + [True] * 16
    amid(streams, stories[30].flow, 0)  # its message is whole
    amid(streams, stories[30].flow, 1000)  # the next one has only begun
    for number in range(40, 54):
        story = Story(streams, client=bytes([10, 0, number, 1])).handshake()
        amid(streams, story.flow, 1000)
    assert alive(stories[30])
    assert not alive(stories[31])
    assert streams.half_bytes == 16_000


def test_whoever_is_just_read_is_not_forgotten_with_what_his_segment_completes() -> None:
    streams = Streams(SMALL)
    first, second = (Story(streams, client=bytes([10, 0, 0, number])).handshake() for number in (1, 2))
    amid(streams, first.flow, 1900)
    amid(streams, second.flow, 100)
    amid(streams, first.flow, 1901)
    assert alive(first)
    assert not alive(second)


def test_what_a_flow_held_is_given_back_when_it_ends() -> None:
    streams = Streams(SMALL)
    story = Story(streams).handshake()
    flow = story.flow
    amid(streams, flow, 1500)
    flood(streams, 10_000)
    stories = [Story(streams, client=bytes([10, 0, number, 1])).handshake() for number in range(64)]
    assert not alive(story)
    assert streams.half_bytes == 0
    amid(streams, flow, 1600)  # its owner has not heard of it yet
    assert streams.half_bytes == 0
    assert alive(stories[-1])
