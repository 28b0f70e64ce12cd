"""Segments in any order, number and overlap give the same bytes once, in order, with nothing that was not sent."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.model import SECOND
from sipguard.wire.l4 import ACK, FIN, RST, SYN, URG, Segment
from sipguard.wire.stream import Streams, StreamsConfig
from tests.wire.story import CLIENT, MASK, SERVER, Story

TEXT = bytes(random.Random(1).randbytes(3000))


def test_both_directions_are_delivered_in_order_without_gaps() -> None:
    story = Story().handshake()
    story.from_client(b"REGISTER")
    story.from_server(b"401")
    story.from_client(b"REGISTER again")
    story.from_server(b"200")
    assert story.pieces() == [(b"REGISTER", False), (b"REGISTER again", False)]
    assert story.heard(to_server=False) == b"401200"
    assert {each.gap for each in story.found} == {False}
    assert len({id(each.flow) for each in story.found}) == 1


def test_a_flow_knows_its_ends_and_keeps_what_the_caller_hangs_on_it() -> None:
    story = Story().handshake()
    flow = story.from_client(b"x")[0].flow
    assert (flow.client, flow.server) == ((CLIENT, 40000), (SERVER, 5060))
    flow.client_state = "framer"
    assert story.from_server(b"y")[0].flow.client_state == "framer"
    assert flow.server_state is None


@pytest.mark.parametrize("start", [1000, MASK - 500, MASK, 0])
def test_any_order_gives_the_same_also_where_the_numbers_wrap(start: int) -> None:
    for seed in range(30):
        choose = random.Random(seed)
        cuts = sorted({0, *choose.sample(range(1, 3000), 12), 3000})
        pieces = [(at, TEXT[at:end]) for at, end in pairwise(cuts)]
        choose.shuffle(pieces)
        story = Story(client_seq=start).handshake()
        base = story.sent
        for offset, data in pieces:
            story.from_client(data, seq=base + offset)
        assert story.heard() == TEXT
        assert not any(each.gap for each in story.found)
        assert story.flow.conflicts == 0


@given(
    st.lists(st.tuples(st.integers(0, 2999), st.integers(1, 700)), max_size=30),
    st.randoms(use_true_random=False),
    st.sampled_from([5, MASK - 1000]),
    st.booleans(),
)
def test_repeats_and_overlaps_of_one_text_change_nothing(
    extra: list[tuple[int, int]],
    choose: random.Random,
    start: int,
    acknowledged: bool,  # noqa: FBT001 - drawn
) -> None:
    needed = [(at, 500) for at in range(0, 3000, 500)]
    pieces = needed + extra
    choose.shuffle(pieces)
    story = Story(client_seq=start).handshake()
    base = story.sent
    for at, length in pieces:
        story.from_client(TEXT[at : at + length], seq=base + at)
        if acknowledged:
            story.from_server(ack=story.flow.inward.next)
    assert story.heard() == TEXT
    assert not any(each.gap for each in story.found)
    assert story.flow.conflicts == 0
    assert story.streams.held_bytes == story.flow.inward.held + story.flow.outward.held
    story.from_server(ack=base + 3000)
    assert story.streams.held_bytes == 0


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 60) | st.integers(0, MASK),
            st.integers(0, 60) | st.integers(0, MASK),
            st.integers(0, 63),
            st.binary(max_size=30),
            st.integers(0, 2),
        ),
        max_size=60,
    )
)
def test_any_segments_keep_the_books_right_and_never_raise(fed: list[tuple[bool, int, int, int, bytes, int]]) -> None:
    streams = Streams(StreamsConfig(max_flows=2, max_pending_bytes_per_flow=600, max_pending_bytes=1500, share=2))
    ends = ((CLIENT, 40000), (SERVER, 5060))
    for number, (turned, seq, ack, flags, data, port) in enumerate(fed):
        source, target = ends if turned else ends[::-1]
        source = (source[0], source[1] + port) if turned else source
        target = target if turned else (target[0], target[1] + port)
        streams.feed(number * SECOND, Segment(*source, *target, seq, ack, flags, data, seq & 31))
        flows = {id(entry[0]): entry[0] for entry in streams._entries.values()}.values()
        assert len(streams) == len(flows) <= 2
        assert streams.held_bytes == sum(flow.inward.held + flow.outward.held for flow in flows) <= 1500
        for flow in flows:
            for half in (flow.inward, flow.outward):
                pieces = half.pending + half.recent
                assert half.held == sum(len(piece) + 128 for _, piece in pieces) <= 600


def test_many_messages_in_one_segment_and_one_over_many_are_the_same_bytes() -> None:
    story = Story().handshake()
    story.from_client(b"one two ")
    for byte in b"three":
        story.from_client(bytes([byte]))
    assert story.heard() == b"one two three"


def test_a_flow_picked_up_mid_stream_begins_with_a_gap_in_each_direction() -> None:
    story = Story()
    story.from_client(b"half a message")
    story.from_server(b"an answer")
    assert [(each.data, each.gap) for each in story.found] == [(b"half a message", True), (b"an answer", True)]
    story = Story()
    story.from_server(b"an answer")
    assert story.found[0].gap
    assert not story.found[0].to_server


def test_segments_without_bytes_make_no_flow() -> None:
    story = Story()
    story.from_client()
    story.from_client(flags=ACK | FIN)
    story.reset_from_client()
    story.from_client(b"x", flags=0)
    assert len(story.streams) == 0


def test_keep_alives_are_not_bytes() -> None:
    story = Story().handshake()
    story.from_client(b"hello")
    story.from_server()
    for data in (b"", b"\0", b"x"):
        story.from_client(data, seq=story.sent - 1)
    story.from_client(b" world")
    assert story.heard() == b"hello world"
    assert story.flow.conflicts == 0


def test_a_keep_alive_is_none_where_its_octet_was_never_acknowledged() -> None:
    story = Story().handshake()
    story.from_client(b"REGISTER alice")
    story.from_server(ack=story.sent - 1)
    story.from_client(b"X", seq=story.sent - 1)
    assert story.pieces()[-1] == (b"REGISTER alicX", True)
    assert story.flow.conflicts == 1


def test_a_keep_alive_in_a_capture_of_one_direction_is_not_bytes() -> None:
    story = Story()
    story.from_client(b"hello")
    story.from_client(b"\0", seq=story.sent - 1)
    assert story.heard() == b"hello"
    assert story.flow.conflicts == 0


def test_a_hole_that_the_server_acknowledges_is_given_up_at_once() -> None:
    story = Story().handshake()
    base = story.sent
    story.from_client(b"lost to us", seq=base + 500)
    story.from_client(b", joined", seq=base + 510)
    assert story.found == []
    story.from_server(ack=base + 518)
    assert story.pieces() == [(b"lost to us, joined", True)]
    assert story.streams.gaps == 1
    story.from_client(b" and on", seq=base + 518)
    assert story.pieces()[-1] == (b" and on", False)


def test_a_segment_behind_an_acknowledged_hole_is_read_at_once() -> None:
    story = Story().handshake()
    base = story.sent
    story.from_server(ack=base + 100)
    story.from_client(b"next", seq=base + 100)
    assert story.pieces() == [(b"next", True)]


def test_a_hole_is_not_given_up_before_the_server_is_past_it() -> None:
    story = Story().handshake()
    base = story.sent
    story.from_client(b"2", seq=base + 1)
    story.at += 3600 * SECOND
    story.from_client(b"3", seq=base + 2)
    story.from_server(ack=base)
    assert story.found == []
    story.from_client(b"1", seq=base)
    assert story.pieces() == [(b"123", False)]


def test_where_no_acknowledgement_is_ever_seen_a_hole_is_given_up_with_patience() -> None:
    story = Story()
    story.from_client(b"1")
    base = story.sent
    story.from_client(b"3", seq=base + 1)
    story.at += 10 * SECOND
    story.from_client(b"4", seq=base + 2)
    assert story.pieces() == [(b"1", True), (b"34", True)]


def test_bytes_that_come_after_the_hole_was_given_up_are_read_unless_acknowledged() -> None:
    story = Story(Streams(StreamsConfig(max_pending_bytes_per_flow=2000))).handshake()
    base = story.sent
    for offset in range(100, 1900, 100):
        story.from_client(b"x" * 100, seq=base + offset)
    assert story.pieces()[0][1]
    story.found.clear()
    story.from_client(b"y" * 100, seq=base)
    assert story.pieces() == [(b"y" * 100, True)]
    story.from_server(ack=base + 1900)
    story.from_client(b"z" * 100, seq=base)
    assert len(story.found) == 1


def test_fin_and_what_comes_with_it_are_read_and_the_same_ports_can_begin_anew() -> None:
    story = Story().handshake()
    story.from_client(b"BYE", flags=ACK | FIN)
    story.from_server(b"200", flags=ACK | FIN)
    story.from_client()
    assert story.heard() == b"BYE"
    assert story.flow.closed
    again = Story(story.streams, client_seq=77, server_seq=88).handshake()
    again.from_client(b"INVITE")
    assert again.pieces() == [(b"INVITE", False)]
    assert len(story.streams) == 1


def test_ports_used_again_after_a_reset_begin_anew_also_when_the_syn_was_missed() -> None:
    story = Story().handshake()
    story.from_client(b"x")
    story.reset_from_client()
    again = Story(story.streams, client_seq=77_000_000, server_seq=88)
    again.sent += 1
    again.from_server(flags=SYN | ACK)
    again.from_client(b"INVITE")
    assert again.pieces() == [(b"INVITE", False)]


def test_a_refused_connection_is_closed() -> None:
    story = Story()
    story.from_client(flags=SYN, ack=0)
    story.from_server(flags=RST | ACK, seq=0)
    assert story.flow.closed


@pytest.mark.parametrize("taken", [True, False])
def test_data_on_a_syn_are_read_only_if_the_answer_takes_them(*, taken: bool) -> None:
    story = Story()
    story.from_client(b"REGISTER ", flags=SYN, ack=0)
    if not taken:
        story.sent -= 9
    story.from_server(flags=SYN | ACK)
    story.from_client(b"INVITE")
    assert story.heard() == (b"REGISTER INVITE" if taken else b"INVITE")
    assert not any(each.gap for each in story.found)


def test_the_urgent_byte_is_taken_out() -> None:
    story = Story().handshake()
    story.from_client(b"REGIXSTER", flags=ACK | URG, urgent=5)
    story.from_client(b" sip:", flags=ACK | URG, urgent=9)
    story.from_client(b"a@bXc")
    assert story.heard() == b"REGISTER sip:a@bc"


@pytest.mark.parametrize(
    ("source", "target", "server"),
    [(40000, 5060, 5060), (5060, 40000, 5060), (5060, 5061, 5061), (40000, 15060, 15060)],
)
def test_the_server_is_told_by_its_port_else_by_who_opened(source: int, target: int, server: int) -> None:
    for flags, data in ((SYN, b""), (ACK, b"data")):
        streams = Streams()
        streams.feed(0, Segment(CLIENT, source, SERVER, target, 1, 1, flags, data))
        flow = streams._entries[(CLIENT, source, SERVER, target)][0]
        assert flow.server[1] == server
    streams = Streams()
    streams.feed(0, Segment(SERVER, target, CLIENT, source, 1, 1, SYN | ACK, b""))
    assert streams._entries[(CLIENT, source, SERVER, target)][0].server[1] == server
