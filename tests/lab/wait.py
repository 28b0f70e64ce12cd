"""Waiting for a condition, with a deadline; nothing here sleeps for a fixed time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tests.lab.errors import LabError

POLL_SECONDS = 0.02
PATIENCE = int(os.environ.get("SIPGUARD_TEST_PATIENCE", "1"))
"""How many times slower than a real processor this one may be: `scripts/qemu` can emulate it."""


def until(condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Return as soon as `condition` holds. Raises LabError naming `what` when it does not within `seconds`."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(POLL_SECONDS)
