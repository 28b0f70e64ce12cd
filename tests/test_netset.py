"""Networks in sets: for every address, what the answer says equals what the inputs say."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_address, parse_network
from sipguard.netset import NetSet, cover, disjoint, is_network, last_of, plain, prefixes, subtract

# A world of 256 IPv4 and 256 IPv6 addresses at the very top, where sums overflow, so that every address can be tried.
_TOPS = {4: b"\xff" * 3, 16: b"\xff" * 15}
ADDRESSES = [top + bytes([last]) for top in _TOPS.values() for last in range(256)]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    length = draw(st.sampled_from([4, 16]))
    shift = draw(st.integers(0, 8))
    value = draw(st.integers(0, 255)) >> shift << shift
    return Network(_TOPS[length] + bytes([value]), length * 8 - shift)


many = st.lists(networks(), max_size=12)
held = st.lists(st.tuples(networks(), st.integers(0, 5)), max_size=12)


def latest(items: list[tuple[Network, int]], address: bytes) -> int | None:
    return max((end for network, end in items if network.covers(address)), default=None)


@given(held)
def test_every_address_has_the_latest_end_of_all_networks_that_cover_it(items: list[tuple[Network, int]]) -> None:
    cut = disjoint(items)
    for address in ADDRESSES:
        ends = [end for network, end in cut if network.covers(address)]
        assert len(ends) <= 1
        assert (ends[0] if ends else None) == latest(items, address)


@given(held, st.randoms(use_true_random=False))
def test_the_order_of_networks_does_not_matter(items: list[tuple[Network, int]], rng: random.Random) -> None:
    mixed = items.copy()
    rng.shuffle(mixed)
    assert disjoint(items) == disjoint(mixed)
    assert cover(network for network, _ in items) == cover(network for network, _ in mixed)


@given(held, st.tuples(networks(), st.integers(0, 5)))
def test_adding_to_what_was_cut_equals_cutting_everything(
    items: list[tuple[Network, int]], more: tuple[Network, int]
) -> None:
    once = disjoint(items)
    assert disjoint(once) == once
    assert disjoint([*once, more]) == disjoint([*items, more])


@given(many, networks())
def test_a_set_covers_and_overlaps_exactly_what_its_networks_do(inside: list[Network], other: Network) -> None:
    made = NetSet(inside)
    covered = [any(network.covers(address) for network in inside) for address in ADDRESSES]
    assert [made.covers(address) for address in ADDRESSES] == covered
    common = any(is_in and other.covers(address) for is_in, address in zip(covered, ADDRESSES, strict=True))
    assert made.overlaps(other) is common


@given(many, many)
def test_what_is_left_after_subtraction_is_in_the_first_and_not_in_the_second(
    inside: list[Network], holes: list[Network]
) -> None:
    left = subtract(inside, holes)
    for address in ADDRESSES:
        wanted = NetSet(inside).covers(address) and not NetSet(holes).covers(address)
        assert [network.covers(address) for network in left].count(True) == int(wanted)


@given(many)
def test_a_cover_is_disjoint_valid_and_cannot_be_shortened(inside: list[Network]) -> None:
    made = cover(inside)
    assert all(is_network(network) for network in made)
    for one, other in itertools.pairwise(made):
        if len(one.address) == len(other.address):
            assert last_of(one) < other.address
            assert len(prefixes(one.address, last_of(other))) > 1 or not touching(one, other)


def touching(one: Network, other: Network) -> bool:
    return int.from_bytes(last_of(one)) + 1 == int.from_bytes(other.address)


def test_the_whole_internet_minus_one_address_is_one_network_for_each_bit() -> None:
    left = subtract([parse_network("0.0.0.0/0")], [parse_network("198.51.100.7")])
    assert len(left) == 32
    assert not NetSet(left).covers(parse_address("198.51.100.7"))
    assert NetSet(left).covers(parse_address("198.51.100.6"))


def test_an_ipv4_mapped_network_is_the_ipv4_network() -> None:
    mapped = Network(b"\0" * 10 + b"\xff\xff\xc0\x00\x02\x00", 120)
    assert plain(mapped) == parse_network("192.0.2.0/24")
    assert NetSet([mapped]).covers(parse_address("192.0.2.9"))
    assert NetSet([parse_network("192.0.2.0/24")]).covers(b"\0" * 10 + b"\xff\xff\xc0\x00\x02\x09")
    assert NetSet([parse_network("192.0.2.0/24")]).overlaps(mapped)


@pytest.mark.parametrize(
    "network", [Network(b"\1\2\3\4", 24), Network(b"\1\2\3", 24), Network(b"\0" * 4, 33), Network(b"\0" * 16, -1)]
)
def test_what_is_no_network_is_known(network: Network) -> None:
    assert not is_network(network)


def test_an_address_of_no_family_is_in_no_set() -> None:
    assert not NetSet([parse_network("0.0.0.0/0"), parse_network("::/0")]).covers(b"\1\2\3")


def test_ten_thousand_nested_and_scattered_networks_are_cut_in_one_pass() -> None:
    items = [(Network(bytes([10, high, low, 0]), 24), high + low) for high in range(40) for low in range(250)]
    items += [(Network(bytes([10, high, 0, 0]), 16), 100) for high in range(40)]
    cut = disjoint([*items, (parse_network("10.0.0.0/8"), 50)])
    for address in (bytes([10, 3, 200, 9]), bytes([10, 3, 5, 9]), bytes([10, 99, 5, 9])):
        assert [end for network, end in cut if network.covers(address)] == [
            latest([*items, (parse_network("10.0.0.0/8"), 50)], address)
        ]
