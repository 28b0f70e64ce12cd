"""The section on the tap: what is read of what was sent through a real NFLOG, and how long one packet takes."""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from sipguard.address import Network, parse_address
from sipguard.capture.tap import Tap
from sipguard.engine import Engine
from sipguard.model import Frame, Names, Role, State
from sipguard.policy.schema import Policy
from tests.bench import sender
from tests.bench.outcome import Section, percentile
from tests.lab.process import Running
from tests.lab.world import ATTACKER, Host, World, world

_GROUP = 5060
_AT_ONCE = 256
_BUFFER_BYTES = 32 * 1024 * 1024  # the policy's default
_RULES = (
    "add table inet bench; add chain inet bench tap {{ type filter hook prerouting priority -150; }}; "
    "add rule inet bench tap udp dport 5060 log group {group}"
)
_QUIET_SECONDS = 0.3


class Reading:
    """What a pass over the tap gave: frames, their delays (when asked for), the reader's own time."""

    def __init__(self) -> None:
        self.frames = 0
        self.delays: list[int] = []
        self.busy_ns = 0
        self.began = 0
        self.ended = 0


def tap_section(rates: Sequence[int], seconds: float, lone: int) -> Section:
    """Send at each rate and read, first by the tap alone, then with the engine behind it; then lone packets."""
    columns = ("packets/s asked for", "sent/s", "read by", "read", "lost", "reader busy")
    section = Section("tap", "The tap: NFLOG in a namespace, one stranger's OPTIONS", columns)
    with world((ATTACKER,)) as made:
        made.pbx.run("nft", _RULES.format(group=_GROUP))
        with made.pbx.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
            listening.bind((made.pbx.v4, 5060))  # never read: what it cannot hold is dropped after the tap
            for rate in rates:
                for reader in ("tap", "tap + engine"):
                    _one_rate(made, section, rate, int(rate * seconds), reader)
            _lone(made, section, lone)
    return section


def _one_rate(made: World, section: Section, rate: int, count: int, reader: str) -> None:
    tap = made.pbx.inside(lambda: Tap(_GROUP, _BUFFER_BYTES))
    try:
        feed = _feeder(made.pbx) if reader != "tap" else _ignore
        sending = _start(made, rate, count)
        reading = _read(tap, sending, feed)
        took = int(sending.output)
        lost = count - reading.frames
        busy = reading.busy_ns / max(1, reading.ended - reading.began)
        shown = (f"{rate:,}", f"{count * 1e9 / took:,.0f}", reader, f"{reading.frames:,}", f"{lost:,}", f"{busy:.0%}")
        section.rows.append(shown)
        data = {"asked": rate, "sent": count, "read": reading.frames, "lost": lost, "tap_counted": tap.lost}
        more: dict[str, Any] = {"reader": reader, "sent_per_second": round(count * 1e9 / took), "busy": round(busy, 3)}
        section.data.setdefault("rates", []).append({**data, **more})
    finally:
        tap.close()


def _lone(made: World, section: Section, count: int) -> None:
    """One packet each 10 ms: nothing gathers, and the delay is that of waking up."""
    tap = made.pbx.inside(lambda: Tap(_GROUP, _BUFFER_BYTES))
    delays: list[int] = []
    try:
        sending = _start(made, 100, count)
        _read(tap, sending, lambda frame: delays.append(time.monotonic_ns() - sender.sent_at(frame.packet[28:])))
    finally:
        tap.close()
    middle, late = percentile(delays, 0.5), percentile(delays, 0.99)
    section.data["lone"] = {"packets": len(delays), "median_ns": middle, "p99_ns": late}
    section.notes = [
        f"{len(delays)} lone packets, sending to read: median {middle / 1000:.0f} µs, p99 {late / 1000:.0f} µs",
        "lost: sent and never read; the sender shares the machine's cores with the reader",
    ]


def _start(made: World, rate: int, count: int) -> Running:
    return made.attacker.start(sys.executable, "-m", "tests.bench.sender", made.pbx.v4, "5060", str(rate), str(count))


def _ignore(_frame: Frame) -> None:
    pass


def _feeder(pbx: Host) -> Callable[[Frame], None]:
    engine = Engine(Policy(), State())
    engine.feed(1, Names(Role.OWN, "host", (Network(parse_address(pbx.v4), 32),)))
    return lambda frame: _fed(engine, frame)


def _fed(engine: Engine, frame: Frame) -> None:
    engine.feed(time.monotonic_ns(), frame)


def _read(tap: Tap, sending: Running, each: Callable[[Frame], None]) -> Reading:
    """Read until the sender has ended and nothing has come for a while."""
    reading = Reading()
    poll = select.poll()
    poll.register(tap.fileno(), select.POLLIN)
    busy = time.process_time_ns()
    while True:
        if not poll.poll(_QUIET_SECONDS * 1000) and not sending.alive:
            break
        frames = tap.read(_AT_ONCE)
        for frame in frames:
            each(frame)
        if frames:
            reading.ended = time.monotonic_ns()
            reading.began = reading.began or reading.ended
            reading.frames += len(frames)
    reading.busy_ns = time.process_time_ns() - busy
    return reading
