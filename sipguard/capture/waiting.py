"""Waits until one of several descriptors has something to read, and says which.

Promises: one system call for each wait, and nothing built anew while the same ones are waited for. Reads nothing.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Protocol

from sipguard.model import MILLISECOND, Span


class Readable(Protocol):
    """Whatever has a descriptor; -1 when it has none now."""

    def fileno(self) -> int:
        """Give the descriptor."""


class Waiting:
    """Begins with nothing to wait for. `ready` are the descriptors of the last wait that had something, or an error."""

    __slots__ = ("_asked", "_poll", "ready")

    def __init__(self) -> None:
        self._asked: tuple[tuple[int, int], ...] = ()
        self._poll = select.poll()
        self.ready: frozenset[int] = frozenset()

    def wait(self, readers: Iterable[Readable], writer: Readable | None, span: Span) -> None:
        """Wait for any of them to be readable, or for `writer` to be writable, at most for so long.

        A part of a millisecond is waited for as a whole one; nothing ends a wait early but those, or a signal.
        """
        asked = [(number, select.POLLIN) for each in readers if (number := each.fileno()) >= 0]
        if writer is not None:
            asked.append((writer.fileno(), select.POLLOUT))
        if tuple(asked) != self._asked:
            self._ask(tuple(asked))
        self.ready = frozenset([number for number, _events in self._poll.poll(-(-span // MILLISECOND))])

    def _ask(self, asked: tuple[tuple[int, int], ...]) -> None:
        self._poll, self._asked = select.poll(), asked
        masks: dict[int, int] = {}
        for number, mask in asked:
            masks[number] = masks.get(number, 0) | mask
            self._poll.register(number, masks[number])

    def heard(self, reader: Readable) -> bool:
        """Tell whether the last wait ended with something of this one's."""
        return reader.fileno() in self.ready
