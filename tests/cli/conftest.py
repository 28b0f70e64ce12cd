"""A running keeper with a played packet side that takes its turns by itself, and the real command beside it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipguard.control import client
from tests.keeper.packetside import PacketSide

CODE = "import sys; sys.argv[0] = 'sipguard'; from sipguard.cli.main import main; main()"
ROOT = Path(__file__).parents[2]


class Guard:
    """The guard as the command line sees it: `run` calls a command in a process of its own."""

    def __init__(self, packet: PacketSide) -> None:
        self.packet = packet
        self.work = threading.Lock()
        self._end = threading.Event()
        self._turns = threading.Thread(target=self._loop)

    def start(self) -> None:
        self.packet.start()
        self.packet.state()
        self._turns.start()
        end = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < end

    def _answers(self) -> bool:
        try:
            client.request(self.packet.socket, "no-such-verb", {})
        except client.NotRunningError:
            return False
        except client.DeniedError:
            return True
        return False

    def stop(self) -> None:
        self._end.set()
        if self._turns.is_alive():
            self._turns.join()

    def _loop(self) -> None:
        while not self._end.is_set():
            with self.work:
                self.packet.turn()
            time.sleep(0.001)  # a lock is no queue: whoever else wants it would wait for long

    def ordered(self, verb: str) -> list[dict[str, object]]:
        with self.work:
            return [m["args"] for m in self.packet.got if m["t"] == "request" and m["verb"] == verb]

    def environment(self) -> dict[str, str]:
        ours = ("SSH_CONNECTION", "COLUMNS", "PYTHONUNBUFFERED")
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return kept | {"SIPGUARD_SOCKET": str(self.packet.socket), "PYTHONPATH": str(ROOT), "TERM": "xterm"}

    def run(self, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", CODE, *args]
        env = self.environment() | more
        return subprocess.run(
            argv, env=env, check=False, capture_output=True, text=True, timeout=60, cwd=self.packet.folder, input=""
        )

    def on_a_terminal(self, *args: str, typed: bytes = b"") -> tuple[int, bytes]:
        """Run a command with a terminal for all three streams; give its exit code and what it showed."""
        ours, theirs = pty.openpty()
        argv = [sys.executable, "-c", CODE, *args]
        env = self.environment() | {"COLUMNS": "200"}
        process = subprocess.Popen(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs, cwd=self.packet.folder)
        os.close(theirs)
        shown = b""
        if typed:
            os.write(ours, typed)
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # EIO: the last who had it open has ended
                break
            if not data:
                break
            shown += data
        os.close(ours)
        return process.wait(timeout=60), shown


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    made = Guard(PacketSide(tmp_path))
    made.start()
    yield made
    made.stop()
    made.packet.close()


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Guard]:
    """Give the same with no guard running."""
    made = Guard(PacketSide(tmp_path))
    yield made
    made.packet.close()
