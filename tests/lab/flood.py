"""Floods of a lab's attacker: `flood.c`, compiled once for each world. Bounded in packets and time, there and here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.errors import LabError
from tests.lab.process import Running
from tests.lab.world import World

MOST = 20_000_000


@dataclass(frozen=True, slots=True)
class Flooded:
    """What a flood was: packets, and seconds that it took."""

    packets: int
    seconds: float

    @property
    def rate(self) -> float:
        """Packets a second."""
        return self.packets / self.seconds


class Flood:
    """A flood that has been started; `wait` gives what it was, `stop` ends it before its time."""

    def __init__(self, running: Running, seconds: float) -> None:
        self._running = running
        self._seconds = seconds

    def wait(self) -> Flooded:
        """Return when it is over. Raises LabError when it failed, or goes on beyond its bounds."""
        code = self._running.wait(seconds=self._seconds + 30)
        if code:
            raise LabError(f"the flood ended with {code}: {self._running.errors}")
        packets, took = map(int, self._running.output.split())
        return Flooded(packets, took / 1e9)

    def stop(self) -> None:
        """End it now."""
        self._running.stop()


def flood(world: World, first: str, *, senders: int = 1, seconds: float = 5.0, method: str = "OPTIONS") -> Flood:
    """Start sending to the PBX's SIP port from so many of the attacker's addresses; skips without a compiler."""
    program = _compiled(world)
    milliseconds = str(int(seconds * 1000))
    bounds = (first, str(senders), str(MOST), milliseconds, method)
    return Flood(world.attacker.start(str(program), world.pbx.v4, "5060", *bounds), seconds)


def _compiled(world: World) -> Path:
    program = world.directory / "flood"
    if program.exists():
        return program
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source = Path(__file__).with_name("flood.c")
    made = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)]
    done = subprocess.run(made, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise LabError(f"the flood does not compile: {done.stderr}")
    return program
