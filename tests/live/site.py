"""A site with many phones behind one address, for the live tests, and what the kernel and the reports say of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.lab.cases.case import Lab
from tests.lab.cases.register import guess
from tests.lab.client import Challenge, Client, Reply
from tests.lab.errors import LabError
from tests.lab.kamailio import ACCOUNTS, REALM, WEAK_ACCOUNT, WEAK_PASSWORD, Settings
from tests.lab.wait import until
from tests.live.guard import Guard, elements, in_ipsets, subject

PHONES: Mapping[str, str] = {str(number): f"Kp3-{number}-calm" for number in range(2001, 2101)}
SETTINGS = Settings(qop=True, accounts={**ACCOUNTS, WEAK_ACCOUNT: WEAK_PASSWORD, **PHONES})
AGAINST = ("blocked4", "blocked6", "blocked_nets4", "blocked_nets6", "throttled4", "throttled6")
"""The kernel's sets in which no innocent may stand."""

Phone = tuple[str, Client]


def realm(user: str) -> str:
    """Write an account as reports do."""
    return f"{user}@{REALM}"


def office(stage: Lab, address: str, users: Sequence[str]) -> list[Phone]:
    """Put phones behind one address, each on a port of its own."""
    world = stage.world
    return [(user, Client(world.phone, world.pbx.v4, address=address, port=10_000 + int(user))) for user in users]


def challenges(phones: Sequence[Phone]) -> list[Challenge]:
    """Let all ask at once, and give what each is asked for."""
    return [reply.challenge for reply in _together(phones, lambda _, user, client: client.request("REGISTER", user))]


def show(phones: Sequence[Phone], asked: Sequence[Challenge]) -> list[Reply]:
    """Let all answer a challenge with their own password at once, and give what each is told."""

    def answer(number: int, user: str, client: Client) -> bytes:
        return guess(client, asked[number], SETTINGS.accounts[user], user)

    return _together(phones, answer)


def register(phones: Sequence[Phone]) -> list[int]:
    """Let all register at once, and give the codes of the last answers."""
    return [reply.code for reply in show(phones, challenges(phones))]


def _together(phones: Sequence[Phone], make: Callable[[int, str, Client], bytes]) -> list[Reply]:
    """Send one request of each phone before any answer is read; Kamailio's queue holds hundreds of them.

    Who has no answer asks again, as phones do (RFC 3261 section 17.1.2.2): at the gate guesses wait for one another.
    """
    waiting = {number: make(number, user, client) for number, (user, client) in enumerate(phones)}
    replies: dict[int, Reply] = {}
    for patience in (0.5, 1.0, 2.0, 4.0, 4.0):
        for number, request in waiting.items():
            phones[number][1].send(request)
        deadline = time.monotonic() + patience
        for number in list(waiting):
            with contextlib.suppress(LabError):
                replies[number] = phones[number][1].receive(seconds=max(deadline - time.monotonic(), 0.005))
                del waiting[number]
    if waiting:
        raise LabError(f"no answer for {len(waiting)} of {len(phones)} phones")
    return [replies[number] for number in range(len(phones))]


# --- What came of it --------------------------------------------------------------------------------------------------


def against(stage: Lab) -> dict[str, list[str]]:
    """Read whom the kernel bans or throttles, by set; empty when nobody."""
    found = {name: held(stage, name) for name in AGAINST}
    return {name: networks for name, networks in found.items() if networks}


def held(stage: Lab, name: str) -> list[str]:
    """Read the addresses in one of the kernel's sets, whichever back end there is."""
    host = stage.world.pbx
    listed = (element["elem"] for element in elements(host, name))
    return [*(subject(element["val"]) for element in listed), *(where for where, _, _ in in_ipsets(host, (name,)))]


def settled(guard: Guard) -> None:
    """Return when the guard has read all that there is."""
    seen: list[int] = []

    def quiet() -> bool:
        seen.append(guard.packet["counters"]["frames"])
        return len(seen) > 3 and seen[-1] == seen[-4]

    until(quiet, "the guard having read everything")


def decided(guard: Guard) -> list[tuple[str, str]]:
    """List verdict and subject of every decision so far."""
    return [(line["verdict"], line["subject"]) for line in guard.events() if line["kind"] == "decision"]


def alerts(guard: Guard, kind: str) -> list[dict[str, Any]]:
    """List the alerts of a kind so far."""
    return [line for line in guard.events() if line.get("alert") == kind]
