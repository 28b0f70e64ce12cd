"""Waiting for descriptors: what has something is told, and now and then everything is."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sipguard.capture.waiting import LOOK, Waiting
from sipguard.model import MILLISECOND, SECOND


class Nothing:
    """Has no descriptor."""

    def fileno(self) -> int:
        return -1


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made = [socket.socketpair() for _ in range(2)]
    yield made
    for ends in made:
        for each in ends:
            each.close()


def test_before_and_in_the_first_wait_everything_is_looked_at(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    waiting, (ours, _) = Waiting(), pairs[0]
    assert waiting.heard(ours)
    waiting.wait([ours], None, 0)
    assert waiting.heard(ours)


def test_only_what_has_something_is_heard_until_the_next_look(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    waiting, (one, to_one), (other, _) = Waiting(), *pairs
    waiting.wait([one, other], None, 0)
    to_one.send(b"x")
    waiting.wait([one, Nothing(), other], None, SECOND)
    assert (waiting.heard(one), waiting.heard(other), waiting.heard(Nothing())) == (True, False, False)
    one.recv(1)
    waiting.wait([one, other], None, 0)
    assert not waiting.heard(one)
    waiting.wait([one, other], None, LOOK + MILLISECOND)
    assert waiting.heard(one)
    assert waiting.heard(other)


def test_room_to_write_ends_a_wait_and_another_set_of_descriptors_is_taken_up(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    waiting, (one, to_one), (other, _) = Waiting(), *pairs
    waiting.wait([one], None, 0)
    waiting.wait([one, other], other, 60 * SECOND)
    assert waiting.heard(other)
    assert not waiting.heard(one)
    to_one.close()
    waiting.wait([one], None, 60 * SECOND)  # the other end is gone: that is something to read
    assert waiting.heard(one)
