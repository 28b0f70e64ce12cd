"""Capture files as streams of packets. The only place that opens one; however large, little of it is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from sipguard.errors import AdapterError
from sipguard.wire.pcap import Captured, Reader

_CHUNK_BYTES = 1 << 18


def read(path: Path, progress: Callable[[int], None] = lambda _count: None) -> Iterator[Captured]:
    """Go through the packets of a pcap or pcapng file, gzipped or not.

    `progress` is told the number of bytes read so far. A file that breaks off inside a packet gives what is whole.
    Raises AdapterError, in one line, for what cannot be read or is no capture; an empty file is none.
    """
    reader = Reader()
    count = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                count += len(chunk)
                yield from reader.packets(chunk)
                progress(count)
                if reader.error:
                    break
    except OSError as error:
        raise AdapterError("capture file", f"{path}: {error.strerror or error}") from None
    reader.close()
    if reader.error:
        raise AdapterError("capture file", f"{path}: {reader.error}")
