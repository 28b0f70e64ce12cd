"""The command line: which commands there are, no more. Each is imported when it is called, so that all are quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

import typer

COMMANDS: Mapping[str, tuple[str, str]] = {
    # command: (module, function)
    "run": ("sipguard.cli.run", "run"),
    "status": ("sipguard.cli.watch", "status"),
    "events": ("sipguard.cli.watch", "events"),
    "bans": ("sipguard.cli.bans", "bans"),
    "why": ("sipguard.cli.why", "why"),
    "ban": ("sipguard.cli.bans", "ban"),
    "unban": ("sipguard.cli.bans", "unban"),
    "release": ("sipguard.cli.bans", "release"),
    "quarantine": ("sipguard.cli.bans", "quarantine"),
    "calls": ("sipguard.cli.calls", "calls"),
    "hangup": ("sipguard.cli.calls", "hangup"),
    "accounts": ("sipguard.cli.calls", "accounts"),
    "limits": ("sipguard.cli.limits", "limits"),
    "incident": ("sipguard.cli.incident", "incident"),
    "feeds": ("sipguard.cli.feeds", "feeds"),
    "enforce": ("sipguard.cli.switch", "enforce"),
    "observe": ("sipguard.cli.switch", "observe"),
    "off": ("sipguard.cli.switch", "off"),
    "on": ("sipguard.cli.switch", "on"),
    "check": ("sipguard.cli.check", "check"),
    "rules": ("sipguard.cli.rules", "rules"),
    "replay": ("sipguard.cli.replay", "replay"),
    "geoip": ("sipguard.cli.geoip", "geoip"),
    "rates": ("sipguard.cli.rates", "rates"),
    "version": ("sipguard.cli.watch", "version"),
}


def application(names: Iterable[str]) -> typer.Typer:
    """Make the application with some commands; the others' modules are not imported."""
    app = typer.Typer(
        name="sipguard",
        help="A SIP edge firewall and toll-fraud guard for PBX hosts. Exit codes: 0 done, 1 refused or different, "
        "2 wrong usage, 69 not running, 77 not permitted, 78 unusable policy.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_group)
    for name in names:
        module, function = COMMANDS[name]
        found = getattr(import_module(module), function)
        if isinstance(found, typer.Typer):  # a group of commands
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def _group() -> None:
    """Keep `sipguard NAME` as the form of a call, also where only one command is loaded."""


def main() -> None:
    """Run the command that the arguments name."""
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        application([named] if named in COMMANDS else COMMANDS)()
    finally:
        if sys.stdout is not None:  # as when it was closed before we began
            _say_the_rest()


def _say_the_rest() -> None:
    """Write what is still held back; when its reader has gone, nowhere: else Python complains and exits with 120."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
