"""`sipguard calls`, `hangup` and `accounts`: who calls where and what it costs, and the end of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sipguard.call import money
from sipguard.cli.output import EX_USAGE, fail, guarded, say, show, table
from sipguard.cli.places import AsJson, Socket, socket_path
from sipguard.control import client
from sipguard.control.lines import when
from sipguard.control.text import clean
from sipguard.policy.units import UnfitError, parse_duration

ID = 8
"""Characters of a call's id that a table shows: enough to mean one of thousands."""


def calls(
    socket: Socket = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    ended: Annotated[
        str | None, typer.Option(help='Those that have ended within so long instead: "3h", "7d", at most 31d.')
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the calls that are going on, the dearest first: who, where to, by which way, for how long, at what cost."""
    args: dict[str, Any] = {"limit": limit}
    if ended is not None:
        args["ended"] = span_of(ended, "--ended")
    with guarded():
        found = client.request(socket_path(socket), "calls", args)
        show(found, as_json=as_json, human=human_ended if ended is not None else human_calls)


def hangup(
    call: Annotated[str, typer.Argument(metavar="ID", help="As `calls` shows it, or any beginning that is one's own.")],
    socket: Socket = None,
    reason: Annotated[str, typer.Option(help="Kept with what was done.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Hang up a call that is going on: both ends get a proper BYE."""
    with guarded():
        body = client.request(socket_path(socket), "hangup", {"id": call, "reason": reason})
        show(body, as_json=as_json, human=lambda told: print(f"{clean(told.get('subject', call))} is being hung up"))


def accounts(
    account: Annotated[str, typer.Argument(metavar="[ACCOUNT]", help="1001, 1001@pbx; without: all.")] = "",
    socket: Socket = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List accounts, those that spend first: where they are registered, their calls, what is done about them."""
    with guarded():
        args = {"account": account.removeprefix("sip:"), "limit": limit}
        found = client.request(socket_path(socket), "accounts", args)
        show(found, as_json=as_json, human=_human_accounts)


def span_of(text: str, option: str) -> int:
    """Read a length of time; anything else is wrong usage."""
    try:
        return parse_duration(text)
    except UnfitError as unfit:
        fail(EX_USAGE, f"{option} {text} {unfit.what}", unfit.hint)


# --- For people -------------------------------------------------------------------------------------------------------


def human_calls(found: Any) -> None:
    """Write the running calls of an answer as a table."""
    rows = [
        (
            str(row["id"])[:ID],
            who(row),
            row["number"],
            _where(row),
            row["origin"] + " ?" * bool(row["ambiguous"]),
            row["trunk"] or row["carrier"] or "-",
            lasted(row["seconds"]) if row["answered"] else "rings",
            cost(row),
            "" if row["confirmed"] else "not heard of lately",
        )
        for row in found["calls"]
    ]
    table(("ID", "WHO", "TO", "WHERE", "ORIGIN", "TRUNK", "FOR", "COST", ""), rows)
    _more(found, "calls")
    if rows:
        print(f"{found['total']} calls, {money(found['cost'])} {clean(found.get('currency', ''))} so far".rstrip())


def human_ended(found: Any) -> None:
    """Write the calls of an answer that are over as a table."""
    rows = [
        (
            when(row["ended"]),
            who(row),
            row["number"],
            _where(row),
            row["origin"],
            row["trunk"] or "-",
            lasted(row["seconds"]) if row["answered"] else "not answered",
            cost(row),
        )
        for row in found["calls"]
    ]
    table(("ENDED", "WHO", "TO", "WHERE", "ORIGIN", "TRUNK", "FOR", "COST"), rows)
    _more(found, "calls")
    if rows:
        print(f"{found['total']} calls, {lasted(found['seconds'])}, {money(found['cost'])} in all")


def _human_accounts(found: Any) -> None:
    if "error" in found:
        say(f"What was called today cannot be told: {clean(found['error'])}")
    table(
        ("ACCOUNT", "REGISTERED", "UNTIL", "CALLS", "COST", "TODAY", "FOR", "COST", "STATE"),
        [
            (
                row["account"],
                _places(row),
                when(row["registered"][0]["until"]) if row["registered"] else "-",
                row["calls"] or "-",
                money(row["cost"]) if row["cost"] else "-",
                row["today"]["calls"] or "-",
                lasted(row["today"]["seconds"]),
                money(row["today"]["cost"]),
                "; ".join(_state(each) for each in row["state"]) or "-",
            )
            for row in found["accounts"]
        ],
    )
    _more(found, "accounts")


def _more(found: Any, name: str) -> None:
    if found["total"] > len(found[name]):
        print(f"{found['total'] - len(found[name])} more are not shown")


def _places(row: Mapping[str, Any]) -> str:
    first = [str(each["network"]) for each in row["registered"]]
    more = row["registrations"] - len(first)
    return ", ".join(first) + f" and {more} more" * bool(more > 0) or "-"


def _state(state: Mapping[str, Any]) -> str:
    where = f" from {state['from']}" if "from" in state else ""
    said = {"quarantine": "quarantined", "shield": "shielded"}.get(str(state["what"]), state["what"])
    return f"{said}{where} until {when(state['until'])}"


def who(row: Mapping[str, Any]) -> str:
    """Say whose call it is: an account; else what the caller calls himself, which anybody can write."""
    return str(row["account"]) if row["account"] else f"({row['caller']})" if row["caller"] else "-"


def _where(row: Mapping[str, Any]) -> str:
    return f"{row['country'] or '-'} {row['class']}"


def cost(row: Mapping[str, Any]) -> str:
    """Write what a call costs; nothing is known of one without a price."""
    return money(row["cost"]) if row["priced"] else "no price"


def lasted(seconds: float) -> str:
    """Write a length of time as clocks do: 1:02:03, 2:03."""
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}" if minutes >= 60 else f"{minutes}:{left:02}"
