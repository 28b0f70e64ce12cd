"""A list that goes over the pair arrives whole, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sipguard.address import Network, parse_network
from sipguard.control.lists import MOST, PIECE, Gathering, pieces
from sipguard.model import Feed


def feed(count: int) -> Feed:
    return Feed("bad", tuple(Network(bytes([45, *number.to_bytes(3)]), 32) for number in range(count)), block=True)


@pytest.mark.parametrize("count", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_list_is_cut_and_put_together_again(count: int) -> None:
    gathering = Gathering()
    found = [gathering.take(json.loads(json.dumps(message))) for message in pieces(feed(count))]
    assert found[-1] == feed(count)
    assert not any(found[:-1])


def test_networks_of_both_families_arrive_as_they_were() -> None:
    networks = tuple(parse_network(text) for text in ("45.96.0.0/20", "2001:db8:1::/48", "2001:db8:2::/64"))
    (message,) = pieces(Feed("mixed", networks))
    assert Gathering().take(message) == Feed("mixed", networks, block=False)


def test_a_piece_whose_beginning_was_lost_is_refused_and_the_next_list_is_read() -> None:
    gathering = Gathering()
    first, second = pieces(feed(PIECE + 1))
    with pytest.raises(ValueError, match="not begun"):
        gathering.take(second)
    assert gathering.take(first) is None
    (other,) = pieces(Feed("other", ()))
    assert gathering.take(other) == Feed("other", ())
    with pytest.raises(ValueError, match="not begun"):
        gathering.take(second)


def test_a_list_without_end_is_dropped() -> None:
    gathering = Gathering()
    message: dict[str, Any] = next(iter(pieces(feed(PIECE + 1))))
    gathering.take(message)
    for _ in range(MOST // PIECE):
        gathering.take(message | {"first": False})
    with pytest.raises(ValueError, match="no end"):
        gathering.take(message | {"first": False})
    assert not gathering._networks


@pytest.mark.parametrize("broken", [{"networks": ["nonsense"]}, {"networks": 5}, {"networks": [5]}])
def test_what_cannot_be_read_is_an_error_that_the_packet_process_expects(broken: dict[str, Any]) -> None:
    (message,) = pieces(feed(1))
    with pytest.raises((ValueError, TypeError, KeyError)):
        Gathering().take(message | broken)
