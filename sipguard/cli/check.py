"""`sipguard check`: say what a policy means, or everything that is wrong with it. Changes nothing.

Also where every other command reads a policy file: a file that cannot be read is a `PolicyError` like any other.
"""

from __future__ import annotations

import json
import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sipguard.control.text import clean
from sipguard.errors import AdapterError, PolicyError, Problem
from sipguard.geo.zones import is_zone
from sipguard.policy.describe import describe
from sipguard.policy.load import load
from sipguard.policy.schema import Policy

EX_CONFIG = 78  # sysexits.h
PLACES = (Path("/etc/sipguard/policy.toml"), Path("conf/policy.toml"))
MOST_BYTES = 1024 * 1024


def find_policy() -> Path:
    """Give the policy file of this host: the first of `PLACES` that is there, the first if none is."""
    return next((place for place in PLACES if place.exists()), PLACES[0])


def read_policy(file: Path) -> Policy:
    """Read a policy file. Raises PolicyError, also when the file cannot be read."""
    return load(_read_text(file), is_zone)


def check(
    file: Annotated[
        Path | None, typer.Argument(help="The policy; else /etc/sipguard/policy.toml, else conf/policy.toml.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Say it for programs.")] = False,
) -> None:
    """Say in a few lines what a policy means, or everything that is wrong with it (exit code 78)."""
    chosen = find_policy() if file is None else file
    try:
        policy = read_policy(chosen)
    except PolicyError as error:
        _say_wrong(chosen, error, as_json=as_json)
        raise typer.Exit(EX_CONFIG) from None
    _check_deck(policy, as_json=as_json)
    means = describe(policy)
    if as_json:
        print(json.dumps({"file": str(chosen), "means": means, "ok": True}))
    else:
        print("\n".join(means))


def _check_deck(policy: Policy, *, as_json: bool) -> None:
    """End with the errors of the price list that the policy names, if it has any; its warnings are told."""
    if not policy.rates.file:
        return
    from sipguard.feeds.deck import read_deck  # noqa: PLC0415 - most policies name none

    path = Path(policy.rates.file)
    try:
        found = read_deck(path, datetime.now().astimezone().date(), policy.rates.priced_in)
    except AdapterError as error:
        _say_wrong(path, PolicyError([Problem("rates.deck", 0, error.what)]), as_json=as_json)
        raise typer.Exit(EX_CONFIG) from None
    for problem in () if as_json else found.warnings:
        typer.echo(f"{_shown(path)}{_said(problem)} (a warning)", err=True)
    if not found.usable:
        _say_wrong(path, PolicyError(found.errors), as_json=as_json)
        raise typer.Exit(EX_CONFIG)


def _say_wrong(file: Path, error: PolicyError, *, as_json: bool) -> None:
    if as_json:
        problems = [
            {"hint": problem.hint, "key": problem.key, "line": problem.line, "what": problem.what}
            for problem in error.problems
        ]
        print(json.dumps({"file": str(file), "ok": False, "problems": problems}))
        return
    for problem in error.problems:
        typer.echo(f"{_shown(file)}{_said(problem)}", err=True)


def _said(problem: Problem) -> str:
    line = f":{problem.line}" if problem.line else ""
    return clean(f"{line}: {Problem(problem.key, 0, problem.what, problem.hint)}", 2000)


def _shown(file: Path) -> str:
    """Give a file's name without what could write on a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(file))


def _read_text(file: Path) -> str:
    try:
        # Not blocking: a pipe that nobody writes to must not hang the start of the service.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise PolicyError([Problem("", 0, "is not a regular file")])
            content = opened.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        why = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise PolicyError([Problem("", 0, f"cannot be read: {why}")]) from None
    if len(content) > MOST_BYTES:
        raise PolicyError([Problem("", 0, "is larger than 1 MiB: no policy")])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyError([Problem("", line, "is not UTF-8 text", "save it as UTF-8")]) from None
