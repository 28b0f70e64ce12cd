"""`sipguard feeds`: the lists that others keep, what they hold and whom they met."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from sipguard.cli.output import guarded, say, show, table
from sipguard.cli.places import AsJson, Socket, socket_path
from sipguard.control import client

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def feeds(
    socket: Socket = None,
    accept: Annotated[
        str, typer.Option(metavar="NAME", help="Fetch this list now, and take it even when it has shrunk.")
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List the address lists of the policy: entries, age, whom they met, which of your own devices are on them."""
    with guarded():
        found = client.request(socket_path(socket), "feeds", {"accept": accept} if accept else {})
        show(found, as_json=as_json, human=human_feeds)


def human_feeds(found: Any) -> None:
    """Write the lists of an answer as a table, and below what is wrong with them."""
    table(
        ("NAME", "MODE", "ENTRIES", "AGE", "BANNED", "HITS", "DEVICES", "SPARED", "LEFT OUT"),
        [
            (
                row["name"],
                row["mode"],
                row["entries"],
                _age(time.time() - row["fetched"]) if row["fetched"] else "never",
                row["held"],
                row["hits"],
                row["overlap"],
                row["spared"],
                ", ".join(f"{count} {why}" for why, count in row["left_out"].items()) or "-",
            )
            for row in found
        ],
    )
    for row in found:
        if row["trouble"]:
            say(f"{row['name']}: {row['trouble']}; it has failed {row['failures']} times in a row")


def _age(seconds: float) -> str:
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{max(0, int(seconds)) // size}{unit}"
