"""Dropping privileges is for good, or it is an error."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROBE = """
import os, socket, subprocess
from sipguard.control import privilege
before = privilege.held()
privilege.drop()
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    print("raw socket", end=" ")
except PermissionError:
    print("refused", end=" ")
print(privilege.held(), before > 0, end=" ")
child = subprocess.run(["grep", "-E", "Cap(Prm|Eff|Inh|Amb)|NoNewPrivs", "/proc/self/status"], capture_output=True)
print(*sorted(set(line.split()[1].decode().lstrip("0") or "0" for line in child.stdout.splitlines())))
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to drop")
def test_nothing_is_held_afterwards_and_children_gain_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["refused", "0", "True", "0", "1"]


def test_dropping_nothing_is_no_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from sipguard.control import privilege as p; p.drop(); p.drop(); print(p.held())"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.strip() == "0"
