"""The one clock that is read: everything else is told the time. Adapter."""

from __future__ import annotations

from time import CLOCK_BOOTTIME, clock_gettime_ns

from sipguard.model import Instant


def boottime() -> Instant:
    """Give CLOCK_BOOTTIME (clock_gettime(2)) in nanoseconds: it never steps, and goes on while the host sleeps."""
    return clock_gettime_ns(CLOCK_BOOTTIME)
