"""What calls cost: INVITEs on their way through the whole engine, and many calls at a time.

    python -m tests.bench.calling CALLS ROWS

run as a process of its own, so that nothing else counts in its memory. Phones with credentials call numbers at home
through the PBX and its carrier; all calls are begun, then all of them end. With ROWS there is a rate deck of so many
prefixes, else the default policy with a dial plan and a trunk. Limits are counted in both. Prints one line of JSON.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from random import Random
from statistics import median
from typing import Any

from sipguard.address import Network, parse_address, subject_of
from sipguard.engine import Engine
from sipguard.model import DAY, MILLISECOND, SECOND, Account, Frame, Hook, Instant, Origin, Rates, State, Trust, Verdict
from sipguard.numbering.deckfile import read
from sipguard.numbering.plan import DialPlan
from sipguard.policy.schema import Mode, Policy, Trunk
from tests.bench import packets, scenes
from tests.bench.devices import MAKES, REALM, Device
from tests.bench.memory import resident
from tests.bench.outcome import Section
from tests.bench.pricing import price_list
from tests.bench.scenes import Line, Said

_TRUNK = parse_address("192.0.2.200")
_PHONES = 5_000
_EACH = 40 * MILLISECOND  # calls begin: 25 a second
_CHUNK = 200
_HOME = b"prefix,destination,rate,increments\n49,Germany,0.01,60/60\n"


def policy(mode: Mode = Mode.OBSERVE) -> Policy:
    """Give the default policy, with a dial plan and a carrier; no limit on calls is reached by a few for each phone."""
    carrier = Trunk("Carrier", (Network(_TRUNK, 32),))
    return replace(
        Policy(), mode=mode, pbx=(Network(scenes.PBX, 32),), trunks=(carrier,), numbering=DialPlan("DE", "30")
    )


def deck(rows: int) -> bytes:
    """Pack a list of so many prefixes, and one for calls at home, in which none is dearer."""
    listed = price_list(rows).splitlines(keepends=True)[1:]
    text = _HOME + b"".join(line for line in listed if not line.startswith((b"49", b"4,")))
    return read(text, date(2026, 1, 1), "EUR").deck.pack()


class Bench:
    """One engine and what is said to it; spans by kind of message."""

    def __init__(self, rows: int, mode: Mode = Mode.OBSERVE) -> None:
        self.line = Line(Random(1), scenes.phones(Random(2), _PHONES))
        trust = {(each.address, each.user): each for each in self.line.phones}
        known = [Trust(subject_of(each.address), Account(each.user, REALM), DAY) for each in trust.values()]
        self.now: Instant = 2 * SECOND
        self.engine = Engine(policy(mode), State(trust=tuple(known)))
        if rows:
            self.engine.feed(SECOND, Rates(deck(rows)))
        self.spans: dict[str, list[int]] = {}
        self.held: list[int] = []

    def call(self, number: int) -> list[Said]:
        """Make a call: each phone in turn, each to a number of its own."""
        caller = self.line.phones[number % _PHONES]
        return scenes.between(self.line, caller, Device(_TRUNK, 5060, f"030{2_000_000 + number}", MAKES[0]))

    def say(self, said: Sequence[Said], *, gate: bool = False) -> None:
        """Feed messages, one by one. At the gate INVITEs that leave are held."""
        for each in said:
            ends = (scenes.PBX, 5060), (each.address, each.port)
            source, target = ends if each.outbound else ends[::-1]
            packet = packets.datagram(*source, *target, each.payload)
            leaving = each.outbound and each.kind.startswith("INVITE")
            hook = Hook.OUTPUT if each.outbound else Hook.PREROUTING
            frame = Frame(packet, hook, Origin.GATE if gate and leaving else Origin.TAP)
            self.now += MILLISECOND
            began = time.perf_counter_ns()
            told = self.engine.feed(self.now, frame)
            span = time.perf_counter_ns() - began
            self.spans.setdefault(each.kind, []).append(span)
            if frame.origin is Origin.GATE and isinstance(told[-1], Verdict):
                self.held.append(span)


def run(calls: int, rows: int) -> dict[str, Any]:
    """Let so many calls run at a time, then end them all."""
    bench = Bench(rows)
    gc.collect()
    gc.freeze()
    gc.disable()
    idle = resident()
    setups: list[list[Said]] = []
    endings: list[list[Said]] = []
    spent = fed = 0
    for number in range(calls):
        said = bench.call(number)
        setups.append(said[:-4])
        endings.append(said[-4:])
        fed += len(said) - 4
        if len(setups) == _CHUNK or number == calls - 1:
            spent += _timed(bench, setups)
            setups.clear()
            gc.collect(1)
    gc.collect()
    counters = bench.engine.counters()
    kept = sum(len(each.payload) + 200 for said in endings for each in said)  # of the bench's own
    after = resident()
    ended = _timed(bench, endings)
    gate = _held_at_gate(rows)
    return {
        "calls": counters["calls"],
        "evicted": counters["calls_evicted"],
        "left": bench.engine.counters()["calls"],
        "idle_bytes": idle,
        "after_bytes": after - kept,
        "begin_us": round(spent / fed / 1000, 2),
        "end_us": round(ended / (4 * calls) / 1000, 2),
        "kinds_us": {kind: round(median(spans) / 1000, 1) for kind, spans in bench.spans.items()},
        "gate_us": round(median(gate) / 1000, 1),
    }


def _timed(bench: Bench, calls: Sequence[Sequence[Said]]) -> int:
    """Say what belongs to each call; gives the processor's time, the making of packets included."""
    began = time.process_time_ns()
    for said in calls:
        bench.say(said)
        bench.now += _EACH
    return time.process_time_ns() - began


def _held_at_gate(rows: int) -> list[int]:
    """Time INVITEs that leave, held until they are judged."""
    bench = Bench(rows, Mode.ENFORCE)
    for number in range(500):
        bench.say(bench.call(number), gate=True)
        bench.now += _EACH
    return bench.held


_SHOWN = ("INVITE", "407 to INVITE", "INVITE with credentials", "INVITE, PBX's own", "180 to INVITE", "200 to INVITE")


def calls_section(calls: int, rows: int) -> Section:
    """Measure calls with the default policy, and with a rate deck."""
    plain, priced = _measured(calls, 0), _measured(calls, rows)
    section = Section("calls", f"Calls, {calls:,} at a time", ("what", "no rates", f"{rows:,} rates"))
    section.rows = [
        *((f"{kind}, µs", *(f"{each['kinds_us'][kind]:.0f}" for each in (plain, priced))) for kind in _SHOWN),
        ("INVITE that leaves, held and judged, µs", f"{plain['gate_us']:.0f}", f"{priced['gate_us']:.0f}"),
        ("beginning, µs a message", f"{plain['begin_us']:.1f}", f"{priced['begin_us']:.1f}"),
        ("ending, µs a message", f"{plain['end_us']:.1f}", f"{priced['end_us']:.1f}"),
        ("calls followed; evicted", *(f"{each['calls']:,}; {each['evicted']}" for each in (plain, priced))),
        ("RSS with all of them", *(f"{each['after_bytes'] / 1e6:.0f} MB" for each in (plain, priced))),
        ("a call, both legs", *(f"{_each(found, calls) / 1e3:.1f} kB" for found in (plain, priced))),
    ]
    section.data = {"plain": plain, "priced": priced}
    return section


def _each(found: dict[str, Any], calls: int) -> float:
    return float((found["after_bytes"] - found["idle_bytes"]) / calls)


def _measured(calls: int, rows: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.calling", str(calls), str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
