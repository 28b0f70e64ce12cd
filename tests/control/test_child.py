"""The keeper as a child: one that cannot be ended keeps nobody waiting, and no second one beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from sipguard.control.child import LONGEST_PAUSE, Child
from sipguard.control.pair import Pair
from sipguard.model import SECOND

_SEIZE = 0x4206  # PTRACE_SEIZE
HOLDS = f"""
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace({_SEIZE}, int(sys.argv[1]), None, None), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child() -> Iterator[Child]:
    sleeps = (sys.executable, "-c", "import time; time.sleep(600)")
    made = Child(lambda _end: sleeps, os.environ, Pair())
    made.start(0)
    yield made
    made.end()


@pytest.mark.root
def test_a_keeper_that_does_not_end_though_it_is_killed_stops_nobody_and_is_alone(child: Child) -> None:
    """As one that waits for a dead disk: here somebody who traces it keeps the kernel from telling us of its end."""
    assert child._process is not None
    pid = child._process.pid
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "0\n"
    began = time.monotonic()
    child.end()
    assert child.lost(SECOND)
    child.stop(0.1)
    assert time.monotonic() - began < 60, "it waits for the tracer, who waits for us"
    assert not child.due(LONGEST_PAUSE + 2 * SECOND)
    holder.communicate("", timeout=30)
    deadline = time.monotonic() + 30
    while not child.due(LONGEST_PAUSE + 2 * SECOND):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.start(0)
    assert child.alive
