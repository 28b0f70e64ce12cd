"""The store beside an event loop: one thread for SQLite, a bounded queue before it, retries behind it.

Promises: nothing here blocks the loop or raises for a disk that is full, read-only or gone; what waits is bounded, the
oldest goes first and is counted; what was applied is acknowledged after it is on disk, never before. The operator is
told once when the store fails and once when it works again. No clock but the loop's own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sipguard.errors import AdapterError
from sipguard.model import SECOND, Delta, Lesson, Span
from sipguard.store.database import Store
from sipguard.store.schema import ADAPTER

T = TypeVar("T")

DELTAS = 50_000
"""The most deltas that wait for the disk."""

LINES = 20_000
"""The most report lines that wait for the disk."""

BATCH = 500
"""Deltas after which a flush does not wait for its time."""

EVERY = 0.2
"""Seconds between flushes."""

PATIENCE = 30.0
"""The most seconds between two tries at a store that fails; the first comes after one."""


class Writer:
    """Owns the `Store`. `delta` and `line` queue, `run` writes, `ask` reads behind what was written.

    `offset` makes CLOCK_BOOTTIME the time of day on disk (`clock.py`); None: not known yet, each goes by its own.
    `written` is called with the number of the last delta on disk, `alert` with a kind and a text. Counters:
    `lost_deltas`, `lost_lines` (pushed out of the queue), `failures` (tries that failed).
    """

    def __init__(
        self,
        path: Path,
        written: Callable[[int], None],
        alert: Callable[[str, str], None],
        deltas: int = DELTAS,
        lines: int = LINES,
    ) -> None:
        self.path = path
        self.lost_deltas = 0
        self.lost_lines = 0
        self.failures = 0
        self.offset: Span | None = None
        self.broken = ""
        self._damage = ""
        self._closed = False
        self._written = written
        self._alert = alert
        self._most = deltas
        self._deltas: deque[tuple[int, Delta, Span]] = deque(maxlen=deltas)
        self._lines: deque[str] = deque(maxlen=lines)
        self._store: Store | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._full = asyncio.Event()
        self._busy = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Give how many deltas are not on disk yet."""
        return len(self._deltas)

    def now(self) -> int:
        """Give the time of day that goes with what is on disk, in ns since 1970."""
        if self.offset is None:
            return time.time_ns()
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.offset

    def believed(self, offset: Span) -> Span:
        """Give the offset that goes with what is on disk: the packet process's, which stays the same over our restarts.

        A clock that is set, or not believed, makes it another than ours by more than a second; then it is ours.
        """
        return offset if self.offset is None or abs(self.offset - offset) <= SECOND else self.offset

    def delta(self, number: int, noun: Delta, offset: Span) -> None:
        """Queue a delta, with its number for the acknowledgement and the wall-clock offset it came with.

        Where that is another than ours, it goes to disk with ours. Lessons have half of the room: what was learned is
        learned again, and must not push out a ban while the disk is full.
        """
        if len(self._deltas) >= (self._most // 2 if isinstance(noun, Lesson) else self._most):
            self.lost_deltas += 1
            if isinstance(noun, Lesson):
                return
        self._deltas.append((number, noun, self.believed(offset)))
        if len(self._deltas) >= BATCH:
            self._full.set()

    def line(self, line: str) -> None:
        """Queue a report line, as JSON text."""
        if len(self._lines) == self._lines.maxlen:
            self.lost_lines += 1
        self._lines.append(line)

    async def run(self) -> None:
        """Flush in time, until cancelled; wait longer after each failure in a row."""
        pause = EVERY
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._full.wait()
            if await self.flush():
                pause = EVERY
                self._full.clear()
            else:
                # a queue that is full must not shorten the wait
                await asyncio.sleep(pause)
                pause = min(PATIENCE, max(1.0, pause * 2))

    async def flush(self) -> bool:
        """Write what waits now. False, and the operator told, when that failed; it then waits on."""
        async with self._busy:
            if self._closed:
                return True
            deltas, lines = list(self._deltas), list(self._lines)
            if not deltas and not lines and self._store is not None:
                return True
            try:
                await self._on_thread(lambda: self._write(deltas, lines))
            except AdapterError as error:
                self._failed(error)
                return False
            self._take(deltas, lines)
            self._recovered()
            return True

    def _take(self, deltas: list[tuple[int, Delta, Span]], lines: list[str]) -> None:
        """Forget what is on disk now; the queue may have dropped some of it meanwhile."""
        if deltas:
            last = deltas[-1][0]
            while self._deltas and self._deltas[0][0] <= last:
                self._deltas.popleft()
            self._written(last)
        if lines:
            newest = lines[-1]
            while self._lines:
                if self._lines.popleft() is newest:
                    break

    def _failed(self, error: AdapterError) -> None:
        self.failures += 1
        if not self.broken:
            self._alert(
                "store-failed", f"{error.what}; bans stay in the kernel, they are written when this works again"
            )
        self.broken = error.what

    def _recovered(self) -> None:
        if self.broken:
            lost = self.lost_deltas
            self._alert("store-works", f"{self.path} can be written again; decisions lost meanwhile: {lost}")
        self.broken = ""

    async def ask(self, question: Callable[[Store], T]) -> T:
        """Give the answer of `question`, called on the store's thread. Raises AdapterError."""
        async with self._busy:
            if self._closed:
                raise AdapterError(ADAPTER, "the guard is ending")
            return await self._on_thread(lambda: question(self._opened()))

    async def close(self) -> None:
        """Write what waits, once, and close the file."""
        await self.flush()
        async with self._busy:
            self._closed = True
            await self._on_thread(self._shut)
        self._thread.shutdown(wait=False)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            damage, self._damage = self._damage, ""
            if damage:
                self._alert("store-damaged", damage)

    # --- On the thread ------------------------------------------------------------------------------------------------

    def _write(self, deltas: list[tuple[int, Delta, Span]], lines: list[str]) -> None:
        store = self._opened()
        if not deltas and not lines:
            return
        try:
            store.write([(noun, offset) for _, noun, offset in deltas], lines, self.now())
        except AdapterError:
            self._shut()  # opened anew at the next try: that also finds and sets aside a file damaged meanwhile
            raise

    def _opened(self) -> Store:
        if self._store is None:
            self._store = Store(self.path)
            self._damage = self._store.damage
        return self._store

    def _shut(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(AdapterError):
                store.close()
