"""The rate deck that the policy names, from the disk: read as a whole, parsed, packed; again only when it changed.

Promises: a deck with errors is never handed out; `look` tells once of each version that is no good, and the caller
goes on with the one before it. Raises nothing: what the disk does is a problem like what the file says. Blocking,
seconds for a large file: call it in a thread.
"""

from __future__ import annotations

import os
import stat
from datetime import date
from pathlib import Path
from typing import NamedTuple

from sipguard.errors import AdapterError, Problem
from sipguard.numbering.deckfile import MOST_BYTES, DeckFile, read

ADAPTER = "rates"


class Stamp(NamedTuple):
    """What tells one version of a file from another; the day too, as prices come into force with it."""

    device: int
    inode: int
    size: int
    changed: int
    day: date


class Loaded(NamedTuple):
    """A deck that may be used, in the form for the packet process; without a file both are empty."""

    currency: str
    packed: bytes
    prefixes: int
    warnings: tuple[Problem, ...]


class Refused(NamedTuple):
    """Why a deck may not be used, in the order of its lines; `total` of them, of which not all may be shown."""

    problems: tuple[Problem, ...]
    total: int


NO_DECK = Loaded("", b"", 0, ())


def read_deck(path: Path, today: date, currency: str) -> DeckFile:
    """Read and parse a file. Raises AdapterError when it cannot be read; what is wrong in it is in the result."""
    return read(_content(path)[0], today, currency)


class DeckWatch:
    """The deck of one policy after another; `look` gives it when it, or what the policy says of it, has changed."""

    def __init__(self) -> None:
        self._said = ("", "")
        self._stamp: Stamp | None = None
        self._why = ""

    def look(self, path: str, currency: str, today: date) -> Loaded | Refused | None:
        """Give the deck, or what is wrong with it; None when nothing changed. `path` empty: there is no deck."""
        if not path:
            changed, self._said, self._stamp, self._why = self._said != ("", ""), ("", ""), None, ""
            return NO_DECK if changed else None
        said = path, currency
        try:
            if said == self._said and self._stamp is not None and _stamp(Path(path).stat(), today) == self._stamp:
                return None
            content, status = _content(Path(path))
        except (AdapterError, OSError, ValueError) as error:
            return self._unreadable(said, _why(path, error))
        self._said, self._stamp, self._why = said, _stamp(status, today), ""
        found = read(content, today, currency)
        if not found.usable:
            return Refused(found.errors, found.error_count)
        return Loaded(found.deck.currency, found.deck.pack(), len(found.deck), found.warnings)

    def _unreadable(self, said: tuple[str, str], why: str) -> Refused | None:
        if (said, why) == (self._said, self._why):
            return None
        self._said, self._stamp, self._why = said, None, why
        return Refused((Problem("", 0, why),), 1)


def _stamp(status: os.stat_result, today: date) -> Stamp:
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, today)


def _why(path: str, error: Exception) -> str:
    if isinstance(error, AdapterError):
        return error.what
    return f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"


def _content(path: Path) -> tuple[bytes, os.stat_result]:
    """Read a file as a whole, and tell which version of it that was. Raises AdapterError."""
    try:
        # Not blocking: a pipe that nobody writes to must not hang the keeper.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise AdapterError(ADAPTER, f"{path} is no regular file")
            return opened.read(MOST_BYTES + 1), status
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise AdapterError(ADAPTER, f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
