"""Fixtures for live tests: import the ones wanted, and mark the module `root` and `lab`.

    from tests.lab.fixtures import lab_stage  # noqa: F401 - a fixture

Each test gets its own world: unique names, unique directory, everything gone afterwards.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.lab.cases.case import Lab, lab
from tests.lab.world import World, world

TOOLS = ("ip", "tcpdump", "kamailio")


def require(*tools: str) -> None:
    """Skip the test unless we are root and the tools are installed."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture
def lab_world() -> Iterator[World]:
    """Attacker, PBX and phone namespaces, with nothing running in them."""
    require("ip")
    with world() as made:
        yield made


@pytest.fixture
def lab_stage() -> Iterator[Lab]:
    """Add a Kamailio that answers, its nonces bound to the source address."""
    require(*TOOLS)
    with lab() as stage:
        yield stage
