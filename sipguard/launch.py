"""Starts the packet process, and says by its exit code why it did not live. Nothing else is done here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sipguard.errors import AdapterError, PolicyError
from sipguard.geo.zones import is_zone
from sipguard.packetloop import PacketLoop
from sipguard.policy.load import load

EX_UNAVAILABLE = 69  # sysexits.h
EX_CONFIG = 78


def main(policy_path: Path) -> int:
    """Run the packet process until a signal ends it; gives the exit code.

    78: the policy is not usable, every problem is on standard error and nothing was changed. 69: the kernel, the
    capabilities or the state directory are not as they must be.
    """
    try:
        text = policy_path.read_text(encoding="utf-8")
        policy = load(text, is_zone)
    except (PolicyError, OSError, UnicodeDecodeError) as error:
        problems = error.problems if isinstance(error, PolicyError) else [f"cannot be read: {error}"]
        sys.stderr.write("".join(f"{policy_path}: {problem}\n" for problem in problems))
        return EX_CONFIG
    try:
        return PacketLoop(policy_path, text, policy, os.environ).run()
    except AdapterError as error:
        sys.stderr.write(f"sipguard: {error}\n")
        return EX_UNAVAILABLE
