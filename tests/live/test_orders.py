"""What an operator orders on the command line happens in the kernel, and is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sipguard.control.client import DeniedError
from sipguard.model import SECOND
from tests.lab.cases.case import Lab
from tests.lab.client import Client
from tests.lab.kamailio import REALM
from tests.lab.wait import until
from tests.live.guard import Guard, blocked, elements, guarding, rules
from tests.live.traffic import MOST, answered, guess_until_silent, registers

pytestmark = [pytest.mark.root, pytest.mark.lab]


def said(guard: Guard, *arguments: str) -> Any:
    return json.loads(guard.cli(*arguments, "--json"))


def test_a_ban_ends_by_itself_and_the_next_one_lasts_longer(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.40"
    with (
        guarding(world, "expires", more='[ban]\nfirst = "10s"\nfactor = 4\nmaximum = "1h"\nmemory = "1h"\n') as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        guard.ask("ban", network=address, span=5 * SECOND)
        assert blocked(world.pbx)[address]["expires"] <= 5
        until(lambda: address not in blocked(world.pbx), "the end of the ban")
        assert answered(client)
        until(lambda: guard.ask("bans")["total"] == 0, "the ban gone from the list")
        guess_until_silent(client)
        assert 10 < blocked(world.pbx)[address]["expires"] <= 40
        assert guard.ask("bans")["bans"][0]["offence"] == 2


def test_an_operator_bans_and_unbans_hosts_and_networks(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.41"
    with guarding(world, "bans") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        assert answered(client)
        for subject in (address, "203.0.113.40/29"):
            decided = said(guard, "ban", subject, "--for", "1h", "--reason", "because")["decision"]
            assert (decided["verdict"], decided["subject"], decided["reason"]) == ("block", subject, "because")
            assert not answered(client)
            assert [ban["subject"] for ban in said(guard, "bans")["bans"]] == [subject]
            assert 3500 < blocked(world.pbx)[subject]["expires"] <= 3600
            guard.cli("unban", subject)
            assert answered(client)
            assert blocked(world.pbx) == {}
        assert "not banned" in guard.cli("unban", address, code=1)
        verdicts = [line.get("verdict") for line in guard.events() if line["kind"] == "decision"]
        assert verdicts == ["block", "release"] * 2


def test_the_pbx_itself_cannot_be_banned(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "own") as guard:
        for subject in (world.pbx.v4, "192.0.2.0/24", "::/0", "0.0.0.0/0", "127.0.0.0/8"):
            guard.cli("ban", subject, code=1)
        assert blocked(world.pbx) == {}


def test_an_address_that_the_host_gets_later_is_its_own_too(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "later") as guard:
        guard.ban("192.0.3.0/24")
        world.pbx.run("ip", "address", "add", "192.0.3.9/32", "dev", "br0")
        try:
            until(lambda: blocked(world.pbx) == {}, "the ban being lifted")
            with pytest.raises(DeniedError, match="own"):
                guard.ban("192.0.3.9")
        finally:
            world.pbx.run("ip", "address", "del", "192.0.3.9/32", "dev", "br0")


def test_off_opens_everything_and_on_brings_all_bans_back(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.42"
    with guarding(world, "off") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban(address)
        assert not answered(client)
        guard.cli("off")
        assert answered(client)
        assert "sipguard" not in rules(world.pbx)
        assert guard.packet["off"] is True
        assert guess_until_silent(client, most=8) == 8
        guard.cli("on")
        assert not answered(client)
        assert 3500 < blocked(world.pbx)[address]["expires"] <= 3600


def test_what_was_observed_bites_once_enforced_and_no_longer_when_observed_again(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.43"
    with (
        guarding(world, "switch", mode="observe") as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        assert guess_until_silent(client, most=8) == 8
        assert said(guard, "status")["packet"]["mode"] == "observe"
        preview = said(guard, "enforce", "--yes")["preview"]
        assert (preview["total"], preview["hits"]) == (1, 0)
        assert not answered(client)
        assert list(blocked(world.pbx)) == [address]
        guard.cli("observe")
        assert answered(client)
        assert blocked(world.pbx) == {}
        guard.cli("enforce", "--yes")
        guard.stop()
        guard.start()
        assert guard.packet["mode"] == "enforce"  # the operator's word outlives the process
        assert not answered(client)


def test_closed_to_strangers_is_open_to_the_allowed(stage: Lab) -> None:
    world = stage.world
    top = 'strangers = "closed"\nallowed = ["198.51.100.0/24"]\n'
    with (
        guarding(world, "closed", top=top) as guard,
        Client(world.attacker, world.pbx.v4, address="203.0.113.44") as stranger,
        Client(world.phone, world.pbx.v4, address="198.51.100.44") as phone,
    ):
        assert not answered(stranger)
        assert registers(phone, "1001")
        guard.cli("observe")
        assert answered(stranger)


def test_a_new_policy_is_taken_in_without_letting_go_of_a_ban(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.45"
    with guarding(world, "reload") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban(address)
        guard.write(top="ports = [5060, 5070]\n", more="[detect.credentials]\nfailures = 2\n")
        guard.ask("reload")
        until(lambda: "5070" in rules(world.pbx), "the new ports in the rules")
        assert not answered(client)
        with Client(world.attacker, world.pbx.v4, address="203.0.113.46") as second:
            assert guess_until_silent(second) < MOST
        guard.write(top="ports = [5060]\n", more="[detect.credentials]\nfailures = 0\n")
        with pytest.raises(DeniedError, match="failures"):
            guard.ask("reload")
        assert "5070" in rules(world.pbx)
        guard.write(top='allowed = ["203.0.113.45"]\n')
        guard.ask("reload")
        until(lambda: answered(client), "the address being allowed")
        assert address not in blocked(world.pbx)


def test_the_flushed_table_comes_back_with_its_bans(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.47"
    with guarding(world, "flushed") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban(address)
        world.pbx.run("nft", "delete", "table", "inet", "sipguard")
        until(lambda: address in blocked(world.pbx), "the ban being back")
        assert not answered(client)
        assert "restored" in {line.get("alert") for line in guard.events()}


def test_status_and_events_are_said_to_people_too(stage: Lab) -> None:
    with guarding(stage.world, "people") as guard:
        guard.cli("ban", "203.0.113.48", "--reason", "[/bold]\x1b[31m")
        assert "mode" in guard.cli("status")
        for command in ("events", "bans"):
            shown = guard.cli(command)
            assert "203.0.113.48" in shown
            assert "\x1b[31m" not in shown


def test_a_quarantine_outlives_a_restart_and_its_release_does_too(stage: Lab) -> None:
    world, address = stage.world, "198.51.100.45"
    ward = f"1001@{REALM} from {address}"
    more = '[[detect.accountnets.account]]\nname = "1001"\nnetworks = ["10.0.0.0/8"]\n'
    with guarding(world, "release", more=more) as guard, Client(world.phone, world.pbx.v4, address=address) as phone:

        def in_force() -> tuple[list[str], list[str]]:
            """List what the store has, and what the engine has."""
            kept = [ban["subject"] for ban in said(guard, "bans")["bans"]]
            return kept, [each["subject"] for each in said(guard, "why", "1001")["in_force"]]

        assert registers(phone, "1001")
        until(lambda: in_force() == ([ward], [ward]), "the quarantine")
        assert elements(world.pbx, "trusted4") == []
        guard.stop()
        guard.start()
        assert in_force() == ([ward], [ward])
        assert "sipguard release" in guard.cli("why", "1001")
        assert ward in guard.cli("release", "1001", "--reason", "she travels")
        assert in_force() == ([], [])
        assert "under no quarantine" in guard.cli("release", "1001", code=1)
        guard.stop()
        guard.start()
        assert in_force() == ([], [])


def test_a_quarantine_by_name_bites_on_the_next_call_and_its_release_does_too(stage: Lab) -> None:
    world, address = stage.world, "198.51.100.46"
    with guarding(world, "quarantine") as guard, Client(world.phone, world.pbx.v4, address=address) as phone:

        def code() -> int:
            return phone.ask(phone.request("INVITE", "1001", to="1002")).code

        assert registers(phone, "1001")
        until(lambda: elements(world.pbx, "trusted4") != [], "the phone being trusted")
        (row,) = said(guard, "accounts")["accounts"]
        assert (row["account"], row["registered"][0]["network"]) == (f"1001@{REALM}", address)
        passed = code()
        assert passed != 403
        assert "1001 is under quarantine" in guard.cli("quarantine", "1001", "--for", "1h", "--reason", "found out")
        assert code() == 403
        assert registers(phone, "1001")
        assert said(guard, "accounts", "1001")["total"] == 2  # as it is registered, and as it was named
        guard.stop()
        guard.start()
        assert code() == 403
        assert "sipguard release" in guard.cli("incident", "1001")
        guard.cli("release", "1001")
        assert code() == passed
        assert (said(guard, "calls")["total"], said(guard, "limits")["total"]) == (0, 0)
        assert "no call" in guard.cli("hangup", "c0ffee", code=1)
        assert "no counters" in guard.cli("limits", "reset", "1001", code=1)
