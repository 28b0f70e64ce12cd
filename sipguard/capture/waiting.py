"""Waits until one of several descriptors has something to read, and says which.

Promises: one system call for each wait, and nothing built anew while the same ones are waited for. Now and then all of
them are said to have something, so that nobody waits for ever on what was read too early. Reads nothing.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Protocol

from sipguard.capture.clock import boottime
from sipguard.model import MILLISECOND, Instant, Span

LOOK: Span = 250 * MILLISECOND
"""How often everything is looked at, whatever has been heard."""


class Readable(Protocol):
    """Whatever has a descriptor; -1 when it has none now."""

    def fileno(self) -> int:
        """Give the descriptor."""


class Waiting:
    """Begins as if everything had something to read."""

    __slots__ = ("_all", "_asked", "_due", "_poll", "_ready")

    def __init__(self) -> None:
        self._asked: list[tuple[int, int]] = []
        self._poll = select.poll()
        self._ready: frozenset[int] = frozenset()
        self._all = True
        self._due: Instant = 0

    def wait(self, readers: Iterable[Readable], writer: Readable | None, span: Span) -> None:
        """Wait for any of them to be readable, or for `writer` to be writable, at most for so long.

        A part of a millisecond is waited for as a whole one. They are looked at in their order, and when nothing was
        found, once more after something came: what is listed later is not older than what was found in an earlier one.
        """
        asked = [(number, select.POLLIN) for each in readers if (number := each.fileno()) >= 0]
        if writer is not None:
            asked.append((writer.fileno(), select.POLLOUT))
        if asked != self._asked:
            self._ask(asked)
        self._ready = frozenset([number for number, _events in self._poll.poll(-(-span // MILLISECOND))])
        now = boottime()
        self._all = now >= self._due
        if self._all:
            self._due = now + LOOK

    def _ask(self, asked: list[tuple[int, int]]) -> None:
        self._poll, self._asked = select.poll(), asked
        masks: dict[int, int] = {}
        for number, mask in asked:
            masks[number] = masks.get(number, 0) | mask
            self._poll.register(number, masks[number])

    def heard(self, reader: Readable) -> bool:
        """Tell whether there may be something to read here, or an error."""
        return self._all or reader.fileno() in self._ready
