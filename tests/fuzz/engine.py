"""Runs the fuzzer and says what it found.

The messages depend on seed, count and corpus alone, not on how many processes run.
"""

from __future__ import annotations

import functools
import os
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import TracebackType

from sipguard.sip.parser import parse
from tests.fuzz.invariants import check, look_at_all
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds

BATCH = 10_000
LONG = 8_192
_WORST = 8
_FAILURES_KEPT = 20
_PAGES_IN_MIB = 2**20 // os.sysconf("SC_PAGE_SIZE")

_starts = functools.cache(seeds)


@dataclass
class Report:
    """What a run found. A pace is µs of processor time for each KiB begun, of a parse and every look-up together."""

    messages: int = 0
    octets: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    pace: float = 0.0
    pace_long: float = 0.0  # of messages of `LONG` bytes and more: what is not linear shows here
    seconds: float = 0.0
    rss: dict[int, list[int]] = field(default_factory=dict)  # process to MiB after each of its batches

    def add(self, other: Report) -> None:
        """Take another run's findings in."""
        self.messages += other.messages
        self.octets += other.octets
        self.failed += other.failed
        self.failures = (self.failures + other.failures)[:_FAILURES_KEPT]
        self.pace = max(self.pace, other.pace)
        self.pace_long = max(self.pace_long, other.pace_long)
        for process, sizes in other.rss.items():
            self.rss.setdefault(process, []).extend(sizes)

    def lines(self) -> Iterator[str]:
        """Say it in words."""
        yield f"{self.messages:,} messages, {self.octets / 2**20:,.0f} MiB, in {self.seconds:,.0f} s"
        yield f"failures: {self.failed}"
        yield f"slowest: {self.pace:,.0f} µs/KiB; of {LONG} bytes and more: {self.pace_long:,.0f} µs/KiB"
        for sizes in self.rss.values():
            yield f"RSS: {sizes[0]} MiB after the first batch, {sizes[-1]} after the last, {max(sizes)} at most"
        yield from self.failures


class _Noting:
    """Counts what is raised within, with the message that raised it, and goes on."""

    def __init__(self, report: Report, data: bytes) -> None:
        self.report = report
        self.data = data

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        self.report.failed += 1
        if len(self.report.failures) < _FAILURES_KEPT:
            said = "".join(traceback.format_exception(error, limit=-3))
            self.report.failures.append(f"{said}{self.data[:2000]!r}")
        return True


class _Worst:
    """Keeps the slowest messages, to time them again: a pause of the machine is not their fault."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, bytes]] = []

    def add(self, pace: float, data: bytes) -> None:
        """Take one in, if it is among the slowest."""
        if len(self.heap) < _WORST:
            heappush(self.heap, (pace, data))
        elif pace > self.heap[0][0]:
            heappushpop(self.heap, (pace, data))

    def again(self) -> float:
        """Give the slowest pace, each timed at its best of five."""
        return max((min(_pace(data) for _ in range(5)) for _, data in self.heap), default=0.0)


def _pace(data: bytes) -> float:
    start = time.thread_time()
    look_at_all(parse(data))
    return (time.thread_time() - start) * 1e6 / (len(data) // 1024 + 1)


def run_batch(number: int, count: int, seed: int, corpus: Path | None) -> Report:
    """Run one batch of messages, the same ones for the same number, count, seed and corpus."""
    random = Random(f"{seed}/{number}")
    starts = _starts(corpus)
    report = Report(messages=count)
    short, long = _Worst(), _Worst()
    for _ in range(count):
        data = mutate(random, starts)
        report.octets += len(data)
        start = time.thread_time()
        with _Noting(report, data):
            check(data, random)
        pace = (time.thread_time() - start) / (len(data) // 1024 + 1)
        (long if len(data) >= LONG else short).add(pace, data)
    with _Noting(report, b"(when timed again)"):
        report.pace_long = long.again()
        report.pace = max(report.pace_long, short.again())
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    report.rss[os.getpid()] = [int(pages) // _PAGES_IN_MIB]
    return report


def run(count: int, seed: int, corpus: Path | None, jobs: int) -> Report:
    """Run `count` messages over `jobs` processes."""
    report = Report()
    start = time.monotonic()
    sizes = [min(BATCH, count - done) for done in range(0, count, BATCH)]
    work = functools.partial(run_batch, seed=seed, corpus=corpus)
    if jobs == 1:
        for number, size in enumerate(sizes):
            report.add(work(number, size))
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            for found in pool.map(work, range(len(sizes)), sizes):
                report.add(found)
    report.seconds = time.monotonic() - start
    return report
