"""The two short ways to sort a head read the same, and leave to the careful one what needs care."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.grammar import HEADER_NAMES, USUAL_NAMES
from sipguard.sip.head import sort_plainly, sort_usual

NAMES = st.sampled_from([*USUAL_NAMES.values(), b"v", b"VIA", b"call-id", b"X-Y", b"", b" From", b"To "])
_VALUES = st.sampled_from([b"", b"a:b", b" c"])
LINES = st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b""]), _VALUES), max_size=9)


@given(LINES)
def test_what_both_read_they_read_alike(parts: list[tuple[bytes, bytes, bytes]]) -> None:
    lines = [b"".join(each) for each in parts]
    usual, plain = sort_usual(lines), sort_plainly(lines)
    if usual is not None:
        assert plain == ({HEADER_NAMES[name]: value for name, value in usual.items()}, None)


def test_each_known_header_has_one_usual_spelling() -> None:
    assert len(set(USUAL_NAMES.values())) == len(USUAL_NAMES)
    assert all(HEADER_NAMES[spelling] == name for name, spelling in USUAL_NAMES.items())


@pytest.mark.parametrize("odd", [b"v: x", b"via: x", b"Via", b"Via:", b" Via: x", b"Via : x", b"X-Other: x", b""])
def test_anything_unusual_is_left_to_the_other_ways(odd: bytes) -> None:
    assert sort_usual([b"From: a", odd]) is None
    assert sort_usual([b"From: a", b"From: b"]) is None
    assert sort_usual([b"From: a"]) == {b"From": b" a"}
