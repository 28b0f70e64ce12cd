"""The socket pair: nothing raises, nothing grows without end, no delta is lost to a keeper that died."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator

import pytest

from sipguard.control.pair import DATAGRAM, LARGEST, Message, Pair, open_pair


@pytest.fixture
def ends() -> Iterator[tuple[Pair, Pair]]:
    ours, theirs = open_pair()
    left, right = Pair(ours), Pair(theirs)
    yield left, right
    left.close()
    right.close()


def carry(sender: Pair, receiver: Pair, most: int = 10_000) -> list[Message]:
    """Move everything across, in turns, as two loops would."""
    found: list[Message] = []
    for _ in range(most):
        done = sender.flush()
        found += receiver.receive()
        if done and not select.select([receiver.fileno()], [], [], 0)[0]:
            return found
    pytest.fail("never came to an end")


def test_messages_arrive_whole_and_in_order(ends: tuple[Pair, Pair]) -> None:
    left, right = ends
    for number in range(5000):
        left.send({"t": "state", "items": [number]})
    assert [message["items"][0] for message in carry(left, right)] == list(range(5000))
    assert left.held == 0


def test_a_large_message_is_split_and_put_together(ends: tuple[Pair, Pair]) -> None:
    left, right = ends
    text = "ü\n\x00" * 100_000
    left.send({"t": "hello"})
    left.send({"t": "policy", "text": text})
    left.send({"t": "bye"})
    assert carry(left, right) == [{"t": "hello"}, {"t": "policy", "text": text}, {"t": "bye"}]
    assert left.held == 0
    assert right.faults == 0


def test_no_datagram_is_over_64_kib(ends: tuple[Pair, Pair]) -> None:
    left, right = ends
    for size in (DATAGRAM - 30, DATAGRAM, DATAGRAM + 30, 3 * DATAGRAM):
        left.send({"t": "x", "text": "a" * size})
    left._load()
    while left._load():
        pass
    assert max(map(len, left._outgoing)) <= 64 * 1024
    assert len(carry(left, right)) == 4


def test_reports_go_before_deltas_when_room_is_short() -> None:
    pair = Pair(most=10_000)
    for number in range(20):
        pair.send({"t": "delta", "what": {}, "offset": 0, "number": number})
    for number in range(1000):
        pair.send({"t": "report", "line": {"number": number}})
    assert pair.held <= 10_000
    assert pair.lost_reports > 0
    assert pair.lost_deltas == 0
    assert len(pair._deltas) == 20
    assert json.loads(pair._reports[-1])["line"]["number"] == 999  # the youngest stay


def test_deltas_are_bounded_too_and_their_loss_is_counted() -> None:
    pair = Pair(most=10_000)
    for number in range(1000):
        pair.send({"t": "delta", "what": {"number": number}, "offset": 0})
    assert pair.held <= 10_000
    assert pair.lost_deltas == 1000 - len(pair._deltas)


def test_what_is_too_large_is_refused_and_counted() -> None:
    pair = Pair()
    pair.send({"t": "report", "line": "a" * LARGEST})
    assert (pair.lost_reports, pair.held) == (1, 0)


def test_unacknowledged_deltas_go_to_the_next_keeper() -> None:
    ours, theirs = open_pair()
    packet, keeper = Pair(ours), Pair(theirs)
    for number in range(300):
        packet.send({"t": "delta", "what": {"number": number}, "offset": 0})
    seen = carry(packet, keeper)
    keeper.send({"t": "ack", "n": seen[99]["n"]})
    assert carry(keeper, packet) == []
    packet.send({"t": "delta", "what": {"number": 300}, "offset": 0})
    keeper.close()
    assert packet.receive() == []
    assert not packet.open
    ours, theirs = open_pair()
    packet.attach(ours)
    again = Pair(theirs)
    packet.send({"t": "hello"})
    got = carry(packet, again)
    assert got[0]["t"] == "hello"
    assert [message["what"]["number"] for message in got[1:]] == list(range(100, 301))
    again.send({"t": "ack", "n": got[-1]["n"]})
    assert carry(again, packet) == []
    assert packet.held == 0
    packet.close()
    again.close()


def test_what_a_dying_side_left_is_still_read(ends: tuple[Pair, Pair]) -> None:
    packet, keeper = ends
    keeper.send({"t": "request"})  # unread by the packet side at its end: the kernel then reports a reset first
    keeper.flush()
    packet.send({"t": "delta", "what": {}, "offset": 0})
    packet.flush()
    packet.close()
    keeper.send({"t": "ack"})
    keeper.flush()
    assert [message["t"] for message in keeper.receive()] == ["delta"]
    keeper.receive()
    assert not keeper.open
    assert not keeper.wanting


@pytest.mark.parametrize(
    "datagram",
    [
        b"x",
        b"=",
        b"={",
        b"=[]",
        b'={"t":1}',
        b'={"a":2}',
        b"=" + b"[" * 50_000,
        b"=\xff\xfe",
        b".{",
        b'={"t":"ack","n":"x"}',
        b"=" + b"9" * 5000,
        b'={"t":"x","text":"' + b"a" * (DATAGRAM + 10) + b'"}',
    ],
)
def test_malformed_input_is_counted_and_the_next_message_is_read(datagram: bytes) -> None:
    raw, theirs = open_pair()
    pair = Pair(theirs)
    raw.send(datagram)
    raw.send(b'={"t":"hello"}')
    assert pair.receive() == [{"t": "hello"}]
    assert pair.faults == 1
    raw.close()
    pair.close()


def test_pieces_without_end_are_dropped_at_the_limit() -> None:
    raw, theirs = open_pair()
    raw.setblocking(True)
    pair = Pair(theirs)
    piece = b"+" + b"a" * (DATAGRAM - 1)
    for _ in range(LARGEST // DATAGRAM + 5):
        raw.send(piece)
        pair.receive()
    assert len(pair._pieces) <= LARGEST
    raw.send(b".")
    raw.send(b'={"t":"hello"}')
    assert pair.receive() == [{"t": "hello"}]
    assert pair.faults == 1
    raw.close()
    pair.close()


def test_a_deaf_other_side_blocks_nobody() -> None:
    ours, theirs = open_pair()
    pair = Pair(ours, most=100_000)
    for _ in range(200_000):
        pair.send({"t": "report", "line": {}})
        pair.flush()
        if pair.lost_reports:
            break
    assert pair.lost_reports > 0
    assert pair.wanting
    pair.close()
    theirs.close()


def test_a_stream_end_is_an_end_not_a_fault() -> None:
    ours, theirs = open_pair()
    pair = Pair(ours)
    theirs.close()
    assert pair.receive() == []
    assert not pair.open
    pair.send({"t": "bye"})
    assert pair.flush() is False
    pair.close()
    assert pair.fileno() == -1
    assert isinstance(ours, socket.socket)
