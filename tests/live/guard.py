"""A running guard in a namespace of the lab, and what the kernel holds there, read by `nft` and not by our own code."""

from __future__ import annotations

import ipaddress
import json
import re
import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from sipguard.control import client
from tests.lab.errors import LabError
from tests.lab.process import Running
from tests.lab.wait import until
from tests.lab.world import Host, World

SIPGUARD = str(Path(sys.executable).parent / "sipguard")

POLICY = """
mode = "{mode}"
[store]
path = "{directory}/state/sipguard.db"
[control]
socket = "{directory}/control.sock"
group = "root"
"""


IPTABLES = '[enforcement]\nbackend = "iptables"\n'


class Guarding(Protocol):
    """Yields a guard as `guarding` does, with a back end that is chosen already."""

    def __call__(
        self, world: World, name: str, *, mode: str = "enforce", top: str = "", more: str = ""
    ) -> AbstractContextManager[Guard]: ...


class Guard:
    """One guard with a directory of its own; started, ended and started again at will."""

    def __init__(self, host: Host, directory: Path, *, mode: str = "enforce", top: str = "", more: str = "") -> None:
        (directory / "conf").mkdir(parents=True)
        self.host = host
        self.directory = directory
        self.policy = directory / "conf" / "policy.toml"
        self.write(mode=mode, top=top, more=more)
        self._process: Running | None = None

    def write(self, *, mode: str = "enforce", top: str = "", more: str = "") -> None:
        """Write the policy: keys for its top level, and tables."""
        text = top + POLICY.format(mode=mode, directory=self.directory) + more
        self.policy.write_text(text)

    @property
    def socket(self) -> Path:
        """Where it is reached."""
        return self.directory / "control.sock"

    @property
    def process(self) -> Running:
        """The packet process."""
        if self._process is None:
            raise LabError("the guard was never started")
        return self._process

    def launch(self) -> Running:
        """Start it and return at once."""
        # as the unit does: other processes of this host must not keep it from its packets
        self._process = self.host.start("nice", "-n", "-10", SIPGUARD, "run", "--policy", str(self.policy))
        return self._process

    def start(self) -> None:
        """Start it and return when it answers. Raises LabError when it does not."""
        self.launch()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return when packet process and keeper answer. Raises LabError."""
        until(lambda: self._ready() or not self.process.alive, "the guard answering")
        if not self.process.alive:
            raise LabError(f"the guard ended: {self.process.output}{self.process.errors}")

    def _ready(self) -> bool:
        try:
            return bool(self.packet.get("pid") == self.process.pid)
        except client.NotRunningError:
            return False

    def stop(self) -> int:
        """End it as systemd does, and return its exit code."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait(seconds=30.0)

    def ask(self, verb: str, **args: Any) -> Any:
        """Put a request to the control socket."""
        return client.request(self.socket, verb, args)

    def ban(self, network: str) -> None:
        """Order a ban of an hour, without the cost of starting a command."""
        self.ask("ban", network=network, span=3600 * 10**9)

    def events(self) -> list[dict[str, Any]]:
        """Ask for the reports so far."""
        return list(client.events(self.socket, {"last": 10_000, "follow": False}, 15))

    def cli(self, *arguments: str, code: int = 0) -> str:
        """Run a command of the command line where it finds our policy; returns what it said. Raises LabError."""
        done = self.host.run("env", "-C", str(self.directory), SIPGUARD, *arguments, check=False)
        if done.returncode != code:
            raise LabError(f"sipguard {' '.join(arguments)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    @property
    def keeper(self) -> int:
        """The process id of the keeper that answers now."""
        return int(self.ask("status")["keeper"]["pid"])

    @property
    def packet(self) -> dict[str, Any]:
        """What the packet process says of itself."""
        found: dict[str, Any] = self.ask("status")["packet"]
        return found


def blocked(host: Host) -> dict[str, dict[str, Any]]:
    """Read what the kernel bans, each with `expires` (seconds) and `packets` dropped; empty without a table."""
    found: dict[str, dict[str, Any]] = {}
    names = ("blocked4", "blocked6", "blocked_nets4", "blocked_nets6")
    for text, expires, packets in in_ipsets(host, names):
        found[text] = {"expires": expires, "packets": packets}
    for name in names:
        for element in elements(host, name):
            inner = element["elem"]
            found[subject(inner["val"])] = {"expires": inner["expires"], "packets": inner["counter"]["packets"]}
    return found


def subject(value: Any) -> str:
    """Write an element's key as a network; `nft` says an address, a prefix or a range, or that with something else."""
    if isinstance(value, str):
        return value
    if "concat" in value:
        return subject(value["concat"][0])
    if "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    first, last = map(ipaddress.ip_address, value["range"])
    return ",".join(map(str, ipaddress.summarize_address_range(first, last)))


def shut(host: Host) -> bool:
    """Tell whether anybody is said to judge what waits at the gate, whichever back end there is."""
    return elements(host, "alive") != [] or any(in_ipsets(host, ("alive4", "alive6")))


def unheld(guard: Guard) -> int:
    """Tell how many packets were to wait and were held by nobody, whichever back end there is."""
    saved = "".join(guard.host.run(f"{name}-save", "-c", "-t", "mangle").stdout for name in ("iptables", "ip6tables"))
    found = re.findall(r'^\[([0-9]+):.*"sipguard unheld"', saved, re.MULTILINE)
    return int(guard.packet["kernel"].get("unheld", 0)) + sum(map(int, found))


def in_ipsets(host: Host, names: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Read address or network, seconds left and packets of each element of some of our sets of ipset."""
    for line in host.run("ipset", "save", check=False).stdout.splitlines():
        found = re.fullmatch(r"add sipguard_(\w+) (\S+) timeout (\d+) packets (\d+) bytes \d+", line)
        if found and found[1] in names:
            yield found[2], int(found[3]), int(found[4])


def elements(host: Host, name: str) -> list[Any]:
    """Read one set of ours as `nft` prints it."""
    done = host.run("nft", "-j", "list", "set", "inet", "sipguard", name, check=False)
    if done.returncode:
        return []
    return [
        element
        for item in json.loads(done.stdout)["nftables"]
        if "set" in item
        for element in item["set"].get("elem", [])
    ]


def rules(host: Host) -> str:
    """Read the whole ruleset, as `nft` prints it, without what counts or runs out."""
    return host.run("nft", "-s", "list", "ruleset").stdout


@contextmanager
def guarding(world: World, name: str, *, mode: str = "enforce", top: str = "", more: str = "") -> Iterator[Guard]:
    """Yield a guard that answers, in the PBX's namespace; ends it and removes its table."""
    guard = Guard(world.pbx, world.directory / name, mode=mode, top=top, more=more)
    try:
        guard.start()
        yield guard
    finally:
        guard.process.stop()
        world.pbx.run("nft", "delete", "table", "inet", "sipguard", check=False)
        for program in ("iptables-nft", "ip6tables-nft"):  # the gate's rules, inert without the table; or all there are
            for table, how in product(("mangle", "raw"), ("-F", "-X")):
                world.pbx.run(program, "-t", table, how, check=False)
        world.pbx.run("ipset", "destroy", check=False)
