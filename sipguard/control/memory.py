"""When the garbage collector may run: never by itself between two packets, a little each second, all of it when idle.

Promises: the automatic collector is off; the share of time that collecting takes is bounded, whatever has piled up.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from sipguard.model import MINUTE, Instant

SHARE = 200
"""A whole collection is followed by a pause of so many times its own length."""


class Memory:
    """Collects on call: `pause` before start-up, `settle` after it, `collect` each second."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: Instant = 0

    @staticmethod
    def pause() -> None:
        """Let nothing run by itself from here on: a start makes much that stays."""
        gc.disable()

    @staticmethod
    def settle() -> None:
        """Take what is there now for permanent: it is never looked at again."""
        gc.collect()
        gc.freeze()

    def collect(self, clock: Callable[[], Instant], *, idle: bool) -> None:
        """Collect what was made since the last time, and all but what is permanent where nothing waits for us."""
        began = clock()
        if idle and began >= self._next:
            gc.collect()
            after = clock()
            self._next = after + max(MINUTE, SHARE * (after - began))
        else:
            gc.collect(1)
