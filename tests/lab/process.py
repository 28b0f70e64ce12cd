"""Processes that a lab started: each has its own group, its output in files, and an end by its own id.

Nothing here ends a process that it did not start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.errors import LabError

GRACE_SECONDS = 5.0


class Running:
    """A process in its own session, so that ending its group ends it and its children, and nobody else."""

    def __init__(self, name: str, command: Sequence[str], directory: Path) -> None:
        self.name = name
        self.out_path = directory / f"{name}.out"
        self.err_path = directory / f"{name}.err"
        with self.out_path.open("wb") as out, self.err_path.open("wb") as err:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """The process id; `ip netns exec` becomes its command, so this is the command's own."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What it wrote to standard output so far."""
        return self.out_path.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        return self.err_path.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send one signal to the process itself, not to its children."""
        self._process.send_signal(number)

    def wait(self, *, seconds: float) -> int:
        """Return the exit code. Raises LabError when it still runs after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise LabError(f"{self.name} still runs after {seconds:g} s") from late

    def stop(self) -> None:
        """End it and its children: SIGTERM to the process, SIGKILL to the group if that does not do."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(GRACE_SECONDS)


class Registry:
    """All processes of one lab, ended in the reverse order of their start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[Running] = []

    def start(self, name: str, command: Sequence[str]) -> Running:
        """Start `command`; its output goes to `name`, made unique, in the lab's directory."""
        running = Running(f"{len(self._running):03d}-{name}", command, self._directory)
        self._running.append(running)
        return running

    def stop_all(self) -> None:
        """End whatever still runs."""
        for running in reversed(self._running):
            running.stop()
