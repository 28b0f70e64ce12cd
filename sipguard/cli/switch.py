"""`sipguard enforce`, `observe`, `off` and `on`: how far the guard may go. `off` works whatever state it is in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sipguard.cli.bans import human_bans
from sipguard.cli.output import EX_NOPERM, EX_REFUSED, EX_UNAVAILABLE, EX_USAGE, fail, guarded, say, show, table
from sipguard.cli.places import AsJson, Socket, socket_path, store_path
from sipguard.control import client
from sipguard.control.text import clean
from sipguard.errors import AdapterError

OFF_PATIENCE = 8.0
"""Seconds that `off` waits for the guard, after it has opened what it can by itself."""


def enforce(
    socket: Socket = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Switch without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what would have been blocked so far and whom it would hit; then, when told so, block from now on."""
    path = socket_path(socket)
    with guarded():
        found = client.request(path, "preview", {})
        found["gate"] = _at_the_gate(client.request(path, "status", {}))
        if not as_json:
            _human_preview(found)
        if not yes and not _agreed(as_json=as_json):
            fail(EX_REFUSED, "nothing was changed")
        body = client.request(path, "enforce", {})
        done = {"preview": found, "enforce": body}
        show(done, as_json=as_json, human=lambda _: print("From now on sipguard blocks."))


def _agreed(*, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        fail(EX_USAGE, "nobody is there to be asked", "Say --yes to switch without asking.")
    return typer.confirm("Block from now on?", default=False, err=True)


def _at_the_gate(status: Any) -> dict[str, int]:
    """Give how many packets the gate would have stopped since the guard was started, by what it would have done."""
    packet = status.get("packet") if isinstance(status, dict) else None
    counters = packet.get("counters") if isinstance(packet, dict) else None
    return {kind: (counters or {}).get(f"would_{kind}", 0) for kind in ("drop", "refuse", "defer")}


def _human_preview(found: Any) -> None:
    print(f"{found['seen']} decisions to block are remembered, {found['total']} are in force; they would bite at once.")
    if found["rules"]:
        table(("RULE", "IN FORCE"), list(found["rules"].items()))
    if found["bans"]:
        human_bans(found)
    if any((gate := found["gate"]).values()):
        print(
            f"Since it was started the gate would have dropped {gate['drop']} packets, refused {gate['refuse']} calls, "
            f"and kept {gate['defer']} guesses waiting; `sipguard events` tells whose."
        )
    if not found["hits"]:
        print("No device with a registration would be cut off.")
        return
    print(f"{found['hits']} devices with a registration would be cut off:")
    table(("ADDRESS", "ACCOUNT", "RULE"), [(hit["subject"], hit["account"], hit["rule"]) for hit in found["hit"]])
    print("If they are yours: allow their addresses in the policy, or unban them, before you go on.")


def observe(socket: Socket = None, *, as_json: AsJson = False) -> None:
    """Block nothing from now on; go on to look and to tell."""
    with guarded():
        body = client.request(socket_path(socket), "observe", {})
        show(body, as_json=as_json, human=lambda _: print("From now on sipguard only looks; nobody is blocked."))


def on(socket: Socket = None, *, as_json: AsJson = False) -> None:
    """Guard again after `off`."""
    path = socket_path(socket)
    try:
        body = client.request(path, "on", {})
    except client.NotRunningError:
        _unmark(store_path().with_name("off"))
        with guarded():
            raise
    except (client.NotPermittedError, client.DeniedError):
        with guarded():
            raise
    show(body, as_json=as_json, human=lambda _: print("sipguard guards again."))


def _unmark(marker: Path) -> None:
    try:
        marker.unlink()
        say(f"{marker} is removed: the guard will guard when it is started.")
    except FileNotFoundError:
        return
    except OSError as error:
        say(f"{marker} cannot be removed ({error.strerror}): the guard would stay off when it is started.")


def off(socket: Socket = None, *, as_json: AsJson = False) -> None:
    """Open everything at once, also when the guard is dead; it stays open until `sipguard on`."""
    marked = _mark(store_path().with_name("off"))
    opened = _open_kernel()
    told = _tell_guard(socket_path(socket))
    done = {"kernel": opened or "open", "marker": marked or "set", "guard": told or "off"}
    if opened and told:
        _not_opened(done)
    if marked and told:
        say(f"The mark could not be set ({clean(marked)}): a restarted guard would guard again.")
    show(done, as_json=as_json, human=lambda _: print("Everything is open, until: sipguard on"))


def _mark(marker: Path) -> str:
    """Leave the mark that a restarted guard finds; give why not."""
    try:
        marker.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        marker.touch(mode=0o644)
    except OSError as error:
        return f"{marker}: {error.strerror}"
    return ""


def _open_kernel() -> str:
    """Remove our table ourselves, whatever the guard is doing; give why not."""
    from sipguard.enforce.panic import panic_off  # noqa: PLC0415 - for this command alone

    try:
        panic_off()
    except AdapterError as error:
        return error.what
    return ""


def _tell_guard(path: Path) -> str:
    """Tell the guard, if there is one, so that it does not close again; give why not."""
    try:
        client.request(path, "off", {}, OFF_PATIENCE)
    except AdapterError as error:
        return error.what
    return ""


def _not_opened(done: dict[str, str]) -> None:
    """End: neither we nor the guard could open."""
    permitted = "not permitted" not in done["kernel"].lower() and "permission" not in done["kernel"].lower()
    fail(
        EX_UNAVAILABLE if permitted else EX_NOPERM,
        f"the kernel's rules could not be removed: {clean(done['kernel'])}",
        f"The guard was asked too: {clean(done['guard'])}",
        "Try with sudo, or by hand: sudo nft delete table inet sipguard",
    )
