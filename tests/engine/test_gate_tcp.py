"""Over TCP nothing reaches the PBX that was not judged, however the stream is cut, and what is good arrives."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.address import parse_address
from sipguard.intake import Intake
from sipguard.model import MINUTE, Account, Hook, VerdictKind
from sipguard.wire.l4 import RST, Segment
from tests.engine.gated import ACK, SYN, Wire, text
from tests.engine.story import Story

CUTS = st.lists(st.integers(0, 100_000), max_size=12)


def guesses_in(read: list[bytes]) -> int:
    return sum(b"Authorization:" in each for each in read)


def quarantined(user: str = "1001") -> Story:
    story = Story()
    story.engine._force.wards.quarantine(Account(user, "pbx"), story.now + 60 * MINUTE, doubted=False)
    return story


@given(CUTS, st.integers(1, 12))
def test_of_guesses_in_one_stream_exactly_as_many_arrive_as_may_fail(cuts: list[int], count: int) -> None:
    wire = Wire(Story())
    wire.stream = b"".join(text("REGISTER", number, nonce="n") for number in range(count))
    for _ in wire.all(cuts):
        pass
    assert guesses_in(wire.read) == min(count, 5)
    assert wire.read == [text("REGISTER", number, nonce="n") for number in range(min(count, 5))]


@given(CUTS)
def test_honest_requests_arrive_as_they_were_sent(cuts: list[int]) -> None:
    wire = Wire(Story())
    wire.stream = b"".join(text("OPTIONS", number, body="x" * number) for number in range(8))
    for _ in wire.all(cuts, rounds=1):
        pass
    assert wire.taken == wire.stream
    assert set(wire.kinds) == {VerdictKind.ACCEPT}


@given(CUTS, st.permutations(range(5)))
def test_a_refused_call_never_arrives_and_nothing_of_it_is_left_to_read(cuts: list[int], order: list[int]) -> None:
    wire = Wire(quarantined())
    calls = [text("INVITE", 0, nonce="n"), *(text("OPTIONS", number) for number in range(1, 5))]
    wire.stream = b"".join(calls[number] for number in order)
    for _ in wire.all(cuts):
        pass
    assert not any(each.startswith(b"INVITE") for each in wire.read)
    before = order.index(0)
    assert wire.read[:before] == [calls[number] for number in order[:before]]


def test_in_one_segment_only_the_refused_call_is_overwritten_and_its_neighbours_arrive() -> None:
    wire = Wire(quarantined())
    wire.stream = text("OPTIONS", 1) + text("INVITE", 2, nonce="n") + text("OPTIONS", 3)
    said = wire.send(0, len(wire.stream))
    assert said.kind is VerdictKind.MASK
    assert len(wire.taken) == len(wire.stream)
    assert wire.read == [text("OPTIONS", 1), text("OPTIONS", 3)]
    assert wire.send(0, len(wire.stream)).kind in {VerdictKind.MASK, VerdictKind.ACCEPT}  # it was acknowledged


def test_a_masked_call_that_the_pbx_did_not_take_is_masked_again() -> None:
    story = quarantined()
    wire = Wire(story)
    wire.stream = text("INVITE", 2, nonce="n")
    wire._take = lambda *_: None  # type: ignore[method-assign] # an old timestamp, a full buffer
    for _ in range(3):
        assert wire.send(0, len(wire.stream)).kind is VerdictKind.MASK


def test_other_bytes_in_the_place_of_judged_ones_end_the_reading_of_a_connection() -> None:
    wire = Wire(quarantined())
    good, bad = text("OPTIONS", 1, body="x" * 200), text("INVITE", 2, nonce="n")
    wire.stream = good
    wire._take = lambda *_: None  # type: ignore[method-assign]
    wire.send(0, len(good))
    assert wire.send(0, 0, bad).kind is VerdictKind.DROP
    assert wire.send(len(good), 0, text("OPTIONS", 3)).kind is VerdictKind.DROP


@settings(max_examples=100)
@given(CUTS, st.randoms(use_true_random=False), st.integers(4, 8))
def test_in_any_order_no_guess_too_many_arrives(cuts: list[int], random: object, count: int) -> None:
    shuffle = random.shuffle  # type: ignore[attr-defined]
    wire = Wire(Story())
    wire.stream = b"".join(text("REGISTER", number, nonce="n") for number in range(count))
    edges = sorted({0, len(wire.stream), *(cut % len(wire.stream) for cut in cuts)})
    pieces = list(itertools.pairwise(edges))
    for _ in range(6):
        shuffle(pieces)
        for begin, end in pieces:
            wire.send(begin, end)
    assert guesses_in(wire.read) <= 5


@settings(max_examples=100)
@given(CUTS, st.randoms(use_true_random=False))
def test_in_any_order_what_is_honest_arrives_in_the_end(cuts: list[int], random: object) -> None:
    shuffle = random.shuffle  # type: ignore[attr-defined]
    wire = Wire(Story())
    wire.stream = b"".join(text("OPTIONS", number) for number in range(5))
    edges = sorted({0, len(wire.stream), *(cut % len(wire.stream) for cut in cuts)})
    pieces = list(itertools.pairwise(edges))
    shuffle(pieces)
    for _ in range(2 * len(pieces)):
        for begin, end in pieces:
            if end > len(wire.taken):
                wire.send(begin, end)
    assert wire.taken == wire.stream


def test_a_connection_from_before_the_guard_is_read_on_from_where_it_stands() -> None:
    wire = Wire(Story(), port=40_001)
    wire.story = Story()  # another guard, that saw no handshake
    wire.stream = text("OPTIONS", 1) + text("OPTIONS", 2)
    half = len(text("OPTIONS", 1))
    wire.send(0, half)
    wire.send(half, len(wire.stream))
    assert wire.taken == wire.stream


def test_bytes_that_passed_unjudged_do_not_end_a_connection() -> None:
    wire = Wire(Story())
    wire.stream = b"".join(text("OPTIONS", number) for number in range(4))
    quarter = len(wire.stream) // 4
    wire.send(0, quarter)
    wire._take(quarter, wire.stream[quarter : 2 * quarter])  # the gate was open; the PBX acknowledged it
    wire.send(2 * quarter, 3 * quarter)
    wire.send(3 * quarter, 4 * quarter)
    assert wire.taken == wire.stream


# --- Reading what the PBX reads ---------------------------------------------------------------------------------------

CALL = text("INVITE", 0, nonce="n")


def test_what_fills_a_hole_that_was_given_up_never_arrives() -> None:
    wire = Wire(quarantined())
    wire.stream = CALL + b"\r\n" * 600  # each byte of it in a segment: a budget's worth of them
    for begin, end in ((60, len(CALL)), *itertools.pairwise(range(len(CALL), len(wire.stream)))):
        for _ in range(2):  # what comes before its turn is kept back once
            wire.send(begin, end)
    assert wire.send(0, 60).kind is VerdictKind.DROP
    assert wire.read == []
    assert wire.send(0, len(CALL)).kind is VerdictKind.DROP


def test_a_connection_forgotten_in_the_midst_of_a_message_does_not_go_on_with_it() -> None:
    story = quarantined()
    wires = [Wire(story, port=20_000 + number) for number in range(1_100)]  # more than one network has a place for
    for wire in wires:
        wire.stream = CALL
        wire.send(0, 60)
    for wire in wires:
        wire.send(60, len(CALL))
    assert not any(wire.read for wire in wires)
    assert story.engine.counters()["torn"] == 1
    fresh = Wire(story, port=50_000)  # a new connection from there is read as any other
    fresh.stream = text("OPTIONS", 1)
    assert fresh.send(0, len(fresh.stream)).kind is VerdictKind.ACCEPT
    other = Wire(Story(), source="198.51.100.9")
    other.story, other.stream = story, text("OPTIONS", 1)  # one from before the guard, of somebody else
    assert other.send(0, len(other.stream)).kind is VerdictKind.ACCEPT


def test_so_many_senders_of_half_messages_are_remembered_and_of_one_network_a_part_of_that() -> None:
    intake = Intake((5060,), lambda _source, _hook, _payload: False)
    pbx = parse_address("192.0.2.10")

    def half(source: bytes) -> None:
        for segment in (
            Segment(pbx, 5060, source, 40_000, 8_999, 1_000, SYN | ACK, b""),
            Segment(source, 40_000, pbx, 5060, 1_000, 9_000, ACK, CALL[:60]),
            Segment(source, 40_000, pbx, 5060, 1_060, 9_000, RST, b""),
        ):
            intake.take(0, segment, Hook.PREROUTING)

    first = parse_address("198.51.100.9")
    half(first)
    for number in range(2_000):
        half(b"\x20\x01\x0d\xb8\0\x66" + number.to_bytes(2, "big") + bytes(8))  # of one /48
    assert intake.torn(first)
    assert intake.counters()["torn"] == 10_000 // 8 + 1
    for number in range(10_000):
        half((0x0B000000 + 256 * number).to_bytes(4, "big"))
    counters = intake.counters()
    assert 9_900 < counters["torn"] <= 10_000
    assert counters["torn_evicted"] > 1_000
    assert not intake.torn(first)


@pytest.mark.parametrize(
    "before",
    [
        text("OPTIONS", 1).replace(
            b"\r\nContent-Length: 0", b"\r\n Content-Length: 0\r\nContent-Length: %d" % len(CALL)
        ),
        text("OPTIONS", 1).replace(b"Content-Length: 0", b"Content-Length: %d\r\nl: 0" % len(CALL)),
        text("OPTIONS", 1).replace(b"Content-Length: 0", b"l: %d\r\n\nA: b" % (len(CALL) + 8)),
        b"junk\r\nl: 999\r\n\r\n" + text("OPTIONS", 1).replace(b"Length: 0", b"Length: %d" % len(CALL)),
        text("OPTIONS", 1).replace(b"Content-Length: 0", b"Content-Length: 99999"),
        b"OPTIONS sip:%b SIP/2.0\r\n" % (b"x" * 9_000),
    ],
    ids=["folded", "two", "line-feeds", "garbage", "too-long", "long-line"],
)
def test_where_pbxs_may_cut_a_stream_otherwise_nothing_of_it_goes_on(before: bytes) -> None:
    wire = Wire(quarantined())
    wire.stream = text("OPTIONS", 5) + before + CALL
    first = len(text("OPTIONS", 5))
    assert wire.send(0, first).kind is VerdictKind.ACCEPT
    assert wire.send(first, len(wire.stream)).kind is VerdictKind.DROP
    assert wire.send(first, len(wire.stream)).kind is VerdictKind.DROP


@pytest.mark.parametrize(
    "before",
    [b"\r\n\r\n", b"\0\0\0\0", b"junk\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"],
)
def test_what_is_merely_no_message_ends_no_connection(before: bytes) -> None:
    wire = Wire(Story())
    wire.stream = before + text("OPTIONS", 1)
    assert wire.send(0, len(wire.stream)).kind is VerdictKind.ACCEPT


def test_a_connection_that_begins_as_tls_hides_no_call() -> None:
    wire = Wire(quarantined())
    wire.stream = b"\x16\x03\x01\r\n\r\n" + CALL
    assert wire.send(0, 7).kind is VerdictKind.ACCEPT
    assert wire.send(7, len(wire.stream)).kind is not VerdictKind.ACCEPT


def test_half_messages_take_a_bounded_memory_and_hide_no_call() -> None:
    story = quarantined()
    large = text("OPTIONS", 7).replace(b"Length: 0", b"Length: 60000") + b"x" * 59_000
    for number in range(200):  # twelve megabytes, of one network
        wire = Wire(story, port=20_000 + number)
        wire.stream = large
        wire.send(0, 30_000)
        wire.send(30_000, len(large))
    assert story.engine.counters()["half_bytes"] <= 2 * 1024 * 1024
    last = Wire(story, port=50_000)
    last.stream = CALL + large  # the segment that is one too many brings a call
    last.send(0, len(CALL) + 30_000)
    assert last.read == []
    assert b"INVITE" not in b"".join(last.read)


def test_many_connections_forgotten_for_one_large_message_are_all_remembered_as_torn() -> None:
    intake = Intake((5060,), lambda _source, _hook, _payload: False)
    pbx = parse_address("192.0.2.10")

    def half(source: bytes, size: int) -> None:
        start = text("OPTIONS", 7).replace(b"Length: 0", b"Length: 65000")
        for segment in (
            Segment(pbx, 5060, source, 40_000, 8_999, 1_000, SYN | ACK, b""),
            Segment(source, 40_000, pbx, 5060, 1_000, 9_000, ACK, (start + b"x" * 65_000)[:size]),
        ):
            intake.take(0, segment, Hook.PREROUTING)

    small = [bytes([198, 51, 100, number]) for number in range(200)]
    for source in small:
        half(source, 1)
    for number in range(200, 256):
        half(bytes([198, 51, 100, number]), 60_000)
    assert all(intake.torn(source) for source in small)
    assert intake.counters()["half_bytes"] <= 2 * 1024 * 1024
