"""pcapng in either byte order, with any number of interfaces and clocks; what is damaged is skipped and said."""

from __future__ import annotations

import gzip
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.wire.pcap import Captured, Reader
from sipguard.wire.pcapng import MAX_BLOCK, MAX_INTERFACES

PACKET = b"\x45packet"


class Maker:
    """Builds blocks in one byte order."""

    def __init__(self, sign: str = "<") -> None:
        self.sign = sign

    def pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self.sign + form, *values)

    def block(self, kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        length = len(body) + 12
        return self.pack("II", kind, length) + body + self.pack("I", length)

    def section(self) -> bytes:
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(
        self, linktype: int = 1, snaplen: int = 0, *, options: list[tuple[int, bytes]] | None = None
    ) -> bytes:
        body = self.pack("HHI", linktype, 0, snaplen)
        for code, value in options or []:
            body += self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)
        return self.block(1, body + self.pack("HH", 0, 0))

    def packet(self, units: int, data: bytes = PACKET, *, interface: int = 0, original: int | None = None) -> bytes:
        size = len(data) if original is None else original
        return self.block(6, self.pack("IIIII", interface, units >> 32, units & 0xFFFFFFFF, len(data), size) + data)

    def old_packet(self, units: int, data: bytes = PACKET) -> bytes:
        body = self.pack("HHIIII", 0, 9, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
        return self.block(2, body + data)

    def simple(self, data: bytes, original: int) -> bytes:
        return self.block(3, self.pack("I", original) + data)


LITTLE = Maker("<")
BIG = Maker(">")
START = LITTLE.section() + LITTLE.interface()


def read(data: bytes, step: int | None = None) -> tuple[Reader, list[Captured]]:
    """Read a file whole, or in pieces of `step` bytes."""
    reader = Reader()
    found: list[Captured] = []
    for start in range(0, len(data), step or len(data)):
        found += reader.feed(data[start : start + (step or len(data))])
    reader.close()
    return reader, found


def plain(found: list[Captured]) -> list[tuple[int, int, bytes]]:
    """Give what can be compared."""
    return [(each.at, each.linktype, each.data) for each in found]


@pytest.mark.parametrize("step", [None, 1, 5, 64])
@pytest.mark.parametrize("make", [LITTLE, BIG], ids=["little", "big"])
def test_every_kind_of_packet_is_read_in_either_byte_order(make: Maker, step: int | None) -> None:
    data = make.section() + make.interface(113) + make.packet(5_000_001) + make.old_packet(6_000_002, b"old")
    data += make.simple(b"simple", 6)
    for whole in (data, gzip.compress(data)):
        reader, found = read(whole, step)
        assert plain(found) == [
            (5_000_001_000, 113, PACKET),
            (6_000_002_000, 113, b"old"),
            (6_000_002_000, 113, b"simple"),
        ]
        assert (reader.error, reader.truncated, reader.faults) == (None, False, ())


def test_sections_one_after_another_may_differ_in_byte_order_and_interfaces() -> None:
    data = START + LITTLE.packet(1) + BIG.section() + BIG.interface(101) + BIG.interface(276)
    _, found = read(data + BIG.packet(2, interface=1) + START + LITTLE.packet(3))
    assert plain(found) == [(1000, 1, PACKET), (2000, 276, PACKET), (3000, 1, PACKET)]


@pytest.mark.parametrize(
    ("options", "units", "at"),
    [
        ([(9, b"\x06")], 7, 7_000),
        ([(9, b"\x09")], 7, 7),
        ([(9, b"\x00")], 7, 7_000_000_000),
        ([(9, b"\x0c")], 7_999, 7),
        ([(9, b"\x8a")], 1024 + 512, 1_500_000_000),
        ([(9, b"\xff")], 5, 0),
        ([(14, (100).to_bytes(8, "little"))], 7, 100_000_007_000),
        ([(14, (-1).to_bytes(8, "little", signed=True))], 2_000_000, 1_000_000_000),
        ([(2, b"eth0"), (9, b"\x09"), (14, (1).to_bytes(8, "little")), (5000, b"xyz")], 7, 1_000_000_007),
        ([(9, b""), (14, b"short")], 7, 7_000),
    ],
)
def test_each_interface_has_its_clock(options: list[tuple[int, bytes]], units: int, at: int) -> None:
    data = LITTLE.section() + LITTLE.interface(1) + LITTLE.interface(1, options=options)
    _, found = read(data + LITTLE.packet(units, interface=1) + LITTLE.packet(1))
    assert [each.at for each in found] == [at, 1000]


def test_an_impossible_time_is_that_of_the_packet_before() -> None:
    seconds = LITTLE.interface(options=[(9, b"\x00")])
    negative = LITTLE.interface(options=[(14, (-5).to_bytes(8, "little", signed=True))])
    data = START + seconds + negative + LITTLE.packet(4) + LITTLE.packet(1 << 63, interface=1)
    reader, found = read(data + LITTLE.packet(0, interface=2))
    assert [each.at for each in found] == [4000] * 3
    assert len(reader.faults) == 1


def test_a_snap_length_cuts_simple_packets_and_is_told() -> None:
    data = LITTLE.section() + LITTLE.interface(1, 4) + LITTLE.simple(b"abcd", 100) + LITTLE.packet(1, b"ab", original=9)
    _, found = read(data)
    assert [(each.data, each.truncated) for each in found] == [(b"abcd", True), (b"ab", True)]


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (LITTLE.packet(1, interface=1), "not described"),
        (LITTLE.block(6, bytes(12)), "too short"),
        (LITTLE.block(2, bytes(12)), "too short"),
        (LITTLE.block(3, b""), "simple packet"),
        (LITTLE.block(1, b"\x01"), "interface block too short"),
        (LITTLE.block(6, struct.pack("<IIIII", 0, 0, 0, 500, 500) + b"x"), "longer than its block"),
    ],
)
def test_a_damaged_block_is_a_fault_and_the_next_is_read(block: bytes, fault: str) -> None:
    reader, found = read(START + block + LITTLE.packet(2))
    assert plain(found) == [(2000, 1, PACKET)]
    assert len(reader.faults) == 1
    assert fault in reader.faults[0]


def test_other_blocks_are_skipped_however_long() -> None:
    long = LITTLE.block(0xBAD, bytes(3 * MAX_BLOCK))
    for step in (None, 65536, 1_000_003):
        reader, found = read(START + LITTLE.block(5, bytes(40)) + long + LITTLE.packet(2), step)
        assert plain(found) == [(2000, 1, PACKET)]
        assert reader.faults == ()
    reader, found = read(START + LITTLE.packet(1, bytes(MAX_BLOCK)) + LITTLE.packet(2), 65536)
    assert plain(found) == [(2000, 1, PACKET)]
    assert reader.faults == ("a block longer than 2 MiB was skipped",)


def test_an_absurd_length_holds_nothing() -> None:
    reader = Reader()
    reader.feed(START + struct.pack("<II", 6, 0xFFFFFFF0) + bytes(20))
    for _ in range(50):
        assert reader.feed(bytes(100_000)) == []
        assert reader._have == 0
    reader.close()
    assert reader.truncated
    reader, found = read(START + struct.pack("<II", 6, 8) + bytes(100) + LITTLE.packet(1))
    assert found == []
    assert "impossible length" in reader.faults[0]


def test_interfaces_are_capped() -> None:
    data = LITTLE.section() + LITTLE.interface() * (MAX_INTERFACES + 10)
    reader, found = read(
        data + LITTLE.packet(1, interface=MAX_INTERFACES - 1) + LITTLE.packet(1, interface=MAX_INTERFACES)
    )
    assert len(found) == 1
    assert len(reader.faults) == 2


def test_faults_are_capped() -> None:
    reader = Reader()
    for number in range(1000):
        reader._faults.add(f"remark {number}")
    assert len(reader.faults) == 16


def test_a_file_cut_anywhere_gives_what_was_whole() -> None:
    whole = START + LITTLE.packet(1) + LITTLE.packet(2)
    ends = [len(START), len(START + LITTLE.packet(1)), len(whole)]
    for end in range(24, len(whole) + 1):
        reader, found = read(whole[:end])
        assert len(found) == sum(each <= end for each in ends[1:])
        assert reader.truncated == (end not in {28, *ends})


@given(
    st.lists(
        st.sampled_from(
            [START, BIG.section(), BIG.interface(), LITTLE.packet(1), BIG.packet(1), LITTLE.simple(b"ab", 3)]
        ),
        max_size=8,
    ),
    st.dictionaries(st.integers(12, 300), st.integers(0, 255), max_size=8),
    st.integers(1, 60),
)
def test_damage_anywhere_in_any_pieces_gives_the_same_and_never_raises(
    blocks: list[bytes], damage: dict[int, int], step: int
) -> None:
    data = bytearray(START + b"".join(blocks))
    for place, value in damage.items():
        data[place % len(data)] = value
    whole, found = read(bytes(data))
    pieces, again = read(bytes(data), step)
    assert plain(found) == plain(again)
    assert (whole.error, whole.truncated, whole.faults) == (pieces.error, pieces.truncated, pieces.faults)
