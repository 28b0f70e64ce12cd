"""A network of our own behind a TUN device: this host's kernel is the server, the test is everybody else."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator

import pytest

from tests.wire.kernel import SERVER, SERVER6, Wire

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
CLONE_NEWNET = 0x40000000


def enter(namespace: int) -> None:
    """Move this thread into a network namespace (`os.setns` is of Python 3.12)."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def wire() -> Iterator[Wire]:
    name = f"wire-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        enter(there)
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"tun0", IFF_TUN_NO_PI))
        for command in (
            f"-4 addr add {SERVER}/24 dev tun0",
            f"-6 addr add {SERVER6}/64 dev tun0 nodad",
            "link set tun0 up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        yield Wire(device)
        os.close(device)
    finally:
        enter(here)
        os.close(here)
        os.close(there)
        subprocess.run(["ip", "netns", "del", name], check=True)
