"""Where the running guard is reached, without reading a policy in full.

Commands must be quick, and work when the policy is broken. Nothing here fails: what cannot be read is as the default
says.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

POLICIES = (Path("/etc/sipguard/policy.toml"), Path("conf/policy.toml"))
SOCKET = "/run/sipguard/control.sock"
STORE = "/var/lib/sipguard/sipguard.db"

Socket: TypeAlias = Annotated[
    Path | None,
    # readable: typer would look itself, and call what this user may not open wrong usage
    typer.Option("--socket", envvar="SIPGUARD_SOCKET", readable=False, help="Control socket; else as the policy says."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="For programs.")]


def socket_path(given: Path | None) -> Path:
    """Give the control socket: as given, else `[control] socket` of the policy, else the default."""
    return given or Path(_setting("control", "socket", SOCKET))


def store_path() -> Path:
    """Give the database: `[store] path` of the policy, else the default."""
    return Path(_setting("store", "path", STORE))


def _setting(section: str, key: str, otherwise: str) -> str:
    path = next((found for found in POLICIES if _is_file(found)), None)
    if path is None:
        return otherwise
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return otherwise
    value = document.get(section, {})
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and Path(found).is_absolute() else otherwise


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
