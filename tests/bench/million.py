"""What a million bans cost: to bring back after a flush, one more and one less beside them, memory; and nft's time.

    python -m tests.bench.million HOSTS NETWORKS

Runs in a namespace of its own and as a process of its own, so that nothing else counts. Prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sipguard.address import Network
from sipguard.control.memory import Memory
from sipguard.decide.ledger import Ledger
from sipguard.enforce.base import Layout
from sipguard.enforce.switch import Stance, Switch
from sipguard.model import SECOND, Held, SetName
from tests.bench.outcome import Section
from tests.enforce.spaces import inside, now, run, space

_PAGE = resource.getpagesize()
_TRIALS = 100
_FIRST = 10_000


def resident() -> int:
    """Give the memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE >> 20


def ledger(hosts: int, networks: int) -> Ledger:
    """Decide on so many bans of hosts and of networks."""
    made, until = Ledger(1_400_000), now() + 7200 * SECOND
    for number in range(networks):
        made.hold(Held(SetName.BLOCKED, Network((0x40000000 + number * 512).to_bytes(4, "big"), 24), until))
    for number in range(hosts):
        made.hold(Held(SetName.BLOCKED, Network((0x14000000 + number * 7).to_bytes(4, "big"), 32), until + number))
    return made


def settle(switch: Switch, wanted: Ledger, total: int) -> tuple[float, float, float]:
    """Mend until all is done; gives seconds to the newest bans, to all, and of the longest slice."""
    began, first, longest, quiet = time.perf_counter(), 0.0, 0.0, 0
    while quiet < 20:
        at = time.perf_counter()
        switch.mend(now(), wanted)
        longest = max(longest, time.perf_counter() - at)
        behind = switch.agreement()["behind"]
        if not first and behind and behind <= max(total - _FIRST, 0):
            first = time.perf_counter() - began
        quiet = 0 if switch.busy else quiet + 1
        if quiet:
            time.sleep(0.01)
    return first, time.perf_counter() - began, longest


def single(switch: Switch, prefix: int) -> tuple[float, float]:
    """Give the median microseconds of one more ban and of an unban."""
    put, taken = [], []
    for number in range(_TRIALS):
        address = (0x0B000000 + (number << (32 - prefix))).to_bytes(4, "big")
        held = Held(SetName.BLOCKED, Network(address, prefix), now() + 3600 * SECOND)
        at = time.perf_counter()
        switch.hold(held)
        put.append(time.perf_counter() - at)
        at = time.perf_counter()
        switch.release(held)
        taken.append(time.perf_counter() - at)
    return statistics.median(put) * 1e6, statistics.median(taken) * 1e6


def by_nft(verb: str) -> float:
    """Give the microseconds that `nft` takes for one element."""
    timeout = " timeout 1h" if verb == "add" else ""
    at = time.perf_counter()
    run("nft", f"{verb} element inet sipguard blocked4 {{ 11.99.99.99{timeout} }}")
    return (time.perf_counter() - at) * 1e6


def measure(hosts: int, networks: int) -> dict[str, Any]:
    """Measure in a namespace of our own."""
    memory = Memory()
    memory.pause()
    wanted = ledger(hosts, networks)
    memory.settle()
    with space() as name, inside(name):
        switch = Switch(Layout(backend="nftables"), now)
        at = time.perf_counter()
        switch.take(Stance.ENFORCE, Layout(backend="nftables"), wanted.wanted(), [])
        taken = time.perf_counter() - at
        settle(switch, wanted, hosts + networks)
        run("nft", "flush", "ruleset")
        first, whole, longest = settle(switch, wanted, hosts + networks)
        host, network = single(switch, 32), single(switch, 24)
        found = {
            "take_s": taken,
            "newest_s": first,
            "all_s": whole,
            "longest_slice_s": longest,
            "ban_us": host[0],
            "unban_us": host[1],
            "ban_network_us": network[0],
            "unban_network_us": network[1],
            "nft_add_us": by_nft("add"),
            "nft_delete_us": by_nft("delete"),
            "resident_mib": resident(),
        }
        switch.close()
    return found


def million_section(hosts: int, networks: int) -> Section:
    """Measure in a process of its own and say what was found."""
    command = [sys.executable, "-m", "tests.bench.million", str(hosts), str(networks)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    found = json.loads(done.stdout)
    rows = [
        ("the stance taken, first rules in place", f"{found['take_s'] * 1e3:.0f} ms"),
        (f"after a flush: the newest {_FIRST} bans back", f"{found['newest_s']:.2f} s"),
        ("after a flush: all back", f"{found['all_s']:.1f} s"),
        ("longest time that packets waited for it", f"{found['longest_slice_s'] * 1e3:.0f} ms"),
        ("one more ban", f"{found['ban_us']:.0f} µs"),
        ("an unban", f"{found['unban_us']:.0f} µs"),
        ("one more ban of a network", f"{found['ban_network_us']:.0f} µs"),
        ("an unban of a network", f"{found['unban_network_us']:.0f} µs"),
        ("nft: one more element", f"{found['nft_add_us']:.0f} µs"),
        ("nft: one element less", f"{found['nft_delete_us']:.0f} µs"),
        ("memory", f"{found['resident_mib']} MiB"),
    ]
    data = {"hosts": hosts, "networks": networks, **found}
    return Section("million", f"{hosts:,} bans and {networks:,} networks", ("what", "value"), list(rows), data=data)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 - the one line that the bench reads
