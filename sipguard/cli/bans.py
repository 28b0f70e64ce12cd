"""`sipguard bans`, `ban`, `unban`, `quarantine`, `release`: what is closed to whom, and the operator's word on it."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from sipguard.address import Network, parse_address
from sipguard.cli.output import EX_REFUSED, EX_USAGE, fail, guarded, say, show, table
from sipguard.cli.places import AsJson, Socket, socket_path
from sipguard.cli.whose import Whose, whose
from sipguard.control import client
from sipguard.control.lines import when
from sipguard.control.text import clean
from sipguard.model import SECOND, Span
from sipguard.policy.units import UnfitError, parse_cidr, parse_duration

Address = Annotated[str, typer.Argument(metavar="ADDR", help="An address or a network: 192.0.2.7, 2001:db8::/64.")]


def bans(
    socket: Socket = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the latest first.")] = 1000,
    *,
    as_json: AsJson = False,
) -> None:
    """List bans, throttles, quarantines and shields in force, the latest first."""
    with guarded():
        found = client.request(socket_path(socket), "bans", {"limit": limit})
        show(found, as_json=as_json, human=human_bans)


def human_bans(found: Any) -> None:
    """Write the bans of an answer as a table, and how many are not shown."""
    rows = found["bans"]
    if rows and found.get("mode") == "observe":
        say("The guard observes: these would be banned, nobody is.")
    table(
        ("SUBJECT", "WHAT", "SINCE", "UNTIL", "TIME", "WHY", "REASON"),
        [
            (
                row["subject"],
                row["verdict"],
                when(row["at"]),
                when(row["until"]),
                row["offence"] or "-",
                ",".join(row["because"]) + f" ({row['rule']})" * bool(row["rule"]),
                row["reason"],
            )
            for row in rows
        ],
    )
    if found["total"] > len(rows):
        print(f"{found['total'] - len(rows)} more are not shown")


def ban(
    address: Address,
    socket: Socket = None,
    span: Annotated[str | None, typer.Option("--for", help='How long: "90s", "1h", "7d"; else by the policy.')] = None,
    reason: Annotated[str, typer.Option(help="Kept with the ban and shown.")] = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Also when it holds the address you are logged in from.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Whomever it locks out: gateways, operators, phones. Never the allowlist.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ban an address or a network."""
    network = _network(address)
    own = _own_session()
    if own and network.covers(own) and not (yes or force):
        fail(EX_REFUSED, f"{network} holds the address you are logged in from", "If that is meant, say --force.")
    args = {"network": str(network), "span": _span(span), "reason": reason, "force": force}
    _order("ban", args, socket, as_json=as_json)


def unban(
    address: Address,
    socket: Socket = None,
    reason: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Lift the ban of an address or a network."""
    _order("unban", {"network": str(_network(address)), "reason": reason}, socket, as_json=as_json)


def release(
    subject: Whose,
    socket: Socket = None,
    reason: Annotated[str, typer.Option(help="Kept with the decision.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """End every quarantine and shield of an account, or of all accounts as used from an address."""
    with guarded():
        body = client.request(socket_path(socket), "release", {**whose(subject), "reason": reason})
        show(body, as_json=as_json, human=_human_released)


def quarantine(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="1001, whatever its realm; 1001@pbx.")],
    socket: Socket = None,
    span: Annotated[str | None, typer.Option("--for", help='How long: "90m", "1d"; else by the policy.')] = None,
    reason: Annotated[str, typer.Option(help="Kept with it and shown.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Let an account place no calls, but for help, until it is released; also one that was never seen yet."""
    args = {"account": account.removeprefix("sip:"), "span": _span(span), "reason": reason}
    _order("quarantine", args, socket, as_json=as_json)


def _human_released(body: Any) -> None:
    released = list(map(str, body.get("released", ()))) if isinstance(body, dict) else []
    for each in released:
        print(f"{clean(each)} is under no quarantine or shield any more")
    if body.get("total", 0) > len(released):
        print(f"{body['total'] - len(released)} more are not shown")


def _order(verb: str, args: dict[str, Any], socket: Any, *, as_json: bool) -> None:
    with guarded():
        show(client.request(socket_path(socket), verb, args), as_json=as_json, human=_human_outcome)


def _human_outcome(body: Any) -> None:
    """Say what has become of an order; the body's `decision` is a report line."""
    decision = body.get("decision", {}) if isinstance(body, dict) else {}
    verdict = str(decision.get("verdict", "dealt with"))
    done = {"block": "banned", "release": "no longer banned", "quarantine": "under quarantine"}.get(verdict, verdict)
    until = f" until {when(decision['until'])}" if "until" in decision else ""
    print(f"{clean(decision.get('subject', '-'))} is {clean(done)}{until}")
    if decision.get("rule") == "order.force":
        say(clean(decision.get("reason", ""), 1000))


def _network(text: str) -> Network:
    try:
        return parse_cidr(text)
    except UnfitError as unfit:
        fail(EX_USAGE, f"{text} {unfit.what}", *([unfit.hint] if unfit.hint else []))


def _span(text: str | None) -> Span:
    if text is None:
        return 0
    try:
        span = parse_duration(text)
    except UnfitError as unfit:
        fail(EX_USAGE, f"--for {text} {unfit.what}", unfit.hint)
    if span < SECOND:
        fail(EX_USAGE, f"--for {text} is too short", "It lasts at least one second.")
    return span


def _own_session() -> bytes:
    """Give the address of the operator's SSH session, as sshd(8) tells it; empty when there is none."""
    try:
        return parse_address(os.environ.get("SSH_CONNECTION", "").split(" ")[0])
    except ValueError:
        return b""
