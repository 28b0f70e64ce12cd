"""What the live guard decided is what the same engine decides on the capture taken at the same time."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from sipguard.address import parse_address, parse_network, subject_of
from sipguard.capture import files
from sipguard.cli.check import read_policy
from sipguard.replay import Replay
from tests.lab.capture import recording
from tests.lab.cases.case import Lab
from tests.lab.cases.ordinary import keepalives, registrations
from tests.lab.cases.register import four_under_one_key, honest_wrong_password, invite_guessing
from tests.lab.client import Client
from tests.lab.errors import LabError
from tests.lab.wait import until
from tests.live.guard import blocked, guarding
from tests.live.traffic import guess_until_silent, registers

pytestmark = [pytest.mark.root, pytest.mark.lab]


def decided(lines: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """Keep what must be the same, in its order: all but when it was."""
    return [
        (
            line["kind"],
            line["subject"],
            line.get("detector") or tuple(line["because"]),
            line.get("verdict"),
            line.get("rule"),
            line.get("offence"),
            round(line["until"] - line["at"], 3) if "until" in line else None,
            tuple(sorted(line.get("evidence", {}).items())),
        )
        for line in lines
        if line["kind"] in ("finding", "decision")
    ]


def attack(stage: Lab) -> None:
    """Guess over UDP, TCP and IPv6, between honest phones."""
    world = stage.world
    honest_wrong_password(stage)
    registrations(stage)
    for address, tcp in (("203.0.113.120", False), ("203.0.113.121", True)):
        with Client(world.attacker, world.pbx.v4, address=address, tcp=tcp) as client:
            guess_until_silent(client)
    with Client(world.attacker, world.pbx.v6) as client:
        guess_until_silent(client)
    four_under_one_key(stage)
    keepalives(stage)
    with contextlib.suppress(LabError):  # it ends in a ban, if its first nonce is not one that was just accepted
        invite_guessing(stage)
    with Client(world.phone, world.pbx.v4, address="198.51.100.99") as phone:
        assert registers(phone, "1003")


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_live_and_replay_decide_the_same(stage: Lab, mode: str) -> None:
    world = stage.world
    capture = world.directory / f"{mode}.pcap"
    stage.server.restart()  # the phones' Call-IDs and CSeqs are the same each time: a PBX that knew them would refuse
    # a recording does not tell which packets were kept back before anybody heard them
    with guarding(world, f"replay-{mode}", mode=mode, top="gate = false\n") as guard:
        with recording(world.pbx, capture):
            attack(stage)
            until(lambda: guard.ask("bans")["total"] >= 3, "the last ban on disk")
        policy = read_policy(guard.policy)
        replay = Replay(policy, [parse_network(world.pbx.v4), parse_network(world.pbx.v6)])
        replayed = decided([line for packet in files.read(capture) for line in replay.feed(packet)])
        with contextlib.suppress(LabError):  # what differs is shown below
            until(lambda: len(decided(guard.events())) >= len(replayed), "as much on disk as the capture tells")
        live = decided(guard.events())
        bans = {each[1] for each in live if "block" in each}
        assert {str(subject_of(parse_address(each))) for each in blocked(world.pbx)} == (
            bans if mode == "enforce" else set()
        )
    assert live == replayed
    assert {"203.0.113.120", "203.0.113.121", "2001:db8:66:1::/64"} <= bans
