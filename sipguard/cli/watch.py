"""`sipguard status` and `sipguard events`: what the guard does, now and as it happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sipguard.cli.output import EX_UNAVAILABLE, fail, guarded, pairs, say, show
from sipguard.cli.places import AsJson, Socket, socket_path
from sipguard.control import client
from sipguard.control.lines import event_text
from sipguard.control.text import clean


def status(socket: Socket = None, *, as_json: AsJson = False) -> None:
    """Say how the guard is. Exit code 69 when it, or its packet process, does not answer."""
    with guarded():
        found = client.request(socket_path(socket), "status", {})
        show(found, as_json=as_json, human=_human_status)
    error = _part(found, "packet").get("error")
    if error:
        fail(EX_UNAVAILABLE, f"the packet process does not answer: {error}")


def _human_status(found: Any) -> None:
    packet, keeper, store = (_part(found, name) for name in ("packet", "keeper", "store"))
    if packet.get("off") or keeper.get("off"):
        say("sipguard is OFF: everything is open. Guard again: sipguard on")
    mode = packet.get("mode", "unknown")
    values: dict[str, object] = {"mode": f"{mode} (policy: {keeper.get('policy_mode', 'unknown')})"}
    if isinstance(packet.get("uptime"), int):
        values["running for"] = f"{packet['uptime'] // 3600} h {packet['uptime'] // 60 % 60} min"
    if "error" in store:
        values["store"] = f"does not work: {store['error']}"
    else:
        values |= {"bans in force": store.get("bans"), "trusted devices": store.get("trust")}
        values["decisions kept"] = store.get("decisions")
    if enforced := _part(packet, "enforced"):
        values["the kernel holds"] = _agreement(enforced)
    if gate := _gate(_part(packet, "gate")):
        values["the gate"] = gate
    if keeper.get("unresolved"):
        values["names that never resolved"] = ", ".join(map(str, keeper["unresolved"]))
    for name in ("counters", "tap", "gate", "kernel", "link"):
        for key, value in _part(packet, name).items():
            if value and key not in {"by", "fault"}:  # most count what hardly ever happens
                values[f"{name}: {key}"] = value
    pairs({name: value for name, value in values.items() if value is not None})


def _agreement(enforced: Mapping[str, Any]) -> str:
    """Say desired against actual in one line."""
    said = f"{enforced.get('held')} of {enforced.get('wanted')} elements that it should"
    if enforced.get("behind"):
        said += f"; {enforced['behind']} are on their way"
    if enforced.get("restored"):
        said += f"; put back {enforced['restored']} times after somebody removed our rules"
    return said


def _gate(gate: Mapping[str, Any]) -> str:
    """Say whether packets wait for a verdict; nothing where nobody wants that."""
    if gate.get("by"):
        return f"packets wait for their verdict, queued by {gate['by']}"
    return f"open: {gate['fault']}" if gate.get("fault") else ""


def _part(found: Any, name: str) -> Mapping[str, Any]:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}


def events(
    socket: Socket = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, max=10_000, help="So many of the past.")] = 50,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show findings, decisions, actions and alerts, the latest last."""
    with guarded():
        try:
            for event in client.events(socket_path(socket), {"follow": follow, "last": last}, None if follow else 15):
                line = json.dumps(event, sort_keys=True) if as_json else event_text(event)
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def version(*, as_json: AsJson = False) -> None:
    """Say which sipguard this is."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, used by this command alone

    number = metadata.version("sipguard")
    show({"version": number}, as_json=as_json, human=lambda _: print(f"sipguard {clean(number)}"))
