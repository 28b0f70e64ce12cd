"""`python -m tests.bench`: what the guard costs on this machine. Nothing here passes or fails.

`--quick` (the default) takes about a minute, `--full` some ten. `--only NAME ...` runs single parts, `--json` prints
one JSON document instead of tables. Without root, what needs the kernel is left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.calling import calls_section
from tests.bench.outcome import Section, skipped
from tests.bench.pipeline import race
from tests.bench.pricing import rates_section
from tests.bench.speed import kind_section, mix_section, race_section, stage_section
from tests.bench.spoof import memory_section
from tests.bench.traffic import mix


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    messages: int
    rounds: int
    kind_rounds: int
    sources: int
    sources_automatic: int
    rates: Sequence[int]
    seconds: float
    lone: int
    trials: int
    spoofed_live: int
    bans: int
    networks: int
    gated: tuple[int, float, int]  # requests a second, seconds, rounds
    prices: int
    calls: int


QUICK = Size(
    10_000, 5, 3, 100_000, 20_000, (5_000, 20_000), 1.0, 200, 20, 0, 100_000, 10_000, (1_000, 2.0, 3), 100_000, 2_000
)
FULL = Size(
    100_000,
    9,
    5,
    1_000_000,
    200_000,
    (5_000, 10_000, 20_000, 50_000, 100_000),
    5.0,
    1_000,
    90,
    200_000,
    1_000_000,
    100_000,
    (1_000, 5.0, 6),
    100_000,
    10_000,
)
TINY = Size(300, 1, 1, 500, 200, (1_000,), 0.1, 10, 2, 0, 21_000, 100, (100, 0.2, 1), 1_000, 50)


def speed(size: Size) -> Iterator[Section]:
    """Measure the pipeline: whole, by stage, by kind."""
    made = mix(size.messages)
    yield mix_section(made)
    measured = race(made, size.rounds)
    yield race_section(made, measured)
    yield stage_section(made, measured)
    yield kind_section(made, size.kind_rounds)


def memory(size: Size) -> Iterator[Section]:
    """Measure memory and the collector."""
    yield memory_section(size.sources, size.sources_automatic)


def rates(size: Size) -> Iterator[Section]:
    """Measure look-ups of prices."""
    yield rates_section(size.prices, size.rounds)


def calls(size: Size) -> Iterator[Section]:
    """Measure INVITEs, and many calls at a time."""
    yield calls_section(size.calls, size.prices)


def tap(size: Size) -> Iterator[Section]:
    """Measure the tap in a namespace."""
    why = _lack()
    if why:
        yield skipped("tap", "The tap", why)
        return
    from tests.bench.tapping import tap_section  # noqa: PLC0415 - only where there is a kernel for it

    yield tap_section(size.rates, size.seconds, size.lone)


def ban(size: Size) -> Iterator[Section]:
    """Measure the way from a deciding packet to the kernel's drop."""
    why = _lack()
    if why:
        yield skipped("ban", "From the deciding packet to the kernel dropping the next one", why)
        return
    from tests.bench.banning import ban_section  # noqa: PLC0415 - only where there is a kernel for it

    yield ban_section(size.trials, size.spoofed_live)


def million(size: Size) -> Iterator[Section]:
    """Measure what many bans cost, and one more beside them."""
    why = _lack()
    if why:
        yield skipped("million", "Many bans", why)
        return
    from tests.bench.million import million_section  # noqa: PLC0415 - only where there is a kernel for it

    yield million_section(size.bans, size.networks)


def gate(size: Size) -> Iterator[Section]:
    """Measure how much longer a request takes that is held, beside a reader that accepts all."""
    why = _lack("iptables-nft")
    if why:
        yield skipped("gate", "The gate", why)
        return
    from tests.bench.gating import gate_section  # noqa: PLC0415 - only where there is a kernel for it

    yield gate_section(*size.gated)
    yield gate_section(*size.gated, iptables=True)


def restart(size: Size) -> Iterator[Section]:
    """Measure what a start costs beside many bans."""
    why = _lack()
    if why:
        yield skipped("restart", "A start beside many bans", why)
        return
    from tests.bench.restart import restart_section  # noqa: PLC0415 - only where there is a kernel for it

    yield restart_section(size.bans)


PARTS: Mapping[str, Callable[[Size], Iterator[Section]]] = {
    "speed": speed,
    "memory": memory,
    "rates": rates,
    "calls": calls,
    "tap": tap,
    "ban": ban,
    "million": million,
    "gate": gate,
    "restart": restart,
}


def _lack(*more: str) -> str:
    if os.geteuid() != 0:
        return "needs root"
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = [command for command in ("ip", "nft", *more) if shutil.which(command, path=path) is None]
    return f"needs {', '.join(missing)}" if missing else ""


def machine() -> dict[str, Any]:
    """Say what this was measured on, without a name or a path."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts asked for and print what they found."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="What the guard costs on this machine.")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="size", action="store_const", const=QUICK, default=QUICK, help="about a minute")
    sizes.add_argument("--full", dest="size", action="store_const", const=FULL, help="some ten minutes")
    sizes.add_argument("--tiny", dest="size", action="store_const", const=TINY, help="to see that it runs at all")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="these parts alone")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args(argv)
    found = machine()
    if not args.json:
        sys.stdout.write(", ".join(f"{name} {value}" for name, value in found.items()) + "\n\n")
    sections: dict[str, Any] = {}
    for name in args.only:
        for section in PARTS[name](args.size):
            sections[section.name] = section.data
            if not args.json:
                sys.stdout.write(section.text() + "\n")
                sys.stdout.flush()
    if args.json:
        sys.stdout.write(json.dumps({"machine": found, **sections}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
