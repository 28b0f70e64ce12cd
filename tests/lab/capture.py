"""Recording what passes a host's interface, with a promise that not one packet is missing."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.process import Running
from tests.lab.wait import until
from tests.lab.world import BRIDGE, Host

_COUNTS = re.compile(r"(\d+) packets? captured.*?(\d+) packets? received by filter.*?(\d+) packets? dropped", re.DOTALL)


@dataclass(slots=True)
class Recording:
    """A capture file, and how many packets are in it once it has ended."""

    path: Path
    packets: int = 0


@contextlib.contextmanager
def recording(
    host: Host, path: Path, *, interface: str = BRIDGE, expression: str = "udp or tcp or icmp"
) -> Iterator[Recording]:
    """Record while the context lasts. Raises LabError when tcpdump did not get, or lost, a packet."""
    tcpdump = host.start(
        "tcpdump", "-i", interface, "-n", "-U", "--immediate-mode", "-s", "0", "-B", "8192", "-Z", "root",
        "-w", str(path), expression,
    )  # fmt: skip
    until(lambda: "listening on" in tcpdump.errors or not tcpdump.alive, "tcpdump listening")
    if not tcpdump.alive:
        raise LabError(f"tcpdump: {tcpdump.errors.strip()}")
    made = Recording(path)
    yield made
    until(lambda: _all_written(tcpdump), "tcpdump writing what the kernel gave it")
    tcpdump.signal(signal.SIGINT)
    tcpdump.wait(seconds=30.0)
    made.packets, received, dropped = _counts(tcpdump)
    if dropped or made.packets != received:
        raise LabError(f"tcpdump wrote {made.packets} of {received} packets, {dropped} dropped")


def _all_written(tcpdump: Running) -> bool:
    """Ask for the counts (SIGUSR1, tcpdump(8)) and compare the last ones said so far."""
    tcpdump.signal(signal.SIGUSR1)
    if not _COUNTS.search(tcpdump.errors):
        return False
    captured, received, _ = _counts(tcpdump)
    return captured == received


def _counts(tcpdump: Running) -> tuple[int, int, int]:
    found = _COUNTS.findall(tcpdump.errors)
    if not found:
        raise LabError(f"tcpdump said no counts: {tcpdump.errors.strip()}")
    captured, received, dropped = found[-1]
    return int(captured), int(received), int(dropped)
