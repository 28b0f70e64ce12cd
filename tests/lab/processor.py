"""How much of the processors' time a hypervisor keeps from this machine: no program here can do anything in it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")  # per second
_STOLEN = 8  # among the fields of the line (proc(5))
STARVED = 0.05
"""Whoever lacks a larger part of the processors' time says little about what takes how long."""


class Moment(NamedTuple):
    """A time on the monotonic clock, and how many seconds were kept from all processors together since the start."""

    at: float
    stolen: float


def moment(stat: Path = Path("/proc/stat")) -> Moment:
    """Look at both clocks now; nothing was kept from us where the kernel does not tell."""
    try:
        fields = stat.read_text().partition("\n")[0].split()
        stolen = int(fields[_STOLEN]) / _TICKS
    except (OSError, IndexError, ValueError):
        stolen = 0.0
    return Moment(time.monotonic(), stolen)


def had(began: Moment, ended: Moment) -> float:
    """Give how many of the seconds between were ours for certain: a chain of programs may have met every theft."""
    return max(0.0, (ended.at - began.at) - (ended.stolen - began.stolen))


def starved(began: Moment, ended: Moment) -> bool:
    """Tell whether more than a twentieth of the processors' time between was kept from us."""
    there = (ended.at - began.at) * (os.cpu_count() or 1)
    return ended.stolen - began.stolen > STARVED * there
