"""Throw-away network namespaces: one alone, or a PBX and a stranger joined by a cable. Gone afterwards, by name.

A netlink socket belongs to the namespace it was opened in, so a test works `inside` the PBX's and keeps sockets that
it opened inside the stranger's.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import itertools
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sipguard.enforce import queueing
from sipguard.model import Instant

_NEWNET = 0x40000000  # CLONE_NEWNET, setns(2)
_numbers = itertools.count()


def now() -> Instant:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def run(*command: str, text: str = "") -> str:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=30).stdout


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def needs_nft_to_queue() -> None:
    """Skip the test on a kernel in which nft cannot queue."""
    if not queueing.nft_can_queue():
        pytest.skip("needs a kernel in which nft can queue: scripts/qemu boots one")


def made_with(option: str) -> bool | None:
    """Tell whether this kernel was made with an option; None where it does not say."""
    packed, installed = Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}")
    if packed.exists():
        return f"\n{option}=" in gzip.decompress(packed.read_bytes()).decode()
    return f"\n{option}=" in installed.read_text() if installed.exists() else None


@contextlib.contextmanager
def space() -> Iterator[str]:
    """Make an empty namespace with its loopback up."""
    name = f"sgt{os.getpid()}x{next(_numbers)}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        run("ip", "netns", "del", name)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """Be in a namespace: what is opened or run meanwhile belongs to it."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if libc.setns(there, _NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        if libc.setns(home, _NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(there)
        os.close(home)


@dataclass
class Cable:
    """A PBX (192.0.2.1, 2001:db8::1) and a stranger (192.0.2.2 to .9, 2001:db8::2), each with the other on `v0`."""

    pbx: str
    stranger: str
    sockets: list[socket.socket] = field(default_factory=list)

    def open(self, where: str, address: str, port: int = 0, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """Open a socket in a namespace; it is closed when the cable is."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(where):
            made = socket.socket(family, kind)
        self.sockets.append(made)
        made.settimeout(5)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        return made


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """Join two namespaces; the context ends inside none of them."""
    with space() as pbx, space() as stranger:
        run("ip", "-n", pbx, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", stranger)
        for name, lasts in ((pbx, "1"), (stranger, "23456789")):
            for last in lasts:
                run("ip", "-n", name, "addr", "add", f"192.0.2.{last}/24", "dev", "v0")
            run("ip", "-n", name, "addr", "add", f"2001:db8::{lasts[0]}/64", "dev", "v0", "nodad")
            run("ip", "-n", name, "link", "set", "v0", "up")
        made = Cable(pbx, stranger)
        try:
            yield made
        finally:
            for one in made.sockets:
                one.close()


def arrives(
    sender: socket.socket,
    receiver: socket.socket,
    to: tuple[str, int],
    payload: bytes = b"hello",
    seconds: float = 0.25,
) -> bool:
    """Send one datagram and tell whether it arrives within a time that is long for a cable.

    Not long for IPv6 on a new one: the first neighbour solicitation is often lost, and repeated after a second.
    """
    sender.sendto(payload, to)
    if not select.select([receiver], [], [], seconds)[0]:
        return False
    return receiver.recv(65_535) == payload


def passes(sender: socket.socket, receiver: socket.socket, to: tuple[str, int], payload: bytes = b"hello") -> bool:
    """Tell whether a datagram gets through, sent again as SIP does; on a busy machine a lone one may come late."""
    return any(arrives(sender, receiver, to, payload, seconds=0.5) for _ in range(10))
