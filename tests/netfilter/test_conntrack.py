"""Connection tracking's answers: whatever they are, reading them raises nothing; questions have one form."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from sipguard.netfilter import conntrack, nfnetlink

ONE, TWO = b"\xc0\0\2\1", b"\xc0\0\2\2"


def answered(status: int, timeout: int, sequence: int = 7) -> bytes:
    body = nfnetlink.attribute(3, struct.pack(">I", status)) + nfnetlink.attribute(7, struct.pack(">I", timeout))
    return nfnetlink.message(conntrack.NEW, 0, sequence, nfnetlink.generic(2) + body)


def test_an_entry_is_read_with_its_time_and_whether_both_ends_were_heard() -> None:
    assert conntrack.replies(answered(0x18E, 119)) == [conntrack.Reply(7, conntrack.Entry(True, 119), 0)]
    assert conntrack.replies(answered(0x18A, 29)) == [conntrack.Reply(7, conntrack.Entry(False, 29), 0)]


def test_a_refusal_says_why_and_what_says_nothing_is_no_entry() -> None:
    none = nfnetlink.message(nfnetlink.REPLY, 0, 3, struct.pack("=i", -2) + bytes(16))
    empty = nfnetlink.message(conntrack.NEW, 0, 4, nfnetlink.generic(2))
    assert conntrack.replies(none + empty) == [conntrack.Reply(3, None, 2), conntrack.Reply(4, None, 0)]


def test_ends_that_cannot_be_of_one_connection_are_not_asked_about() -> None:
    assert conntrack.question(ONE, 1, bytes(16), 2, 1) == b""
    assert conntrack.question(b"", 0, b"", 0, 1) == b""
    assert conntrack.question(ONE, 40000, TWO, 10000, 1)[:8] == struct.pack("=IHH", 72, conntrack.GET, 1)


@given(st.binary(max_size=200), st.integers(0, 80))
def test_no_bytes_raise(data: bytes, cut: int) -> None:
    conntrack.replies(data)
    conntrack.replies(answered(6, 10)[:cut] + data)
    conntrack.replies(nfnetlink.message(conntrack.NEW, 0, 1, data))
