"""Signals as something to poll, so that none interrupts the loop at an odd place.

Promises: a signal caught here does nothing by itself; it is told once, when `take` is asked.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from types import FrameType


class Signals:
    """Catches the given signals from here on. For the main thread, once in a process."""

    def __init__(self, numbers: Sequence[signal.Signals]) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _left_alone)  # what is to be done is read from the wake-up socket

    def fileno(self) -> int:
        """Give the descriptor to poll: readable when a signal has come."""
        return self._ours.fileno()

    def take(self) -> bytes:
        """Give the numbers of the signals that came since the last time."""
        try:
            return self._ours.recv(4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Stop telling; the signals stay caught."""
        signal.set_wakeup_fd(-1)
        self._ours.close()
        self._theirs.close()


def _left_alone(_number: int, _frame: FrameType | None) -> None:
    pass
