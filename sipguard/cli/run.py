"""`sipguard run`: the guard itself, in the foreground; for the unit, and for people who want to watch it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sipguard.cli.check import find_policy, read_policy
from sipguard.cli.output import EX_CONFIG, EX_NOPERM, EX_UNAVAILABLE, fail
from sipguard.control import privilege
from sipguard.control.text import clean
from sipguard.errors import AdapterError, PolicyError

# linux/capability.h
_NET_ADMIN = 1 << 12
_NET_RAW = 1 << 13


def run(
    policy: Annotated[
        Path | None,
        typer.Option(readable=False, help="The policy; else /etc/sipguard/policy.toml, else conf/policy.toml."),
    ] = None,
    *,
    display: Annotated[
        bool | None, typer.Option("--show/--no-show", help="Say on the terminal what happens; default: on a terminal.")
    ] = None,
) -> None:
    """Run the guard on this host until Ctrl-C or SIGTERM."""
    chosen = find_policy() if policy is None else policy
    try:
        meant = read_policy(chosen)
    except PolicyError as error:
        fail(EX_CONFIG, f"{chosen} is not usable", *(clean(problem, 1000) for problem in error.problems))
    if privilege.held() & (_NET_ADMIN | _NET_RAW) != (_NET_ADMIN | _NET_RAW):
        fail(
            EX_NOPERM,
            "this user may not read packets: CAP_NET_ADMIN and CAP_NET_RAW are needed",
            "Run it as root, or by the unit: systemctl start sipguard",
        )
    if sys.stdout.isatty() if display is None else display:
        from sipguard.policy.describe import describe  # noqa: PLC0415 - for people only

        os.environ["SIPGUARD_SHOW"] = "1"
        print(f"sipguard guards this host by {chosen}; Ctrl-C ends it")
        print("\n".join(describe(meant)), flush=True)
    raise typer.Exit(_live(chosen))


def _live(chosen: Path) -> int:
    """Run the packet process until a signal ends it; gives the exit code.

    78: the policy is not usable, every problem is on standard error and nothing was changed. 69: the kernel, the
    capabilities or the state directory are not as they must be.
    """
    from sipguard.packetloop import PacketLoop  # noqa: PLC0415 - the engine and all; not before the policy is good
    from sipguard.policy.load import load  # noqa: PLC0415

    try:
        text = chosen.read_text(encoding="utf-8")
        policy = load(text)
    except (PolicyError, OSError, UnicodeDecodeError) as error:
        problems = error.problems if isinstance(error, PolicyError) else [f"cannot be read: {error}"]
        sys.stderr.write("".join(f"{chosen}: {problem}\n" for problem in problems))
        return EX_CONFIG
    try:
        return PacketLoop(chosen, text, policy, os.environ).run()
    except AdapterError as error:
        sys.stderr.write(f"sipguard: {error}\n")
        return EX_UNAVAILABLE
