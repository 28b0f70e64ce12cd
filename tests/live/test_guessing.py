"""Guessers are cut off in the kernel within a few guesses, and nobody else is."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.lab.capture import recording
from tests.lab.cases.case import Lab
from tests.lab.cases.ordinary import calls
from tests.lab.client import Client
from tests.lab.kamailio import WEAK_ACCOUNT
from tests.lab.wait import until
from tests.live.guard import Guard, blocked, elements, guarding
from tests.live.traffic import MOST, VICTIM, answered, guess_until_silent, guesses, registers

pytestmark = [pytest.mark.root, pytest.mark.lab]

RUNS = int(os.environ.get("SIPGUARD_RUNS", "2"))
FAILURES = 5
# What a tool's first packet betrays gets no answer at the gate, and so proves no address: see test_gate.py.
OPEN = "gate = false\n"
CRACK = str(Path(sys.executable).parent / "sipvicious_svcrack")


@pytest.mark.parametrize("run", range(RUNS))
def test_svcrack_gets_no_more_than_six_guesses_answered(stage: Lab, run: int) -> None:
    world = stage.world
    capture = world.directory / f"svcrack-{run}.pcap"
    more = f"[detect.credentials]\nfailures = {FAILURES}\n[detect.fingerprint]\nenabled = false\n"
    with guarding(world, f"svcrack-{run}", more=more):
        with recording(world.pbx, capture, interface="port0"):  # the attacker's own: before any rule
            address = world.attacker.v4
            cracking = world.attacker.start(CRACK, "-x", address, "-u", WEAK_ACCOUNT, "-r", "1200-1999", world.pbx.v4)
            until(lambda: blocked(world.pbx).get(address, {}).get("packets", 0) > 50, "the ban biting")
            cracking.stop()
        found = blocked(world.pbx)[address]
        listed = world.pbx.run("nft", "list", "set", "inet", "sipguard", "blocked4").stdout
    sent, done = guesses(capture, world.pbx.v4)
    print(f"run {run}: {sent} guesses, {done} answered, {found['packets']} packets dropped")  # noqa: T201 - for -rP
    assert FAILURES <= done <= FAILURES + 1
    assert "expires" in listed
    assert "counter packets" in listed
    assert 0 < found["expires"] <= 3600


def test_svcrack_is_known_for_what_it_is_and_gets_one_guess_answered(stage: Lab) -> None:
    world, address = stage.world, stage.world.attacker.v4
    capture = world.directory / "svcrack-known.pcap"
    with guarding(world, "svcrack-known", top=OPEN), recording(world.pbx, capture):
        cracking = world.attacker.start(CRACK, "-x", address, "-u", WEAK_ACCOUNT, "-r", "1200-1999", world.pbx.v4)
        until(lambda: blocked(world.pbx).get(address, {}).get("packets", 0) > 5, "the ban biting")
        cracking.stop()
    _, done = guesses(capture, world.pbx.v4)
    assert done <= 2  # the next may be on its way when the first is judged


def test_guessing_over_tcp_ends_in_a_ban(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.20"
    with guarding(world, "tcp"), Client(world.attacker, world.pbx.v4, address=address, tcp=True) as client:
        assert guess_until_silent(client) < MOST
        assert address in blocked(world.pbx)


def test_an_allowed_address_is_never_banned(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.21"
    with (
        guarding(world, "allowed", top='allowed = ["203.0.113.16/28"]\n') as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        assert guess_until_silent(client, most=12) == 12
        assert answered(client)
        assert blocked(world.pbx) == {}
        refusal = guard.cli("ban", address, code=1)
        assert "allow" in refusal
        assert blocked(world.pbx) == {}
        until(lambda: "exempt" in verdicts(guard), "the exemption being told")
        assert "block" not in verdicts(guard)


def verdicts(guard: Guard) -> list[str]:
    return [line["verdict"] for line in guard.events() if line["kind"] == "decision"]


def test_guessing_from_ever_new_addresses_of_one_ipv6_network_bans_the_network(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "ipv6"):
        for number in range(200):
            address = f"2001:db8:66:6:{number:x}::{number * 7 + 1:x}"
            with Client(world.attacker, world.pbx.v6, address=address) as client:
                if guess_until_silent(client, most=1) == 0:
                    break
        assert list(blocked(world.pbx)) == ["2001:db8:66:6::"]


def test_neighbours_are_still_discovered_from_a_banned_network(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "neighbours", more='[enforcement]\nscope = "all"\n') as guard:
        guard.ban("2001:db8:66:1::/64")  # the attacker's own address on the link is in it
        with Client(world.attacker, world.pbx.v6) as client:
            assert not answered(client)
            world.pbx.run("ip", "-6", "neigh", "flush", "dev", "br0")
            world.attacker.run("ip", "-6", "neigh", "flush", "dev", "eth0")
            assert not answered(client)
            reachable = world.attacker.run("ip", "-6", "neigh", "show", "to", world.pbx.v6).stdout
            assert "lladdr" in reachable, reachable
            world.pbx.run("ping", "-6", "-c", "1", "-W", "1", world.attacker.v6, check=False)
            assert "lladdr" in world.pbx.run("ip", "-6", "neigh", "show", "to", world.attacker.v6).stdout


def test_phones_register_and_call_while_an_attack_goes_on(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "phones", top=OPEN) as guard:
        args = ("-x", world.attacker.v4, "-u", WEAK_ACCOUNT, "-r", "1200-9999", world.pbx.v4)
        cracking = world.attacker.start(CRACK, *args)
        calls(stage)
        until(lambda: world.attacker.v4 in blocked(world.pbx), "the ban")
        cracking.stop()
        trusted = {element["elem"]["val"] for element in elements(world.pbx, "trusted4")}
        assert {"198.51.100.21", "198.51.100.22"} <= trusted
        assert list(blocked(world.pbx)) == [world.attacker.v4]
        assert guard.packet["bugs"] == 0


def test_observing_touches_no_packet_and_no_set(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.22"
    with (
        guarding(world, "observe", mode="observe") as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        assert guess_until_silent(client, most=12) == 12
        assert registers(client, "1001")
        until(lambda: address in {ban["subject"] for ban in guard.ask("bans")["bans"]}, "the ban being announced")
        for name in ("allowed", "trusted", "watched", "throttled", "blocked", "blocked_nets"):
            assert elements(world.pbx, f"{name}4") == []
        assert guard.packet["kernel"]["dropped"] == 0


def test_garbage_neither_ends_the_guard_nor_makes_it_stumble(stage: Lab) -> None:
    world = stage.world
    heard = "".join(f'[detect.{name}]\nthen = "report"\n' for name in ("malformed", "flood", "fingerprint", "sweep"))
    with (
        guarding(world, "garbage", top=OPEN, more=heard) as guard,
        Client(world.attacker, world.pbx.v4, address="203.0.113.23") as client,
    ):
        model = client.request("REGISTER", VICTIM, authorization='Digest username="x", nonce="y"')
        for number in range(20_000):
            with_junk = bytearray(model)
            for step in range(number % 17):
                with_junk[(number * 7919 + step * 104_729) % len(model)] = (number * 31 + step * 17) & 255
            client.send(bytes(with_junk[number % 200 : len(model) - number % 150]))
        quiet = world.attacker.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with quiet:
            for size in (0, 1, 2, 19, 20, 1400, 65_000):
                quiet.sendto(bytes(size), (world.pbx.v4, 5060))
        until(lambda: guard.packet["counters"]["frames"] > 500, "the garbage being read")
        assert guard.packet["bugs"] == guard.packet["quarantined"] == 0
        with Client(world.attacker, world.pbx.v4, address="203.0.113.24") as guesser:
            assert guess_until_silent(guesser) < MOST


def test_another_tools_rules_stay_as_they_are(stage: Lab) -> None:
    world = stage.world
    theirs = "table inet other { set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }\n"
    theirs += "chain c { type filter hook input priority 0; policy accept; ip saddr @s drop; }; }"
    world.pbx.run("nft", theirs)
    world.pbx.run("iptables-nft", "-A", "INPUT", "-s", "10.1.2.3", "-j", "DROP")
    listed = ("nft", "-s", "list", "table", "inet", "other"), ("nft", "-s", "list", "table", "ip", "filter")
    before = [world.pbx.run(*command).stdout for command in listed]
    with guarding(world, "others") as guard:
        guard.ban("203.0.113.25")
        for verb in ("observe", "off", "on", "enforce"):
            guard.ask(verb)
        guard.stop()
        guard.start()
        guard.cli("off")
        assert [world.pbx.run(*command).stdout for command in listed] == before
    world.pbx.run("nft", "delete", "table", "inet", "other")
