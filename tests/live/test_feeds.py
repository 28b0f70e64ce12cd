"""A list of others' is in the kernel within moments, never against our own, and gone again when it says so."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cases.case import Lab
from tests.lab.client import Client
from tests.lab.wait import until
from tests.live.guard import Guard, blocked, guarding
from tests.live.traffic import answered, registers

pytestmark = [pytest.mark.root, pytest.mark.lab]

LISTED, OTHER, NETWORK = "203.0.113.50", "203.0.113.51", "203.0.113.64/28"


def policy(path: Path, mode: str) -> str:
    return f'[[feed]]\nname = "bad"\nsource = "{path}"\nmode = "{mode}"\n'


def row(guard: Guard) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(guard.cli("feeds", "--json"))
    return found[0]


def test_a_list_bans_what_is_on_it_and_not_the_pbx_and_lets_go_what_leaves_it(stage: Lab) -> None:
    world = stage.world
    path = world.directory / "list"
    path.write_text(f"{LISTED}\n{NETWORK}\n{world.pbx.v4}\n127.0.0.1\n0.0.0.0/0\n")
    with (
        guarding(world, "feeds", more=policy(path, "block")) as guard,
        Client(world.attacker, world.pbx.v4, address=LISTED) as listed,
        Client(world.attacker, world.pbx.v4, address="203.0.113.70") as neighbour,
        Client(world.attacker, world.pbx.v4, address=OTHER) as other,
    ):
        until(lambda: sorted(blocked(world.pbx)) == [LISTED, NETWORK], "the list in the kernel")
        assert not answered(listed)
        assert not answered(neighbour)
        assert answered(other)
        found = row(guard)
        assert (found["entries"], found["held"], found["spared"]) == (3, 2, 1)
        assert found["left_out"] == {"reserved": 1, "too wide": 1}
        assert guard.ask("bans")["total"] == 0
        path.write_text(f"{OTHER}\n{NETWORK}\n")
        guard.cli("feeds", "--accept", "bad")
        until(lambda: sorted(blocked(world.pbx)) == [OTHER, NETWORK], "the new list in the kernel")
        assert answered(listed)
        guard.write(more=policy(path, "shadow"))
        guard.process.signal(signal.SIGHUP)
        until(lambda: blocked(world.pbx) == {}, "the list let go")
        assert answered(other)
        until(lambda: row(guard)["hits"] > 0, "the hit in the table")


def test_after_a_crash_what_a_list_held_is_still_held_and_still_the_lists(stage: Lab) -> None:
    world = stage.world
    path = world.directory / "list-2"
    path.write_text(f"{LISTED}\n{NETWORK}\n")
    with guarding(world, "feedcrash", more=policy(path, "block")) as guard:
        until(lambda: sorted(blocked(world.pbx)) == [LISTED, NETWORK], "the list in the kernel")
        guard.process.signal(signal.SIGKILL)
        guard.process.wait(seconds=10.0)
        assert sorted(blocked(world.pbx)) == [LISTED, NETWORK]
        guard.start()
        assert sorted(blocked(world.pbx)) == [LISTED, NETWORK]
        assert guard.ask("bans")["total"] == 0
        path.write_text(f"{LISTED}\n")
        guard.cli("feeds", "--accept", "bad")
        until(lambda: sorted(blocked(world.pbx)) == [LISTED], "the network let go")


def test_a_registered_phone_on_a_list_keeps_working_and_is_told_of(stage: Lab) -> None:
    world = stage.world
    path = world.directory / "list-3"
    path.write_text(f"{OTHER}\n")
    with (
        guarding(world, "feedphone", more=policy(path, "block")) as guard,
        Client(world.phone, world.pbx.v4) as phone,
    ):
        assert registers(phone, "1001")
        path.write_text(f"{OTHER}\n{world.phone.v4}\n")
        guard.cli("feeds", "--accept", "bad")
        until(lambda: row(guard)["overlap"] == 1, "the overlap in the table")
        assert registers(phone, "1001")
        assert list(blocked(world.pbx)) == [OTHER]
        assert "feed-overlap" in {line.get("alert") for line in guard.events()}
