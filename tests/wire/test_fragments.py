"""Fragments make one datagram or none, within the budget; `test_kernel_fragments.py` compares with Linux."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6
from scapy.packet import Raw

from sipguard.model import SECOND
from sipguard.wire.fragments import OVERHEAD, Fragments, FragmentsConfig
from sipguard.wire.l4 import Datagram, decode

BODY = bytes(range(256)) * 8
V4 = IP(src="203.0.113.9", dst="192.0.2.5", id=7) / UDP(dport=5060) / Raw(BODY)
V6 = IPv6(src="2001:db8::9", dst="2001:db8::5") / IPv6ExtHdrFragment(id=7) / UDP(dport=5060) / Raw(BODY)
PIECES4 = [bytes(each) for each in fragment(V4, fragsize=400)]  # type: ignore[no-untyped-call]
PIECES6 = [bytes(each) for each in fragment6(V6, 600)]  # type: ignore[no-untyped-call]
PIECES = pytest.mark.parametrize("pieces", [PIECES4, PIECES6], ids=["v4", "v6"])


def feed(fragments: Fragments, at: int, number: int, *, source: bytes = b"\xcb\x00\x71\x09", length: int = 8) -> None:
    """Begin a datagram that is never finished."""
    fragments.feed(at, source, b"\xc0\x00\x02\x05", number, 17, 0, bytes(length), more=True)


def payloads(pieces: list[bytes], fragments: Fragments | None = None) -> list[bytes]:
    """Decode packets one after another and give the payloads."""
    kept = Fragments() if fragments is None else fragments
    found = [decode(0, each, kept) for each in pieces]
    return [each.payload for each in found if isinstance(each, Datagram)]


@PIECES
def test_fragments_in_any_order_and_any_number_give_the_datagram_once_each(pieces: list[bytes]) -> None:
    for seed in range(50):
        choose = random.Random(seed)
        order = pieces + choose.sample(pieces, 2)
        choose.shuffle(order)
        fragments = Fragments()
        assert payloads(order, fragments) == [BODY]
        assert fragments.reassembled == 1
        assert fragments.held_bytes <= sum(map(len, pieces)) + OVERHEAD * len(pieces)


@PIECES
def test_a_datagram_with_a_piece_missing_is_none(pieces: list[bytes]) -> None:
    for missing in range(len(pieces)):
        assert payloads(pieces[:missing] + pieces[missing + 1 :]) == []


@PIECES
def test_a_fragment_that_the_capture_cut_is_not_used(pieces: list[bytes]) -> None:
    assert payloads([pieces[0][:-1], *pieces[1:]]) == []


def test_extension_headers_behind_the_fragment_header_are_read() -> None:
    packet = IPv6(src="2001:db8::9", dst="2001:db8::5") / IPv6ExtHdrFragment(id=7) / IPv6ExtHdrDestOpt()
    pieces = fragment6(packet / UDP(dport=5060) / Raw(BODY), 600)  # type: ignore[no-untyped-call]
    assert payloads([bytes(each) for each in pieces]) == [BODY]


def test_a_fragment_header_inside_a_reassembled_datagram_is_refused() -> None:
    inner = bytes(IPv6ExtHdrFragment(nh=17, id=8) / UDP(dport=5060) / Raw(BODY))
    outer = IPv6(src="2001:db8::9", dst="2001:db8::5") / IPv6ExtHdrFragment(nh=44, id=7)
    half = len(inner) // 16 * 8
    first = outer.copy()
    first[IPv6ExtHdrFragment].m = 1
    second = outer.copy()
    second[IPv6ExtHdrFragment].offset = half // 8
    assert payloads([bytes(first / Raw(inner[:half])), bytes(second / Raw(inner[half:]))]) == []


def test_datagrams_of_other_numbers_protocols_and_senders_do_not_mix() -> None:
    fragments = Fragments()
    head = (0, b"\xcb\x00\x71\x09", b"\xc0\x00\x02\x05")
    assert fragments.feed(*head, 1, 17, 0, bytes(8), more=True) is None
    assert fragments.feed(*head, 2, 17, 8, b"x", more=False) is None
    assert fragments.feed(*head, 1, 6, 8, b"x", more=False) is None
    assert fragments.feed(0, b"\xcb\x00\x71\x0a", head[2], 1, 17, 8, b"x", more=False) is None
    assert fragments.feed(*head, 1, 17, 8, b"x", more=False) == (17, bytes(8) + b"x")


def test_the_protocol_of_an_ipv6_datagram_is_that_of_its_first_fragment() -> None:
    fragments = Fragments()
    head = (0, bytes(16), bytes(16), 1)
    assert fragments.feed(*head, 6, 8, b"x", more=False) is None
    assert fragments.feed(*head, 17, 0, bytes(8), more=True) == (17, bytes(8) + b"x")


@pytest.mark.parametrize("more", [True, False])
def test_extents_that_cannot_be_throw_the_datagram_away(*, more: bool) -> None:
    head = (0, b"\xcb\x00\x71\x09", b"\xc0\x00\x02\x05", 1, 17)
    for offset, data in ((65528, bytes(800)), (16, b"")):
        fragments = Fragments()
        fragments.feed(*head, 0, bytes(8), more=True)
        fragments.feed(*head, offset, data, more=more)
        assert fragments.malformed == 1
        assert len(fragments) == fragments.held_bytes == 0


def test_a_last_fragment_short_of_what_was_seen_throws_the_datagram_away() -> None:
    fragments = Fragments()
    head = (0, b"\xcb\x00\x71\x09", b"\xc0\x00\x02\x05", 1, 17)
    fragments.feed(*head, 16, bytes(8), more=True)
    fragments.feed(*head, 8, b"x", more=False)
    assert fragments.malformed == 1


@pytest.mark.parametrize(("source", "seconds"), [(b"\xcb\x00\x71\x09", 30), (bytes(16), 60)], ids=["v4", "v6"])
def test_a_datagram_older_than_linux_keeps_it_is_begun_anew(source: bytes, seconds: int) -> None:
    for late, expected in ((0, True), (1, False)):
        fragments = Fragments()
        fragments.feed(0, source, source, 1, 17, 0, bytes(8), more=True)
        found = fragments.feed(seconds * SECOND + late, source, source, 1, 17, 8, b"x", more=False)
        assert (found is not None) is expected
        assert fragments.expired == late


def test_one_network_that_fills_its_share_evicts_only_its_own() -> None:
    fragments = Fragments(FragmentsConfig(max_datagrams=64, share=8))
    feed(fragments, 0, 1, source=b"\xc6\x33\x64\x01")
    for number in range(1000):
        feed(fragments, 1, number, source=bytes([203, 0, 113, number % 256]))
    assert len(fragments) == 8 + 1
    assert fragments.evicted == 1000 - 8
    assert fragments.feed(2, b"\xc6\x33\x64\x01", b"\xc0\x00\x02\x05", 1, 17, 8, b"x", more=False) is not None


def test_one_ipv6_site_is_one_network() -> None:
    fragments = Fragments(FragmentsConfig(max_datagrams=64, share=8))
    for number in range(100):
        source = bytes([0x20, 1, 0xD, 0xB8, 0, 0, number]) + bytes(9)
        fragments.feed(0, source, source, 1, 17, 0, bytes(8), more=True)
    assert len(fragments) == 8


def test_many_networks_evict_the_oldest() -> None:
    fragments = Fragments(FragmentsConfig(max_datagrams=64, share=8))
    for number in range(1000):
        feed(fragments, 0, 1, source=bytes([203, number // 256, number % 256, 1]))
    assert len(fragments) == 64
    assert fragments.evicted == 1000 - 64


def test_bytes_are_capped_for_a_network_and_for_all() -> None:
    fragments = Fragments(FragmentsConfig(max_bytes=80_000, share=8))
    for number in range(100):
        feed(fragments, 0, number, length=1000)
        assert fragments.held_bytes <= 10_000
    for number in range(1000):
        feed(fragments, 0, 1, source=bytes([203, number // 256, number % 256, 1]), length=1000)
        assert fragments.held_bytes <= 80_000
    assert fragments.evicted


def test_a_quiet_table_empties() -> None:
    fragments = Fragments()
    for number in range(50):
        feed(fragments, 0, number)
    for number in range(50):
        feed(fragments, 100 * SECOND, 1000 + number)
    assert len(fragments) == 50
    assert fragments.expired == 50


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.binary(max_size=40), st.booleans()), max_size=40),
    st.integers(1, 6),
)
def test_any_fragments_keep_the_books_right(fed: list[tuple[int, int, bytes, bool]], datagrams: int) -> None:
    fragments = Fragments(FragmentsConfig(max_datagrams=datagrams, max_bytes=4000, share=2))
    for ident, offset, data, more in fed:
        fragments.feed(0, bytes([1, 1, ident, 1]), bytes(4), ident, 17, offset * 8, data, more=more)
        assert len(fragments) <= datagrams
        assert fragments.held_bytes == sum(each.cost for each in fragments._partials.values())
        assert fragments.held_bytes == sum(each.cost for each in fragments._shares.values()) <= 4000


def test_eight_thousand_tiny_fragments_in_reverse_are_put_together() -> None:
    fragments = Fragments(FragmentsConfig(max_bytes=1 << 24))
    head = (0, b"\xcb\x00\x71\x09", b"\xc0\x00\x02\x05", 1, 17)
    found = fragments.feed(*head, 65_504, b"12345678", more=False)
    for offset in range(65_496, -1, -8):
        found = fragments.feed(*head, offset, b"abcdefgh", more=True)
    assert found == (17, b"abcdefgh" * 8188 + b"12345678")
