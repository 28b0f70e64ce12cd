"""Frames that the guard stumbled over, kept as a pcap for whoever mends it; opened before the first packet is read.

Written by the packet process itself: it must also work while the keeper is dead, and a bug of ours is rare. The file
is never larger than its cap, so that at most that much is ever written, however often a frame is sent again.
Promises: `keep` never raises. Readable by its owner only: it holds what strangers and phones have sent.
"""

from __future__ import annotations

import os
import struct
import traceback
from pathlib import Path

from sipguard.model import MINUTE, Instant

MOST = 4 * 1024 * 1024
"""The most bytes of one file."""

_NANOSECOND = 0xA1B23C4D  # pcap with nanoseconds, our byte order
_RAW_IP = 101  # LINKTYPE_RAW
_HEADER = struct.pack("=IHHiIII", _NANOSECOND, 2, 4, 0, 0, 65_535, _RAW_IP)
_RECORD = struct.Struct("=IIII")


class Quarantine:
    """One capture file, appended to. `kept` and `refused` count frames of this run; the latter had no room.

    `bugs` counts what was stumbled over, a frame or not.

    `fault` says why there is no file, empty when there is one: the guard works without.
    """

    __slots__ = ("_file", "_most", "_quiet", "_size", "bugs", "fault", "kept", "refused")

    def __init__(self, path: Path, most: int = MOST) -> None:
        """Open or make the file, and its directory."""
        self._most = self._size = most
        self._file = -1
        self._quiet: Instant = 0
        self.bugs = self.kept = self.refused = 0
        self.fault = ""
        try:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(path, flags, 0o600)
            os.fchmod(self._file, 0o600)
            self._size = os.fstat(self._file).st_size or os.write(self._file, _HEADER)
        except OSError as error:
            self.fault = f"{path}: {error.strerror}"

    def keep(self, packet: bytes, wall_ns: int) -> bool:
        """Append one IP packet; `wall_ns` counts from 1970. False when the file is full or cannot be written."""
        seconds, rest = divmod(max(0, wall_ns), 1_000_000_000)
        packet = packet[:65_535]
        data = _RECORD.pack(seconds & 0xFFFFFFFF, rest, len(packet), len(packet)) + packet
        if self._size + len(data) > self._most:
            self.refused += 1
            return False
        try:
            written = os.write(self._file, data)
        except OSError:
            written = 0
        if written < len(data):  # a full disk; what was cut short would spoil all that follows
            self._size = self._most
            self.refused += 1
            return False
        self._size += written
        self.kept += 1
        return True

    def close(self) -> None:
        """Close the file; done twice it is the same."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size = -1, self._most

    def counters(self) -> dict[str, int]:
        """Give how many bugs there were, and how many packets were kept."""
        return {"bugs": self.bugs, "quarantined": self.kept}

    def note(self, bug: BaseException, at: Instant) -> str:
        """Count a bug and say where it is, at most once a minute; else nothing.

        Its type and place, never its text: that may quote what strangers sent.
        """
        self.bugs += 1
        if at < self._quiet:
            return ""
        self._quiet = at + MINUTE
        frames = traceback.extract_tb(bug.__traceback__)
        where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return f"{type(bug).__name__}{where}; {self.bugs} so far, {self.kept} frames kept"
