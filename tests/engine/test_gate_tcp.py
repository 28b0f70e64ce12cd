"""Over TCP nothing reaches the PBX that was not judged, however the stream is cut, and what is good arrives."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.model import MINUTE, Account, VerdictKind
from tests.engine.gated import Wire, text
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
