"""Reads the blocks of a pcapng file. Raises nothing; keeps nothing of a block once it is read.

Sections in either byte order, any number of interfaces (at most `MAX_INTERFACES` in a section), times as each interface
counts them. Blocks that hold no packet are skipped, however long. Format: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from sipguard.model import SECOND, Instant
from sipguard.wire.captured import Captured, Faults

SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
MAX_BLOCK = 2 * 1024 * 1024
"""The longest block that is held in memory: a packet of 1 MiB with its options. A longer one is skipped."""
MAX_PACKET = 1024 * 1024
MAX_INTERFACES = 4096

_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_OLD_PACKET = 2
_SIMPLE_PACKET = 3
_PACKET = 6
_READ = frozenset({_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET})
_OPTION_RESOLUTION = 9
_OPTION_OFFSET = 14


class Interface(NamedTuple):
    """How one interface of a section counts: time is `units * times // by + offset` nanoseconds."""

    linktype: int
    snaplen: int
    times: int
    by: int
    offset: Instant


class _Order:
    """The structures in one byte order."""

    __slots__ = ("block", "interface", "name", "old", "option", "packet", "word")

    def __init__(self, sign: str) -> None:
        self.name = sign
        self.block = Struct(sign + "II")
        self.interface = Struct(sign + "HHI")
        self.option = Struct(sign + "HH")
        self.old = Struct(sign + "HHIIII")
        self.packet = Struct(sign + "IIIII")
        self.word = Struct(sign + "I")


_LITTLE = _Order("<")
_BIG = _Order(">")


class Blocks:
    """The state of one pcapng file: the byte order and interfaces of the present section, and the last time seen."""

    __slots__ = ("_faults", "_interfaces", "_last", "_order", "need", "skip")

    def __init__(self, faults: Faults) -> None:
        self._order = _LITTLE
        self._interfaces: list[Interface] = []
        self._last: Instant = 0
        self._faults = faults
        self.need = 12
        self.skip = 0

    def parse(self, data: bytes, out: list[Captured]) -> int:
        """Read the whole blocks in `data`; give how many bytes they took. `need` is what the next one takes."""
        position = 0
        size = len(data)
        unpack = self._order.block.unpack_from
        while position + 12 <= size:
            kind, length = unpack(data, position)
            if kind == _SECTION:
                unpack = self._section_order(data, position).block.unpack_from
                kind, length = unpack(data, position)
            if length < 12:
                self._faults.add("a block with an impossible length; the rest of the file was not read")
                self.skip = 1 << 62  # there is no way to find the next block
                self.need = 12
                return position
            length = (length + 3) & ~3
            end = position + length
            if end > size:
                self._wait(kind, length)
                return position
            if kind == _PACKET and length >= 32:
                self._packet(self._order.packet.unpack_from(data, position + 8), data, position + 28, end - 4, out)
            elif kind in _READ:
                self._block(kind, data[position + 8 : end - 4], out)
            position = end
        self.need = 12
        return position

    def _wait(self, kind: int, length: int) -> None:
        """Wait for the rest of a block, or skip it unseen if it holds no packet or is too long."""
        self.need = length
        if length > MAX_BLOCK or kind not in _READ:
            if kind in _READ:
                self._faults.add("a block longer than 2 MiB was skipped")
            self.skip = length
            self.need = 12

    def _section_order(self, data: bytes, position: int) -> _Order:
        """Begin a section: its own byte order, no interfaces yet."""
        magic = data[position + 8 : position + 12]
        if magic == b"\x1a\x2b\x3c\x4d":
            self._order = _BIG
        elif magic == b"\x4d\x3c\x2b\x1a":
            self._order = _LITTLE
        else:
            self._faults.add("a section header without its byte-order magic")
        self._interfaces = []
        return self._order

    def _block(self, kind: int, body: bytes, out: list[Captured]) -> None:
        """Read the body of a block of a kind that is not on every page."""
        if kind == _INTERFACE:
            self._interface(body)
        elif kind == _SIMPLE_PACKET:
            self._simple(body, out)
        elif kind == _OLD_PACKET and len(body) >= 20:
            interface, _, *rest = self._order.old.unpack_from(body)
            self._packet((interface, *rest), body, 20, len(body), out)
        elif kind != _SECTION:
            self._faults.add("a packet block too short for its own head")

    def _packet(self, head: tuple[int, ...], data: bytes, start: int, end: int, out: list[Captured]) -> None:
        """Give the packet at `start` with its time; one on an interface that the section does not have is not read."""
        number, high, low, length, original = head
        if number >= len(self._interfaces):
            self._faults.add("a packet on an interface that was not described")
            return
        if length > end - start or length > MAX_PACKET:
            self._faults.add("a packet longer than its block, or than 1 MiB, was skipped")
            return
        linktype, _, times, by, offset = self._interfaces[number]
        at = (high << 32 | low) * times // by + offset
        if at >> 62:  # before 1970, or after 2116: nobody's clock, and more than 64 bits further on
            self._faults.add("a packet with an impossible time; that of the packet before it stands in")
            at = self._last
        self._last = at
        out.append(Captured(at, linktype, data[start : start + length], length < original))

    def _simple(self, body: bytes, out: list[Captured]) -> None:
        """Give a simple packet, which has no time of its own: that of the packet before it stands in."""
        if len(body) < 4 or not self._interfaces:
            self._faults.add("a simple packet without an interface or a head")
            return
        original = self._order.word.unpack_from(body)[0]
        interface = self._interfaces[0]
        length = min(original, len(body) - 4, MAX_PACKET)
        if interface.snaplen:
            length = min(length, interface.snaplen)
        out.append(Captured(self._last, interface.linktype, body[4 : 4 + length], length < original))

    def _interface(self, body: bytes) -> None:
        """Keep how an interface counts; with too many of them, packets on the further ones are faults."""
        if len(body) < 8:
            self._faults.add("an interface block too short")
            body = body.ljust(8, b"\0")
        if len(self._interfaces) >= MAX_INTERFACES:
            self._faults.add(f"more than {MAX_INTERFACES} interfaces in a section")
            return
        linktype, _, snaplen = self._order.interface.unpack_from(body)
        times, by, offset = 1000, 1, 0
        for code, value in self._options(body):
            if code == _OPTION_RESOLUTION and value:
                times, by = _resolution(value[0])
            elif code == _OPTION_OFFSET and len(value) == 8:
                offset = int.from_bytes(value, "little" if self._order is _LITTLE else "big", signed=True) * SECOND
        self._interfaces.append(Interface(linktype, snaplen, times, by, offset))

    def _options(self, body: bytes) -> list[tuple[int, bytes]]:
        """Give the options of an interface block up to their end or the first that does not fit."""
        found: list[tuple[int, bytes]] = []
        position = 8
        while position + 4 <= len(body):
            code, length = self._order.option.unpack_from(body, position)
            position += 4
            if code == 0 or position + length > len(body):
                break
            found.append((code, body[position : position + length]))
            position += (length + 3) & ~3
        return found


def _resolution(value: int) -> tuple[int, int]:
    """Turn if_tsresol into (times, by): units of 10^-n seconds, or of 2^-n with the highest bit set."""
    exponent = value & 0x7F
    if value & 0x80:
        return SECOND, 1 << exponent
    if exponent <= 9:
        return 10 ** (9 - exponent), 1
    return 1, 10 ** (exponent - 9)
