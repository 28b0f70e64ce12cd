"""The running guard is asked why: about a guesser that it has just banned, and about the account that he guessed at."""

from __future__ import annotations

import json

import pytest

from tests.lab.cases.case import Lab
from tests.lab.client import Client
from tests.lab.wait import until
from tests.live.guard import guarding
from tests.live.traffic import guess_until_silent

pytestmark = [pytest.mark.root, pytest.mark.lab]


def test_a_ban_is_explained_by_the_running_guard(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.47"
    with (
        guarding(world, "why") as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        guess_until_silent(client)
        until(lambda: guard.ask("bans")["total"] == 1, "the ban")
        shown = guard.cli("why", address)
        assert shown.startswith(f"{address} is banned until ")
        assert "because 5 passwords failed within" in shown
        assert "detect.credentials.then, default" in shown
        assert f"sipguard unban {address}" in shown
        assert "Authorization: Digest username=" in shown
        assert "response=" not in shown
        told = json.loads(guard.cli("why", "203.0.113.0/24", "--json"))
        assert [ban["subject"] for ban in told["past"]["bans"]] == [address]
        guard.cli("unban", address)
        assert f"{address} is not banned." in guard.cli("why", address)
        assert "has been banned" not in guard.cli("why", address)
        assert guard.cli("why", "1001")
