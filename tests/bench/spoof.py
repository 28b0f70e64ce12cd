"""The section on memory: one process per way of collecting, started here and read by its line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.bench.outcome import Section

_TABLES = ("nonces", "transactions", "proven", "credentials_sources", "offenders", "held_blocked", "held_watched")


def memory_section(sources: int, sources_automatic: int) -> Section:
    """Measure an engine before and after so many spoofed sources, and the collector's pauses."""
    calm = _measured(sources, "packet-process")
    partly = _measured(sources, "packet-process", "shown")
    automatic = _measured(sources_automatic, "automatic")
    section = Section("memory", "Memory and the collector under spoofed sources", ("what", "value"))
    section.rows = [
        ("sources, all different", f"{calm['sources']:,}"),
        ("packets, with the PBX's answers", f"{calm['packets']:,}"),
        ("RSS idle, engine and policy", _megabytes(calm["idle_bytes"])),
        ("RSS after", _megabytes(calm["after_bytes"])),
        ("RSS at most", _megabytes(calm["peak_bytes"])),
        ("RSS after as many, of which a thirtieth hold their addresses", _megabytes(partly["after_bytes"])),
        ("µs a packet, making it included", f"{calm['microseconds_each']:.1f}"),
        (
            "longest pause between packets, as the packet process collects",
            _milliseconds(calm["pause_between_packets_ns"]),
        ),
        ("the whole collection when idle", _milliseconds(calm["pause_whole_ns"])),
        (
            f"longest pause, collector left to itself, {automatic['sources']:,} sources",
            _milliseconds(automatic["pause_whole_ns"]),
        ),
    ]
    counters = calm["counters"]
    filled = [f"{name} {counters[name]:,}" + _evicted(counters, name) for name in _TABLES if name in counters]
    section.notes = ["tables: " + ", ".join(filled)]
    section.data = {"packet_process": calm, "shown": partly, "automatic": automatic}
    return section


def _measured(sources: int, *way: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.memory", str(sources), *way]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _evicted(counters: dict[str, int], name: str) -> str:
    count = counters.get(f"{name}_evicted", 0)
    return f" ({count:,} evicted)" if count else ""


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _milliseconds(span: int) -> str:
    return f"{span / 1e6:.1f} ms"
