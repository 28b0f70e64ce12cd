"""Network namespaces joined by one switch: a PBX, and hosts with whole networks of documentation addresses.

Every host is on the PBX's bridge `br0`, and reaches every other without a router. A host owns all addresses of its
networks (bind any of them), so that one namespace can play many phones, or an attacker who hops. Names are unique
to a world; leaving the context removes what it made, by name and by process id. Checksums are computed in software,
so that what is captured inside is what a wire would carry.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.lab.errors import LabError
from tests.lab.process import Registry, Running

T = TypeVar("T")

BRIDGE = "br0"
_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
# linux/ethtool.h: set receive and transmit checksums, scatter-gather, TSO, GSO, GRO
_OFFLOADS = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)


@dataclass(frozen=True, slots=True)
class HostPlan:
    """A host: its name, its first addresses, and the networks that are all its own."""

    name: str
    v4: str
    v6: str
    networks: tuple[str, ...] = ()


PBX = HostPlan("pbx", "192.0.2.10", "2001:db8:0:1::10")
ATTACKER = HostPlan("attacker", "203.0.113.66", "2001:db8:66:1::66", ("203.0.113.0/24", "2001:db8:66::/48"))
PHONE = HostPlan("phone", "198.51.100.20", "2001:db8:20:1::20", ("198.51.100.0/24", "2001:db8:20::/48"))


class Host:
    """One namespace: run commands in it, or open its sockets from here."""

    def __init__(self, plan: HostPlan, namespace: str, registry: Registry) -> None:
        self.name = plan.name
        self.v4 = plan.v4
        self.v6 = plan.v6
        self.namespace = namespace
        self._registry = registry

    def command(self, *command: str) -> list[str]:
        """`command` as it is run inside this namespace, for those who start it themselves."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def run(self, *command: str, seconds: float = 30.0, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run to the end. Raises LabError when it is late, or (with `check`) when it fails."""
        try:
            done = subprocess.run(
                self.command(*command),
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as late:
            raise LabError(f"{command[0]} still ran after {seconds:g} s") from late
        if check and done.returncode:
            raise LabError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
        return done

    def start(self, *command: str) -> Running:
        """Start and return at once; the world ends it at the latest when it is left."""
        return self._registry.start(f"{self.name}-{Path(command[0]).name}", self.command(*command))

    def inside(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread that has moved into the namespace; sockets it makes stay there for good."""
        results: list[T] = []
        failures: list[OSError | LabError] = []

        def body() -> None:
            try:
                _enter(self.namespace)
                results.append(function())
            except (OSError, LabError) as failure:
                failures.append(failure)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return results[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Return a new socket of this namespace, unbound."""
        return self.inside(lambda: socket.socket(family, kind, protocol))


class World:
    """The hosts of one lab. `directory` is its own, and goes with it."""

    def __init__(self, directory: Path, token: str) -> None:
        self.directory = directory
        self.token = token
        self.registry = Registry(directory)
        self.hosts: dict[str, Host] = {}

    @property
    def pbx(self) -> Host:
        """The namespace with the bridge, where the PBX runs."""
        return self.hosts["pbx"]

    @property
    def attacker(self) -> Host:
        """The stranger's namespace."""
        return self.hosts["attacker"]

    @property
    def phone(self) -> Host:
        """The honest devices' namespace."""
        return self.hosts["phone"]

    def add(self, plan: HostPlan) -> Host:
        """Make the namespace, with loopback up. It is not connected to anything yet."""
        host = Host(plan, f"sg-{self.token}-{plan.name}", self.registry)
        _ip(["netns", "add", host.namespace])
        self.hosts[plan.name] = host
        # accept_dad: an address is usable at once, not after a second of asking around
        for key in ("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"):
            host.run("sysctl", "-q", "-w", key)
        host.run("ip", "link", "set", "lo", "up")
        return host

    def clear(self) -> None:
        """End the processes, remove the namespaces and the directory."""
        self.registry.stop_all()
        for host in self.hosts.values():
            subprocess.run(["ip", "netns", "del", host.namespace], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def world(plans: Sequence[HostPlan] = (ATTACKER, PHONE), pbx: HostPlan = PBX) -> Iterator[World]:
    """Yield a running world. Needs root. Raises LabError when the kernel or iproute2 refuses."""
    directory = Path(tempfile.mkdtemp(prefix="sg-lab-"))
    made = World(directory, secrets.token_hex(3))
    try:
        _raise_bridge(made.add(pbx))
        for index, plan in enumerate(plans):
            _connect(made.pbx, made.add(plan), plan, index)
        yield made
    finally:
        made.clear()


def _raise_bridge(host: Host) -> None:
    host.run("ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    _plain_checksums(host, BRIDGE)
    host.run("ip", "link", "set", BRIDGE, "up")
    host.run("ip", "address", "add", f"{host.v4}/24", "dev", BRIDGE)
    host.run("ip", "address", "add", f"{host.v6}/64", "dev", BRIDGE, "nodad")


def _connect(pbx: Host, host: Host, plan: HostPlan, index: int) -> None:
    port = f"port{index}"
    pbx.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _plain_checksums(pbx, port)
    _plain_checksums(host, "eth0")
    pbx.run("ip", "link", "set", port, "master", BRIDGE, "up")
    host.run("ip", "link", "set", "eth0", "up")
    host.run("ip", "address", "add", f"{host.v4}/32", "dev", "eth0")
    host.run("ip", "address", "add", f"{host.v6}/128", "dev", "eth0", "nodad")
    host.run("ip", "route", "add", "default", "dev", "eth0", "src", host.v4)
    host.run("ip", "-6", "route", "add", "default", "dev", "eth0", "src", host.v6)
    pbx.run("ip", "route", "add", host.v4, "dev", BRIDGE, "src", pbx.v4)
    pbx.run("ip", "-6", "route", "add", host.v6, "dev", BRIDGE, "src", pbx.v6)
    # IPv6 wants leave to bind an address of a local route that stands on no interface; IPv4 does not ask
    host.run("sysctl", "-q", "-w", "net.ipv6.ip_nonlocal_bind=1")
    for network in plan.networks:
        host.run("ip", "route", "add", "local", network, "dev", "lo")
        via = host.v6 if ":" in network else host.v4
        pbx.run("ip", "route", "add", network, "via", via, "dev", BRIDGE, "onlink")


def _ip(arguments: Sequence[str]) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _enter(namespace: str) -> None:
    """Move the calling thread, and it alone, into a namespace (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(descriptor)


def _plain_checksums(host: Host, device: str) -> None:
    """Switch offloads off, where the driver has them, by the ethtool ioctl."""
    with host.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
            with contextlib.suppress(OSError):  # a bridge has no receive checksum to switch off
                fcntl.ioctl(control.fileno(), _SIOCETHTOOL, request)
