"""The unit under a real systemd: it comes up, bans, comes back, and ends, as an operator would expect."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from sipguard.policy.schema import Policy
from tests.lab.cases.case import Lab
from tests.lab.cases.ordinary import calls
from tests.lab.client import Client
from tests.lab.wait import until
from tests.live.guard import blocked, rules, shut
from tests.live.machine import Machine, machine
from tests.live.passing import counting
from tests.live.traffic import MOST, answered, guess_until_silent

pytestmark = [
    pytest.mark.root,
    pytest.mark.lab("kamailio", "systemd-nspawn", "debootstrap"),
    pytest.mark.timeout(1200),  # the first time, a Debian is made
]

POLICY = 'mode = "enforce"\n'
FAILURES = Policy().detect.credentials.failures


@pytest.fixture(scope="module")
def booted(stage: Lab) -> Iterator[Machine]:
    with machine(stage.world) as made:
        yield made


@pytest.fixture
def unit(booted: Machine) -> Iterator[Machine]:
    """Start the unit on the plain policy; `systemctl start` returns when it has said that it is ready."""
    (booted.etc / "policy.toml").write_text(POLICY)
    booted.systemctl("reset-failed", "sipguard.service", code=None)
    booted.systemctl("start", "sipguard.service")
    yield booted
    booted.systemctl("stop", "sipguard.service")
    booted.run("nft", "delete", "table", "inet", "sipguard", code=None)


@pytest.fixture
def legacy(booted: Machine) -> Iterator[Machine]:
    """Make the machine one of before nf_tables, as its operator would, and start the unit."""
    pytest.importorskip("iptc", reason="the extra `legacy` is not installed")
    (booted.etc / "policy.toml").write_text(POLICY + "gate = true\n")
    programs = ("iptables", "ip6tables")
    for program in programs:
        booted.run("update-alternatives", "--set", program, f"/usr/sbin/{program}-legacy")
    booted.run("mv", "/usr/sbin/nft", "/usr/sbin/nft.none")
    booted.systemctl("reset-failed", "sipguard.service", code=None)
    booted.systemctl("start", "sipguard.service")
    yield booted
    booted.systemctl("stop", "sipguard.service")
    booted.run("mv", "/usr/sbin/nft.none", "/usr/sbin/nft")
    for program in programs:
        for table in ("raw", "mangle"):
            booted.run(program, "-t", table, "-F")
            booted.run(program, "-t", table, "-X")
        booted.run("update-alternatives", "--auto", program)
    booted.world.pbx.run("ipset", "destroy", check=False)


def active(unit: Machine) -> bool:
    return unit.shown("ActiveState") == "active"


def counted(unit: Machine) -> dict[str, int]:
    status = json.loads(unit.run("/opt/sipguard/bin/sipguard", "status", "--json"))
    found: dict[str, int] = status["packet"]["kernel"]
    return found


def status_of(unit: Machine, number: str) -> dict[str, str]:
    lines = unit.run("cat", f"/proc/{number}/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_it_gets_ready_as_its_own_user_with_two_capabilities_and_bans(unit: Machine) -> None:
    main = unit.shown("MainPID")
    (keeper,) = unit.run("cat", f"/proc/{main}/task/{main}/children").split()
    user = unit.run("id", "-u", "sipguard").strip()
    for number, capabilities in ((main, 1 << 12 | 1 << 13), (keeper, 0)):
        status = status_of(unit, number)
        assert status["Uid"].split() == [user] * 4
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == capabilities
        assert status["NoNewPrivs"] == "1"
    address = "203.0.113.130"
    with Client(unit.world.attacker, unit.world.pbx.v4, address=address) as client:
        assert guess_until_silent(client) < MOST
    assert address in blocked(unit.world.pbx)
    assert address in unit.run("/opt/sipguard/bin/sipguard", "bans")
    until(lambda: unit.shown("StatusText").startswith("enforce: 1 banned"), "the status line")


def test_it_comes_back_from_a_kill_of_everything_and_bans_stay(unit: Machine) -> None:
    address = "203.0.113.131"
    with Client(unit.world.attacker, unit.world.pbx.v4, address=address) as client:
        guess_until_silent(client)
        before = unit.shown("MainPID")
        unit.systemctl("kill", "-s", "KILL", "sipguard.service")
        assert address in blocked(unit.world.pbx)
        assert not answered(client)
        until(lambda: active(unit) and unit.shown("MainPID") != before, "the guard being back", seconds=60)
        assert not answered(client)
        assert address in unit.run("/opt/sipguard/bin/sipguard", "bans")


def test_it_stops_cleanly_and_leaves_the_bans(unit: Machine) -> None:
    address = "203.0.113.132"
    with Client(unit.world.attacker, unit.world.pbx.v4, address=address) as client:
        guess_until_silent(client)
        unit.systemctl("stop", "sipguard.service")
        assert (unit.shown("Result"), unit.shown("ExecMainStatus")) == ("success", "0")
        assert address in blocked(unit.world.pbx)
        assert not answered(client)


def test_a_reload_takes_a_good_policy_and_refuses_a_bad_one(unit: Machine) -> None:
    policy = unit.etc / "policy.toml"
    policy.write_text(POLICY + "ports = [5060, 5099]\n")
    unit.systemctl("reload", "sipguard.service")
    until(lambda: "5099" in rules(unit.world.pbx), "the new port in the rules")
    policy.write_text(POLICY + "prots = [5060]\n")
    unit.systemctl("reload", "sipguard.service", code=1)
    assert "did you mean" in unit.journal() or "prots" in unit.journal()
    assert active(unit)
    assert "5099" in rules(unit.world.pbx)


def test_a_bad_policy_is_not_tried_again_and_again(unit: Machine) -> None:
    unit.systemctl("stop", "sipguard.service")
    before = rules(unit.world.pbx)
    (unit.etc / "policy.toml").write_text("nonsense = true\n")
    unit.systemctl("start", "sipguard.service", code=1)
    assert unit.shown("ExecMainStatus") == "78"
    assert unit.shown("ActiveState") == "failed"
    assert rules(unit.world.pbx) == before


def test_a_guard_that_no_longer_turns_is_started_again(unit: Machine) -> None:
    address = "203.0.113.133"
    unit.run("mkdir", "-p", "/run/systemd/system/sipguard.service.d")
    unit.run("sh", "-c", "printf '[Service]\\nWatchdogSec=4\\n' >/run/systemd/system/sipguard.service.d/quick.conf")
    unit.systemctl("daemon-reload")
    unit.systemctl("restart", "sipguard.service")
    with Client(unit.world.attacker, unit.world.pbx.v4, address=address) as client:
        guess_until_silent(client)
        before = unit.shown("MainPID")
        unit.run("kill", f"-{signal.SIGSTOP.value}", before)
        until(lambda: active(unit) and unit.shown("MainPID") != before, "the guard being back", seconds=60)
        assert not answered(client)


def test_on_a_host_with_iptables_legacy_it_gates_bans_and_counts_without_root(legacy: Machine, stage: Lab) -> None:
    world, guesser, scanner = legacy.world, "203.0.113.134", "203.0.113.135"
    saved = legacy.run("iptables-legacy-save")
    assert "SIPGUARD-QUEUE" in saved
    assert "SIPGUARD" not in legacy.run("iptables-nft-save")
    status = status_of(legacy, legacy.shown("MainPID"))
    assert status["Uid"].split()[0] != "0"
    until(lambda: shut(world.pbx), "the gate shut")
    calls(stage)
    with (
        counting(world.pbx, scanner) as passed,
        Client(world.attacker, world.pbx.v4, address=scanner, agent="friendly-scanner") as scanning,
        Client(world.attacker, world.pbx.v4, address=guesser) as guessing,
    ):
        assert not answered(scanning)
        assert passed.count == 0, "not the first"
        assert guess_until_silent(guessing) == FAILURES
        assert guesser in blocked(world.pbx)
        assert not answered(guessing)
    counters = "/opt/sipguard/bin/sipguard", "status", "--json"
    until(
        lambda: json.loads(legacy.run(*counters))["packet"]["kernel"].get("dropped", 0) > 0, "what rules have counted"
    )
    assert legacy.run("iptables-legacy-save").count("-A SIPGUARD") == saved.count("-A SIPGUARD")
    legacy.run("/opt/sipguard/bin/sipguard", "off")
    with Client(world.attacker, world.pbx.v4, address=guesser) as guessing:
        assert answered(guessing), "the rules stand, and stop nobody"
