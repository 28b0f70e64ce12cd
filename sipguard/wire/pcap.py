"""Reads and writes capture files as bytes: pcap and pcapng, plain or gzip, in pieces of any size. Opens no file.

No bytes raise: what is no capture is `Reader.error`, what is wrong inside one is in `Reader.faults`. Memory is bounded
by the longest record accepted (`MAX_RECORD`), whatever a file claims, and a gzip bomb comes out in slices.
Format: draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct

from sipguard.model import Instant
from sipguard.wire.captured import Captured, Faults
from sipguard.wire.pcapng import SECTION_HEADER, Blocks

__all__ = ["MAX_RECORD", "Captured", "Reader", "header", "record"]

MAX_RECORD = 1024 * 1024
"""The longest packet accepted: four times the snap length libpcap allows. Longer ones are skipped with a fault."""
SLICE = 256 * 1024
"""So much is decompressed and read at a time."""
NOT_A_CAPTURE = "not a pcap or pcapng file"

_GZIP = b"\x1f\x8b"
_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order, and nanoseconds in one unit of the second time field."""
_HEADER = Struct("<IHHiIII")
_RECORD = Struct("<IIII")


def header(linktype: int, snaplen: int = 262144) -> bytes:
    """Write the head of a pcap file with times in nanoseconds."""
    return _HEADER.pack(0xA1B23C4D, 2, 4, 0, 0, snaplen, linktype)


def record(at: Instant, data: bytes, original: int | None = None) -> bytes:
    """Write one packet; `original` is its length on the wire where that was more. `at` must be of 1970 to 2106."""
    seconds, nanoseconds = divmod(at, 1_000_000_000)
    length = len(data)
    return _RECORD.pack(seconds & 0xFFFFFFFF, nanoseconds, length, length if original is None else original) + data


class _Records:
    """The classic format after its 24 bytes of head."""

    __slots__ = ("_faults", "_linktype", "_struct", "_unit", "need", "skip")

    def __init__(self, head: bytes, faults: Faults) -> None:
        order, self._unit = _MAGICS[head[:4]]
        self._struct = Struct(order + "IIII")
        self._linktype = Struct(order + "I").unpack_from(head, 20)[0] & 0xFFFF
        self._faults = faults
        self.need = 16
        self.skip = 0

    def parse(self, data: bytes, out: list[Captured]) -> int:
        """Read the whole records in `data`; give how many bytes they took. `need` is what the next one takes."""
        unpack, unit, linktype, append = self._struct.unpack_from, self._unit, self._linktype, out.append
        position = 0
        last = len(data) - 16
        size = len(data)
        while position <= last:
            seconds, fraction, length, original = unpack(data, position)
            start = position + 16
            end = start + length
            if length > MAX_RECORD:
                self._faults.add("a record longer than 1 MiB was skipped")
                self.skip = length
                self.need = 16
                return start
            if end > size:
                self.need = end - position
                return position
            append(Captured(seconds * 1_000_000_000 + fraction * unit, linktype, data[start:end], length < original))
            position = end
        self.need = 16
        return position


class Reader:
    """Yields the packets of one capture file, fed in pieces of any size.

    `error` is one line when the file is no capture that can be read, else None; it is final after `close`. `truncated`
    tells, after `close`, whether the file ended inside a record. `faults` are remarks on what was wrong inside.
    """

    def __init__(self) -> None:
        self.error: str | None = None
        self.truncated = False
        self._faults = Faults()
        self._format: _Records | Blocks | None = None
        self._gzip: zlib._Decompress | None = None
        self._begun = False
        self._pieces: list[bytes] = []
        self._have = 0
        self._compressed = b""

    @property
    def faults(self) -> tuple[str, ...]:
        """The first 16 different remarks on what was wrong inside the file."""
        return tuple(self._faults.remarks)

    def feed(self, chunk: bytes) -> list[Captured]:
        """Give the packets that a piece of the file completes, all at once.

        Compressed data can grow a thousandfold: use `packets` for files of strangers, which holds one slice at a time.
        """
        return list(self.packets(chunk))

    def packets(self, chunk: bytes) -> Iterator[Captured]:
        """Yield the packets that a piece of the file completes, slice by slice; must be read to its end."""
        for piece in self._plain(chunk):
            yield from self._parse(piece)

    def close(self) -> None:
        """Tell that the file has ended."""
        if self.error is not None:
            return
        cut = self._gzip is not None and not self._gzip.eof
        if self._format is not None:
            self.truncated = self.truncated or bool(self._have or self._format.skip) or cut
            return
        start = b"".join(self._pieces)[:4] or self._compressed
        if start in _MAGICS or start == SECTION_HEADER:
            self.error = "the capture file ends inside its own head"
        elif start or cut:
            self.error = NOT_A_CAPTURE
        else:
            self.error = "empty file"

    def _plain(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what was fed in slices, decompressed if the file began as gzip (RFC 1952, any number of members)."""
        if not self._begun:
            chunk = self._compressed + chunk
            if len(chunk) < 2:
                self._compressed = chunk
                return
            self._begun = True
            self._compressed = b""
            if chunk[:2] == _GZIP:
                self._gzip = zlib.decompressobj(wbits=31)
        if self._gzip is not None:
            yield from self._inflate(chunk)
            return
        for start in range(0, len(chunk), SLICE):
            if self.error is None:
                yield chunk[start : start + SLICE]

    def _inflate(self, chunk: bytes) -> Iterator[bytes]:
        while chunk and self._gzip is not None and self.error is None:
            if self._gzip.eof:
                if not chunk.startswith(_GZIP[: len(chunk)]):
                    self._faults.add("bytes after the end of the gzip data were ignored")
                    return
                self._gzip = zlib.decompressobj(wbits=31)
            try:
                piece = self._gzip.decompress(chunk, SLICE)
            except zlib.error:
                self._faults.add("the gzip data is damaged")
                self._gzip = zlib.decompressobj(wbits=31)
                self.truncated = True
                self.error = None if self._format is not None else "damaged gzip data"
                return
            chunk = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            if piece:
                yield piece

    def _parse(self, piece: bytes) -> list[Captured]:
        """Read what is complete, keep the rest. Pieces are joined only once they suffice: small ones cost no more."""
        found: list[Captured] = []
        form = self._format
        if form is not None and form.skip:
            dropped = min(form.skip, len(piece))
            form.skip -= dropped
            piece = piece[dropped:]
        if piece:
            self._pieces.append(piece)
            self._have += len(piece)
        if self._have < (24 if form is None else form.need):
            return found
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if form is None:
            form, data = self._begin(data)
        if form is None:
            self._keep(b"")
            return found
        used = form.parse(data, found)
        if form.skip:  # what is skipped reaches beyond what is here
            form.skip -= len(data) - used
            used = len(data)
        self._keep(data[used:])
        return found

    def _keep(self, rest: bytes) -> None:
        self._pieces = [rest] if rest else []
        self._have = len(rest)

    def _begin(self, data: bytes) -> tuple[_Records | Blocks | None, bytes]:
        """Tell the format by its first four bytes; give it and what it reads."""
        if data[:4] in _MAGICS:
            self._format = _Records(data[:24], self._faults)
            return self._format, data[24:]
        if data[:4] == SECTION_HEADER:
            self._format = Blocks(self._faults)
            return self._format, data
        self.error = NOT_A_CAPTURE
        return None, b""
