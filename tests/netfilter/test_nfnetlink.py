"""Netlink messages: what is written is read back, and what is broken is counted, never raised."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.netfilter import nfnetlink

attributes = st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), max_size=6)


@given(st.lists(st.tuples(st.integers(1, 65_535), attributes), max_size=5))
def test_what_is_written_is_read_back(contents: list[tuple[int, list[tuple[int, bytes]]]]) -> None:
    data = b"".join(
        nfnetlink.message(kind, 5, 7, b"".join(nfnetlink.attribute(*one) for one in listed))
        for kind, listed in contents
    )
    found, faults = nfnetlink.messages(data)
    assert faults == 0
    assert [(one.kind, nfnetlink.attribute_list(one.body)) for one in found] == [
        (kind, (listed, 0)) for kind, listed in contents
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(data: bytes) -> None:
    found, faults = nfnetlink.messages(data)
    assert found or faults or not data
    for one in found:
        nfnetlink.attributes(one.body)
        nfnetlink.errno_of(one)
    nfnetlink.attributes(data, 4)


@given(attributes, st.integers(1, 60))
def test_a_cut_message_is_one_fault_and_what_came_before_it_stands(listed: list[tuple[int, bytes]], cut: int) -> None:
    whole = nfnetlink.message(3, 0, 1, b"".join(nfnetlink.attribute(*one) for one in listed))
    second = nfnetlink.message(4, 0, 2, b"x" * 60)
    found, faults = nfnetlink.messages((whole + second)[:-cut])
    assert [one.kind for one in found] == [3]
    assert faults == 1


def test_a_length_that_lies_neither_loops_nor_reads_beyond_the_end() -> None:
    for length in (0, 1, 3, 15, 17, 0xFFFFFFFF):
        header = nfnetlink.HEADER.pack(length, 2, 0, 0, 0)
        assert nfnetlink.messages(header) == ([], 1)
    for length in (0, 3, 9, 0xFFFF):
        assert nfnetlink.attribute_list(nfnetlink.ATTRIBUTE.pack(length, 1)) == ([], 1)


def test_an_answer_too_short_to_tell_is_a_failure() -> None:
    assert nfnetlink.errno_of(nfnetlink.Message(nfnetlink.REPLY, 0, 1, b"\0\0")) == 71
    assert nfnetlink.errno_of(nfnetlink.Message(nfnetlink.REPLY, 0, 1, b"\0\0\0\0")) == 0


def test_a_batch_names_its_generation() -> None:
    plain, bound = nfnetlink.batch(b"", 9), nfnetlink.batch(b"", 9, generation=0x01020304)
    assert len(bound) == len(plain) + 8
    assert b"\1\2\3\4" in bound
    assert [one.kind for one in nfnetlink.messages(bound)[0]] == [nfnetlink.BATCH_BEGIN, nfnetlink.BATCH_END]
