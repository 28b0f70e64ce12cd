"""`sipguard incident`: the story of an account: addresses, findings, decisions, calls with cost, what to change now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sipguard.cli.calls import human_calls, span_of
from sipguard.cli.output import guarded, say, show, table
from sipguard.cli.places import AsJson, Socket, socket_path
from sipguard.cli.story import MOST, addresses, advice, steps, summary
from sipguard.control import client
from sipguard.control.lines import when
from sipguard.control.text import clean


def incident(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="1001, 1001@pbx.")],
    socket: Socket = None,
    since: Annotated[str, typer.Option(help='How far back: "24h", "31d".')] = "7d",
    *,
    as_json: AsJson = False,
) -> None:
    """Tell the story of an account in order: where it was used, what was found and done, what it called, what to do."""
    args = {"account": account.removeprefix("sip:"), "span": span_of(since, "--since")}
    with guarded():
        found = client.request(socket_path(socket), "incident", args)
    found["summary"] = summary(found)
    found["story"] = [step._asdict() for step in steps(found)]
    found["addresses"] = addresses(found)
    found["advice"] = list(advice(found))
    show(found, as_json=as_json, human=_human)


def _human(found: Any) -> None:
    print(found["summary"])
    for part in ("bill", "past"):
        if "error" in found[part]:
            say(f"What was kept cannot be told: {clean(found[part]['error'])}")
    if found["addresses"]:
        shown = found["addresses"][:10]
        more = len(found["addresses"]) - len(shown)
        print(f"Addresses: {', '.join(shown)}" + f" and {more} more" * (more > 0))
    if found["running"]:
        print("\nGoing on now")
        cost = sum(each["cost"] for each in found["running"])
        human_calls(found | {"calls": found["running"][:5], "total": found["running_total"], "cost": cost})
    if found["story"]:
        print("\nWhat happened" + f" (the last {MOST}; all with --json)" * (len(found["story"]) > MOST))
        table(("WHEN", "", ""), [(when(each["at"]), each["what"], each["told"]) for each in found["story"][-MOST:]])
    print("\nWhat to do now")
    for each in found["advice"]:
        print(f"- {each}")
