"""Classic capture files, plain or gzip, in pieces of any size; what is none is said in one line."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.wire.pcap import MAX_RECORD, SLICE, Captured, Reader, header, record

FRAMES = [(1_700_000_000_123_456_789 + number, bytes([number]) * number) for number in range(40)]
FILE = header(1) + b"".join(record(at, data) for at, data in FRAMES)


def read(data: bytes, *, step: int | None = None) -> tuple[Reader, list[Captured]]:
    """Read a file whole, or in pieces of `step` bytes."""
    reader = Reader()
    found: list[Captured] = []
    for start in range(0, len(data), step or len(data) or 1):
        found += reader.feed(data[start : start + (step or len(data))])
    reader.close()
    return reader, found


def plain(found: list[Captured]) -> list[tuple[int, bytes]]:
    """Give what can be compared."""
    return [(each.at, each.data) for each in found]


def classic(sign: Literal["<", ">"], magic: int, *records: tuple[int, int, int, bytes]) -> bytes:
    """Build a file: records are (seconds, fraction, original length, data)."""
    parts = [struct.pack(sign + "IHHiIII", magic, 2, 4, 0, 0, 65535, 113)]
    parts += [struct.pack(sign + "IIII", sec, part, len(data), size) + data for sec, part, size, data in records]
    return b"".join(parts)


def test_what_is_written_is_read() -> None:
    reader, found = read(FILE)
    assert plain(found) == FRAMES
    assert {each.linktype for each in found} == {1}
    assert (reader.error, reader.truncated, reader.faults) == (None, False, ())


@pytest.mark.parametrize("sign", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_either_byte_order_and_unit_of_time_is_read(sign: Literal["<", ">"], magic: int, unit: int) -> None:
    _, found = read(classic(sign, magic, (5, 7, 3, b"abc"), (6, 8, 9, b"abc")))
    assert plain(found) == [(5_000_000_000 + 7 * unit, b"abc"), (6_000_000_000 + 8 * unit, b"abc")]
    assert [each.truncated for each in found] == [False, True]
    assert found[0].linktype == 113


@pytest.mark.parametrize("step", [1, 2, 3, 7, 16, 17, 100])
@pytest.mark.parametrize("data", [FILE, gzip.compress(FILE)], ids=["plain", "gzip"])
def test_pieces_of_any_size_give_the_same(data: bytes, step: int) -> None:
    reader, found = read(data, step=step)
    assert plain(found) == FRAMES
    assert (reader.error, reader.truncated, reader.faults) == (None, False, ())


@pytest.mark.parametrize("step", [None, 1, 5])
def test_a_file_cut_anywhere_gives_what_was_whole_and_says_that_it_was_cut(step: int | None) -> None:
    ends = [len(header(1) + b"".join(record(*each) for each in FRAMES[:count])) for count in range(5)]
    for end in range(24, ends[-1]):
        reader, found = read(FILE[:end], step=step)
        assert plain(found) == FRAMES[: sum(each <= end for each in ends) - 1]
        assert reader.truncated == (end not in ends)
        assert reader.error is None


def test_what_is_no_capture_is_said_in_one_line() -> None:
    assert read(b"")[0].error == "empty file"
    assert read(gzip.compress(b""))[0].error == "empty file"
    for data in (b"\xd4", b"\xd4\xc3\xb2", b"\x1f", b"#!/bin/sh\n", b"x" * 100, gzip.compress(b"hello, world" * 9)):
        for step in (None, 1):
            reader, found = read(data, step=step)
            assert reader.error == "not a pcap or pcapng file"
            assert found == []
    for end in (4, 23):
        assert read(FILE[:end])[0].error == "the capture file ends inside its own head"
    assert read(b"\x1f\x8b" + b"x" * 50)[0].error == "damaged gzip data"
    assert read(gzip.compress(b"x" * 100)[:12])[0].error == "not a pcap or pcapng file"


def test_nothing_is_read_after_an_error() -> None:
    reader = Reader()
    assert reader.feed(b"x" * 100) == []
    assert reader.feed(FILE) == []
    reader.close()
    assert reader.error == "not a pcap or pcapng file"


def test_gzip_members_one_after_another_are_one_file() -> None:
    half = len(FILE) // 2
    data = gzip.compress(FILE[:half]) + gzip.compress(FILE[half:])
    for step in (None, 1, 9):
        reader, found = read(data, step=step)
        assert plain(found) == FRAMES
        assert not reader.truncated
    reader, found = read(data + b"trailing")
    assert plain(found) == FRAMES
    assert reader.faults == ("bytes after the end of the gzip data were ignored",)


def test_damaged_or_cut_gzip_gives_what_came_before() -> None:
    noise = random.Random(5).randbytes(50_000)
    data = gzip.compress(FILE + record(1, noise) + record(2, b"last"))
    reader, found = read(data[: len(data) // 2])
    assert plain(found) == FRAMES
    assert reader.truncated
    reader, found = read(data[:5000] + bytes(100) + data[5100:], step=100)
    assert plain(found)[: len(FRAMES)] == FRAMES
    assert reader.truncated
    assert reader.faults == ("the gzip data is damaged",)
    assert reader.feed(FILE) == []


def test_a_gzip_bomb_comes_out_in_slices() -> None:
    squeeze = zlib.compressobj(wbits=31)
    bomb = squeeze.compress(header(1) + record(1, bytes(1000)) * 20_000) + squeeze.flush()
    reader = Reader()
    most = count = 0
    for _ in reader.packets(bomb):
        count += 1
        most = max(most, reader._have)
    assert count == 20_000
    assert len(bomb) < 100_000
    assert most <= SLICE


def test_an_absurd_length_is_skipped_and_nothing_is_held() -> None:
    reader = Reader()
    assert reader.feed(FILE[:24] + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF)) == []
    for _ in range(100):
        assert reader.feed(bytes(100_000)) == []
        assert reader._have == 0
    reader.close()
    assert reader.truncated
    assert reader.faults == ("a record longer than 1 MiB was skipped",)


def test_the_record_after_one_too_long_is_read() -> None:
    for step in (None, 1000, 65536):
        _, found = read(header(1) + record(1, bytes(MAX_RECORD + 1)) + record(2, b"next"), step=step)
        assert plain(found) == [(2, b"next")]
    _, found = read(header(1) + record(1, bytes(MAX_RECORD)), step=4096)
    assert len(found[0].data) == MAX_RECORD


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", FILE[:24], b"\x1f\x8b\x08\0", b"\x0a\x0d\x0d\x0a"]),
    st.integers(1, 50),
)
def test_any_bytes_in_any_pieces_give_the_same_and_never_raise(data: bytes, start: bytes, step: int) -> None:
    whole, found = read(start + data)
    pieces, again = read(start + data, step=step)
    assert plain(found) == plain(again)
    assert (whole.error, whole.truncated, whole.faults) == (pieces.error, pieces.truncated, pieces.faults)
