"""The keeper as a child process: started with one end of the socket pair, started anew when it dies, ended when we do.

Promises: nothing here waits for the keeper, except `stop`, for as long as it is told; a keeper that dies at once is
started at ever longer intervals, and none while an earlier one, though killed, has not ended. What the two say to each
other is said in `pair.py`. No clock in here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sipguard.control.pair import Pair, open_pair
from sipguard.errors import AdapterError
from sipguard.model import MILLISECOND, MINUTE, SECOND, Instant, Span

FIRST_PAUSE: Span = 200 * MILLISECOND
LONGEST_PAUSE: Span = 30 * SECOND
LONG_LIFE: Span = MINUTE
"""Who lived so long is started again without waiting longer than the first time."""
ENDING = 0.2
"""Seconds that the end of a killed one is waited for; one that waits for a dead disk ends when the disk lets it."""


class Child:
    """At most one keeper at a time. `command` makes the argument list for the number of its end of the pair."""

    def __init__(self, command: Callable[[int], Sequence[str]], environment: Mapping[str, str], pair: Pair) -> None:
        self._command = command
        self._environment = dict(environment)
        self._pair = pair
        self._process: subprocess.Popen[bytes] | None = None
        self._dying: subprocess.Popen[bytes] | None = None
        self._started: Instant = 0
        self._next: Instant = 0
        self._pause = FIRST_PAUSE
        self.starts = 0

    @property
    def alive(self) -> bool:
        """Tell whether there is one that has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, now: Instant) -> None:
        """Start one and connect the pair to it. Raises AdapterError when it cannot even be started."""
        ours, theirs = open_pair()
        self._started = now
        self.starts += 1
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
                    self._command(theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    env=self._environment,
                )
        except OSError as error:
            ours.close()
            raise AdapterError("keeper", f"cannot be started: {error.strerror}") from error
        self._pair.attach(ours)
        with suppress(OSError):  # packets do not wait for the keeper, who may
            os.setpriority(os.PRIO_PROCESS, self._process.pid, max(0, os.getpriority(os.PRIO_PROCESS, 0)))

    def lost(self, now: Instant) -> bool:
        """Look whether the keeper is gone, and plan its return; True once for each death."""
        if self._process is None or (self._pair.open and self._process.poll() is None):
            return False
        self.end()  # one that has closed its end of the pair is of no use to anybody
        self._process = None
        self._pause = FIRST_PAUSE if now - self._started >= LONG_LIFE else min(2 * self._pause, LONGEST_PAUSE)
        self._next = now + self._pause
        return True

    def due(self, now: Instant) -> bool:
        """Tell whether it is time to start one again."""
        if self._dying is not None and self._dying.poll() is not None:
            self._dying = None
        return self._process is None and self._dying is None and now >= self._next

    def failed(self, now: Instant) -> None:
        """Take note that `start` raised: the next try comes later."""
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._next = now + self._pause

    def stop(self, seconds: float) -> None:
        """Wait for the keeper to end by itself, then end it."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
        self._process = None

    def end(self) -> None:
        """Kill it, and close the pair: `lost` will tell."""
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING)
            self._dying = self._process
        self._pair.close()
