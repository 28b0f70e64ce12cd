"""What a policy means, in a few plain lines; for `sipguard check`, so that an operator can see what he has said.

Only says what the settings are; knows nothing of the running guard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from sipguard.address import Network
from sipguard.model import Consequence
from sipguard.policy.describecalls import and_, describe_calls
from sipguard.policy.schema import Backend, Mode, Policy, Scope, Site, Strangers, Trunk
from sipguard.policy.units import say_duration

_LISTED = 4  # so many places are named one by one


def describe(policy: Policy) -> list[str]:
    """Give lines of plain text; values of the policy stand in them as they are, control characters cannot."""
    return [
        _mode(policy),
        *_gate(policy),
        _where(policy),
        *_who(policy),
        *_detectors(policy),
        *_bans(policy),
        *describe_calls(policy),
    ]


def _mode(policy: Policy) -> str:
    if policy.mode is Mode.ENFORCE:
        return "The guard acts: who is found attacking is banned in the kernel."
    return "The guard only watches: it says what it would do and blocks nothing."


def _gate(policy: Policy) -> Iterator[str]:
    if policy.mode is not Mode.ENFORCE or not policy.gate:
        return
    if policy.enforcement.backend is Backend.DRYRUN:
        yield f"No packet waits to be judged: the back end {policy.enforcement.backend} cannot hold any."
    else:
        yield "Strangers' packets, and calls that leave, wait until they are judged (where the kernel can queue)."


def _where(policy: Policy) -> str:
    ports = and_([str(port) for port in policy.ports])
    behind = f", and of {_places(policy.pbx, ())}" if policy.pbx else ""
    return f"It reads SIP on port{_plural(policy.ports)} {ports} of this host{behind}."


def _who(policy: Policy) -> Iterator[str]:
    if policy.strangers is Strangers.OPEN:
        yield "Any address may send SIP, until it is found attacking."
    else:
        verb = "is" if policy.mode is Mode.ENFORCE else "would be"
        yield f"Only the addresses named here may send SIP; everybody else {verb} shut out."
        if not (policy.sites or policy.allowed or policy.allowed_names):
            yield "Only trunks are named: no phone outside this host can register or call."
    if policy.allowed or policy.allowed_names:
        yield f"Never banned: {_places(policy.allowed, policy.allowed_names)}."
    yield from _parties("Sites", policy.sites)
    yield from _parties("Trunks", policy.trunks)


def _parties(kind: str, parties: Sequence[Site | Trunk]) -> Iterator[str]:
    if parties:
        shown = [f"{party.name} ({_places(party.networks, party.names)})" for party in parties[:_LISTED]]
        if len(parties) > _LISTED:
            shown.append(f"{len(parties) - _LISTED} more")
        yield f"{kind}, never banned: {and_(shown)}."


def _detectors(policy: Policy) -> Iterator[str]:
    guessing = policy.detect.credentials
    if guessing.enabled:
        yield (
            f"Who fails with {guessing.failures} password{_plural(range(guessing.failures))} within "
            f"{say_duration(guessing.window)} {_consequence(guessing.then)}."
        )
    names = [field.name for field in dataclasses.fields(policy.detect)]
    off = [name for name in names if not getattr(policy.detect, name).enabled]
    if off:
        yield f"Switched off: {and_(off)}."


def _consequence(then: Consequence) -> str:
    words = {
        Consequence.BLOCK: "is banned",
        Consequence.THROTTLE: "is slowed down",
        Consequence.REPORT: "is reported, no more",
    }
    return words[then]


def _closed(policy: Policy) -> str:
    if policy.enforcement.scope is Scope.SIP:
        return "the SIP ports"
    spared = policy.enforcement.except_ports if policy.enforcement.scope is Scope.EXCEPT else ()
    return "all ports of this host" + (f" but {and_([str(port) for port in spared])}" if spared else "")


def _bans(policy: Policy) -> Iterator[str]:
    ban = policy.ban
    if ban.factor == 1 or ban.first == ban.maximum:
        length = f"{say_duration(ban.first)}"
    else:
        length = (
            f"{say_duration(ban.first)} at first, {ban.factor} times as long each further time, "
            f"{say_duration(ban.maximum)} at most; an old ban is forgotten after {say_duration(ban.memory)}"
        )
    yield f"A ban lasts {length}."
    closed = _closed(policy)
    if policy.mode is Mode.ENFORCE:
        yield f"It closes {closed} to the banned address, and to nobody else."
    else:
        yield f"It would close {closed} to the banned address; while the guard only watches, it is announced, no more."
    rate = policy.enforcement.throttle_rate
    yield f"Who is slowed down may send {rate} message{_plural(range(rate))} a second."


def _places(networks: Sequence[Network], names: Sequence[str]) -> str:
    every = [*(str(network) for network in networks), *names]
    more = len(every) - _LISTED
    return and_(every if more <= 1 else [*every[:_LISTED], f"{more} more"])


def _plural(things: Sequence[object]) -> str:
    return "" if len(things) == 1 else "s"
