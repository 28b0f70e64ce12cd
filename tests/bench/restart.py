"""What a start costs beside many bans: of a guard that finds them on disk and in the kernel, after kill -9.

    python -m tests.bench.restart HOSTS

The guard is the real one, in a namespace. Prints one line of JSON.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

from sipguard.address import Network
from sipguard.control import client
from sipguard.model import SECOND, Decision, DecisionVerdict
from sipguard.store.database import Store
from tests.bench.outcome import Section
from tests.enforce.spaces import now
from tests.lab.errors import LabError
from tests.lab.wait import until
from tests.lab.world import ATTACKER, world
from tests.live.guard import Guard

_PAGE = 20_000
_PATIENCE_SECONDS = 1_500.0


def kept(guard: Guard, hosts: int) -> None:
    """Write so many bans to the guard's database, as a keeper has left it."""
    path = guard.directory / "state" / "sipguard.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    store, offset, at = Store(path), time.time_ns() - now(), now()
    for start in range(0, hosts, _PAGE):
        made = [
            Decision(
                at,
                DecisionVerdict.BLOCK,
                Network((0x14000000 + number * 7).to_bytes(4, "big"), 32),
                at + (7200 + number % 3600) * SECOND,
                ("credentials",),
                "ban.first",
            )
            for number in range(start, min(start + _PAGE, hosts))
        ]
        store.apply(made, offset)
    store.close()


def state(guard: Guard) -> dict[str, Any]:
    """Give what the packet process says of itself; nothing while it does not answer."""
    if not guard.process.alive:
        raise LabError(f"the guard ended: {guard.process.output}{guard.process.errors}")
    try:
        found = guard.packet
    except (client.NotRunningError, OSError, ValueError, RuntimeError):
        return {}
    return found if found.get("pid") == guard.process.pid else {}


def started(guard: Guard, hosts: int) -> tuple[float, float]:
    """Start it; gives seconds until it answers, and until desired and actual were compared and agree."""
    began = time.perf_counter()
    guard.launch()
    until(lambda: bool(state(guard)), "the guard answering", seconds=_PATIENCE_SECONDS)
    answered = time.perf_counter() - began

    def agreed() -> bool:
        enforced = state(guard).get("enforced", {})
        return bool(enforced.get("wanted", 0) >= hosts and enforced["wanted"] == enforced["held"])

    until(agreed, "desired and actual agreeing", seconds=_PATIENCE_SECONDS)
    return answered, time.perf_counter() - began


def measure(hosts: int) -> dict[str, Any]:
    """Start with an empty kernel, then beside what the first life has left there."""
    with world((ATTACKER,)) as made:
        directory = made.directory / "guard"
        directory.mkdir()
        guard = Guard(made.pbx, directory)
        kept(guard, hosts)
        first = started(guard, hosts)
        guard.process.signal(signal.SIGKILL)
        guard.process.wait(seconds=30.0)
        second = started(guard, hosts)
        at = time.perf_counter()
        guard.ban("203.0.113.9")
        order = time.perf_counter() - at
        memory = guard.process.pid
        with open(f"/proc/{memory}/statm") as file:  # noqa: PTH123 - a line of the kernel's
            resident = int(file.read().split()[1]) * 4096 >> 20
        guard.stop()
    return {
        "first_answer_s": first[0], "first_agreed_s": first[1],
        "again_answer_s": second[0], "again_agreed_s": second[1],
        "order_s": order, "resident_mib": resident,
    }  # fmt: skip


def restart_section(hosts: int) -> Section:
    """Measure in a process of its own and say what was found."""
    command = [sys.executable, "-m", "tests.bench.restart", str(hosts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=3 * _PATIENCE_SECONDS)
    found = json.loads(done.stdout)
    rows = [
        ("first start, nothing in the kernel: the guard answers", f"{found['first_answer_s']:.1f} s"),
        ("first start: all are in the kernel, and compared", f"{found['first_agreed_s']:.1f} s"),
        ("after kill -9, beside all of them: the guard answers", f"{found['again_answer_s']:.1f} s"),
        ("after kill -9: desired and actual agree", f"{found['again_agreed_s']:.1f} s"),
        ("a ban by hand after that", f"{found['order_s'] * 1e3:.0f} ms"),
        ("packet process", f"{found['resident_mib']} MiB"),
    ]
    return Section("restart", f"A start beside {hosts:,} bans", ("what", "value"), list(rows), data=found)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))  # noqa: T201 - the one line that the bench reads
