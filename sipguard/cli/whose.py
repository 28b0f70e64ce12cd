"""Whom a command is about, where it may be an address or an account. Reads nothing, asks nobody."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import typer

from sipguard.cli.output import EX_USAGE, fail
from sipguard.policy.units import UnfitError, parse_cidr

Whose: TypeAlias = Annotated[
    str, typer.Argument(metavar="ADDR|ACCOUNT", help="192.0.2.7, 2001:db8::1, 192.0.2.0/24, 1001, 1001@pbx.")
]

_LIKE_AN_ADDRESS = re.compile(r"[0-9.]*\.[0-9.]*(/.*)?|[0-9]+/.*|[0-9a-z]*:[0-9a-z:.%]*(/.*)?", re.IGNORECASE)


def whose(subject: str) -> dict[str, str]:
    """Tell addresses from names; what looks like an address and is none is wrong usage, not a name."""
    if not _LIKE_AN_ADDRESS.fullmatch(subject):
        return {"account": subject.removeprefix("sip:")}
    try:
        return {"network": str(parse_cidr(subject))}
    except UnfitError as unfit:
        fail(EX_USAGE, f"{subject} {unfit.what}", *([unfit.hint] if unfit.hint else []))
