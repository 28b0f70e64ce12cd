"""`sipguard limits` and `limits reset`: what was counted against which limit, and counting anew."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sipguard.call import money
from sipguard.cli.output import EX_USAGE, fail, guarded, show, table
from sipguard.cli.places import AsJson, Socket, socket_path
from sipguard.control import client
from sipguard.control.text import clean

SCOPES = ("account", "group", "trunk", "site", "class", "country", "number")


def limits(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[reset] [[SCOPE:]NAME]",
            help="1001, group:Sales, trunk:carrier, site:Office, class:premium, country:SO, number:+252…; "
            "without a scope an account; `reset NAME` sets its counters to nothing.",
        ),
    ] = None,
    socket: Socket = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    reason: Annotated[str, typer.Option(help="Kept with a reset.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Show what accounts, groups, trunks and sites have used of their limits; or begin to count anew."""
    said = list(words or ())
    reset = said[:1] == ["reset"]
    named = said[1:] if reset else said
    if len(named) > 1 or (reset and not named):
        fail(EX_USAGE, "one name is meant", "sipguard limits [NAME], or: sipguard limits reset NAME")
    scope, name = _subject(named[0]) if named else ("", "")
    with guarded():
        path = socket_path(socket)
        if reset:
            args: dict[str, Any] = {"name": name, "scope": scope or "account", "reason": reason}
            show(client.request(path, "reset", args), as_json=as_json, human=_human_reset)
        else:
            args = {"name": name, "scope": scope or ("account" if name else ""), "limit": limit}
            show(client.request(path, "limits", args), as_json=as_json, human=human_limits)


def _subject(text: str) -> tuple[str, str]:
    scope, colon, name = text.partition(":")
    if colon and scope in SCOPES and name:
        return scope, name
    return "", text.removeprefix("sip:")


def _human_reset(body: Any) -> None:
    reset = list(map(str, body.get("reset", ()))) if isinstance(body, dict) else []
    for each in reset:
        print(f"{clean(each)} is counted anew; calls that run stay counted")
    if body.get("total", 0) > len(reset):
        print(f"{body['total'] - len(reset)} more are not shown")


def human_limits(found: Any) -> None:
    """Write counters and their limits as a table."""
    table(
        ("WHOSE", "LIMIT", "NOW", "WARN", "CRITICAL"),
        [
            (
                f"{row['scope']} {row['subject']}",
                row["rule"],
                _value(row, row["value"]),
                _value(row, row["warn"]) if row["warn"] else "-",
                _value(row, row["critical"]) if row["critical"] else "-",
            )
            for row in found["limits"]
        ],
    )
    more = found["total"] - len(found["limits"])
    if more > 0:
        print(f"{more} more are not shown")
    if found.get("unseen"):
        print(f"{found['unseen']} subjects were not looked at: ask for one by its name")


def _value(row: Any, value: int) -> str:
    return money(value) if row["money"] else str(value)
