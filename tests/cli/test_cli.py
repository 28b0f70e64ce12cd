"""The commands as an operator has them: real processes, a real keeper; exit codes, tables, hostile strings."""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from sipguard.cli.main import COMMANDS
from sipguard.model import HOUR, Account, Trust
from tests.cli.conftest import CODE, ROOT, Guard
from tests.keeper.packetside import HOST, ban, boottime

HOSTILE = "[/x][link=http://x]\x1b[2J\x1b]0;title\x07\r\n\x9b31m\u202eevil"


def is_clean(shown: str) -> bool:
    return all(line.isprintable() for line in shown.split("\n"))


def test_bans_are_a_table_for_people_and_json_for_programs(guard: Guard) -> None:
    with guard.work:
        guard.packet.delta(ban(), ban(Account(HOSTILE, HOSTILE)))
    plain = guard.run("bans")
    assert plain.returncode == 0
    assert is_clean(plain.stdout)
    assert re.search(r"^203\.0\.113\.9 +block .*credentials \(ban\.first\)", plain.stdout, re.MULTILINE)
    found = json.loads(guard.run("bans", "--json").stdout)
    assert {one["subject"] for one in found["bans"]} == {"203.0.113.9", f"{HOSTILE}@{HOSTILE}"}
    code, shown = guard.on_a_terminal("bans")
    assert code == 0
    assert b"203.0.113.9" in shown
    assert b"[/x][link=http://x]\\x1b[2J" in shown
    assert b"\x1b[2J" not in shown
    assert b"\x07" not in shown
    assert b"\xc2\x9b" not in shown


def test_events_show_hostile_strings_without_their_effect(guard: Guard) -> None:
    with guard.work:
        guard.packet.report(subject=HOSTILE, detector=HOSTILE, evidence={HOSTILE: HOSTILE}, **{HOSTILE: HOSTILE})
        guard.packet.report(at="x", kind=[1], subject=None, until=10**400)
        guard.packet.report(at=1e300, evidence="no mapping")
    for shown in (guard.run("events").stdout, guard.on_a_terminal("events")[1].decode().replace("\r\n", "\n")):
        assert is_clean(shown)
        assert len(shown.splitlines()) >= 3
    lines = [json.loads(line) for line in guard.run("events", "--json").stdout.splitlines()]
    assert lines[-3]["subject"] == HOSTILE


def test_events_are_followed_until_the_reader_leaves(guard: Guard) -> None:
    argv = [sys.executable, "-c", CODE, "events", "-f", "--json", "--last", "0"]
    follower = subprocess.Popen(argv, env=guard.environment(), stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    teller = threading.Thread(target=tell_while_running, args=(guard, follower))
    teller.start()
    seen = [json.loads(follower.stdout.readline())["n"] for _ in range(3)]
    assert seen == list(range(seen[0], seen[0] + 3))
    follower.stdout.close()
    assert follower.wait(timeout=60) == 0
    teller.join()


@pytest.mark.parametrize("command", ["version", "bans", "status", "events", "check", "no-such-command"])
def test_a_reader_that_has_left_is_no_reason_to_complain(guard: Guard, command: str) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    done = subprocess.run(
        [sys.executable, "-c", CODE, command],
        env=guard.environment(),
        cwd=ROOT,
        stdout=ours,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(ours)
    assert done.returncode == (2 if command == "no-such-command" else 0)
    assert b"Broken pipe" not in done.stderr


def tell_while_running(guard: Guard, follower: subprocess.Popen[str]) -> None:
    for number in range(100_000):
        if follower.poll() is not None:
            return
        with guard.work:
            guard.packet.report(n=number)
        time.sleep(0.002)


def test_ban_and_unban_say_what_became_of_it(guard: Guard) -> None:
    decision = {"at": 1, "kind": "decision", "subject": HOSTILE, "verdict": "block", "until": 0}
    guard.packet.answers["ban"] = {"ok": True, "body": {"decision": decision}}
    done = guard.run("ban", "192.0.2.0/24", "--for", "1h30m", "--reason", HOSTILE)
    assert done.returncode == 0
    assert is_clean(done.stdout)
    assert "is banned" in done.stdout
    (order,) = (args["order"] for args in guard.ordered("ban"))
    assert isinstance(order, dict)
    assert (order["network"], order["span"], order["reason"]) == ("192.0.2.0/24", HOUR * 3 // 2, HOSTILE)
    guard.packet.answers["unban"] = {"ok": False, "error": f"not banned {HOSTILE}"}
    refused = guard.run("unban", "2001:db8::/64")
    assert refused.returncode == 1
    assert is_clean(refused.stderr)
    assert "not banned" in refused.stderr


def test_release_names_what_was_released(guard: Guard) -> None:
    decision = {"at": 1, "kind": "decision", "subject": HOSTILE, "verdict": "release"}
    body = {"decision": decision, "released": [HOSTILE, "1001@pbx"], "total": 5}
    guard.packet.answers["release"] = {"ok": True, "body": body}
    done = guard.run("release", "1001@pbx", "--reason", HOSTILE)
    assert (done.returncode, is_clean(done.stdout)) == (0, True)
    assert "1001@pbx is under no quarantine or shield any more" in done.stdout
    assert "3 more are not shown" in done.stdout
    guard.run("release", "2001:db8::7")
    told = [str(args["order"]) for args in guard.ordered("release")]
    assert "'account': '1001@pbx'" in told[0]
    assert "'network': '2001:db8::7'" in told[1]
    guard.packet.answers["release"] = {"ok": False, "error": "1001 is under no quarantine or shield"}
    assert guard.run("release", "1001").returncode == 1


WRONG = [
    ("ban", "x"),
    ("ban", "192.0.2.1/24"),
    ("ban", "192.0.2.1", "--for", "soon"),
    ("ban", "192.0.2.1", "--for", "1ms"),
    ("ban", "192.0.2.1", "--for", "9999d"),
    ("ban", "192.0.2.1", "--reason", "x" * 300),
    ("ban",),
    ("unban", "fe80::1%eth0"),
    ("release",),
    ("release", "192.0.2.1/24"),
    ("release", "x" * 301),
    ("no-such-command",),
    ("bans", "--no-such-option"),
    ("enforce",),
]


def test_wrong_usage_is_exit_2_and_changes_nothing(guard: Guard) -> None:
    for args in WRONG:
        done = guard.run(*args)
        assert (args, done.returncode) == (args, 2)
        assert done.stderr
    assert not guard.ordered("ban") + guard.ordered("enforce")


def test_nobody_bans_his_own_session_by_mistake(guard: Guard) -> None:
    session = {"SSH_CONNECTION": "192.0.2.77 50000 198.51.100.1 22"}
    done = guard.run("ban", "192.0.2.0/24", **session)
    assert (done.returncode, guard.ordered("ban")) == (1, [])
    assert "logged in from" in done.stderr
    assert guard.run("ban", "192.0.2.0/24", "--yes", **session).returncode == 0
    assert guard.run("ban", "203.0.113.0/24", **session).returncode == 0


def test_enforce_shows_whom_it_would_hit_and_asks(guard: Guard) -> None:
    with guard.work:
        guard.packet.delta(ban(), Trust(HOST, Account(HOSTILE, "pbx"), boottime() + HOUR))
    code, shown = guard.on_a_terminal("enforce", typed=b"n\n")
    assert (code, guard.ordered("enforce")) == (1, [])
    assert b"1 devices with a registration would be cut off" in shown
    assert b"\\x1b[2J" in shown
    code, shown = guard.on_a_terminal("enforce", typed=b"y\n")
    assert (code, len(guard.ordered("enforce"))) == (0, 1)
    done = guard.run("enforce", "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)["preview"]["hits"]) == (0, 1)
    assert guard.run("observe").returncode == 0


def test_status_is_for_people_and_programs(guard: Guard) -> None:
    guard.packet.answers["status"] = {
        "ok": True,
        "body": {"mode": "observe", "off": False, "uptime": 3700, "counters": {"frames": 5, HOSTILE: HOSTILE}},
    }
    done = guard.run("status")
    assert done.returncode == 0
    assert is_clean(done.stdout)
    assert re.search(r"running for +1 h 1 min", done.stdout)
    assert re.search(r"counters: frames +5", done.stdout)
    assert json.loads(guard.run("status", "--json").stdout)["packet"]["counters"]["frames"] == 5
    for gate, said in (({"by": "nft"}, "queued by nft"), ({"by": "", "fault": "no nftables"}, "open: no nftables")):
        guard.packet.answers["status"] = {"ok": True, "body": {"gate": gate, "enforced": {"wanted": 7, "held": 5}}}
        shown = guard.run("status").stdout
        assert said in shown
        assert "5 of 7 elements" in shown
    guard.packet.answers["status"] = None
    silent = guard.run("status")
    assert silent.returncode == 69
    assert "does not answer" in silent.stderr


def test_without_a_guard_the_exit_code_is_69_and_the_advice_is_given(nobody: Guard) -> None:
    for args in (("status",), ("bans",), ("events",), ("ban", "192.0.2.1"), ("observe",), ("enforce", "--yes")):
        done = nobody.run(*args)
        assert (args, done.returncode, done.stdout) == (args, 69, "")
        assert "not running" in done.stderr
        assert "systemctl start sipguard" in done.stderr


def test_every_command_has_its_help_and_its_page() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    for command in COMMANDS:
        assert f"sipguard {command}" in page
    for code in (0, 1, 2, 69, 77, 78):
        assert re.search(rf"^\| {code} \|", page, re.MULTILINE)


def test_a_command_imports_no_more_than_it_needs() -> None:
    code = CODE.replace("main()", "").replace("; ;", ";") + (
        "from sipguard.cli.main import application; application(['bans']);"
        "slow = ('pydantic', 'rich', 'dns', 'structlog', 'sqlite3', 'asyncio');"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert ast.literal_eval(done.stdout) == []


def test_run_says_what_is_wrong_with_a_policy_and_exits_78(nobody: Guard) -> None:
    nobody.packet.policy.write_text('mode = "sometimes"\nport = 5')
    done = nobody.run("run", "--policy", str(nobody.packet.policy))
    assert done.returncode == 78
    assert "line 1" in done.stderr
    assert "line 2" in done.stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_rights_run_and_the_socket_are_exit_77(guard: Guard) -> None:
    drop = (
        "import ctypes, sys; from sipguard.control import privilege; privilege.drop();"
        "sys.argv[0] = 'sipguard'; from sipguard.cli.main import main; main()"
    )
    argv = [sys.executable, "-c", drop, "run", "--policy", str(guard.packet.policy)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 77
    assert "CAP_NET_ADMIN" in done.stderr
    os.chown(guard.packet.socket, 65534, 65534)  # root without its capabilities is a user like any other
    guard.packet.socket.chmod(0o600)
    argv = [sys.executable, "-c", drop, "status"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=ROOT, env=guard.environment())
    assert done.returncode == 77
    assert "sudo" in done.stderr


# --- off: in a network namespace, with a real table -------------------------------------------------------------------


no_policy = pytest.mark.skipif(Path("/etc/sipguard/policy.toml").exists(), reason="a real policy: its mark stays as is")


class Space:
    """A network namespace with a table of ours and one of somebody else's."""

    def __init__(self) -> None:
        self.name = f"sgcli{secrets.token_hex(3)}"

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        for table in ("sipguard", "other"):
            self.do("nft", "add", "table", "inet", table)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def do(self, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> tuple[int, str]:
        argv = ["ip", "netns", "exec", self.name, *args]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env, cwd=cwd, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def off(self, guard: Guard) -> tuple[int, str]:
        # The policy beside the command names a database of the test's own: no mark is left on this machine.
        folder = guard.packet.folder / "conf"
        folder.mkdir(exist_ok=True)
        (folder / "policy.toml").write_text(guard.packet.policy.read_text())
        return self.do(sys.executable, "-c", CODE, "off", env=guard.environment(), cwd=guard.packet.folder)

    def tables(self) -> list[str]:
        return self.do("nft", "list", "tables")[1].split("\n")[:-1]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a network namespace")
@pytest.mark.skipif(
    Path("/etc/sipguard/policy.toml").exists(), reason="a real policy is here: its mark stays untouched"
)
def test_off_works_with_a_dead_guard_and_stays_off(nobody: Guard) -> None:
    with Space() as space:
        code, told = space.off(nobody)
        assert (code, space.tables()) == (0, ["table inet other"]), told
        assert space.off(nobody)[0] == 0  # again, with nothing there
    nobody.packet.start()
    assert nobody.packet.state()[1]["off"] is True


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a network namespace")
@pytest.mark.skipif(
    Path("/etc/sipguard/policy.toml").exists(), reason="a real policy is here: its mark stays untouched"
)
def test_off_tells_a_living_guard_and_does_not_wait_for_a_hanging_one(guard: Guard) -> None:
    with Space() as space:
        assert space.off(guard)[0] == 0
        assert len(guard.ordered("off")) == 1
        space.do("nft", "add", "table", "inet", "sipguard")
        guard.packet.answers["off"] = None
        assert space.off(guard)[0] == 0
        assert space.tables() == ["table inet other"]
    assert guard.run("on").returncode == 0
    assert not guard.packet.db.with_name("off").exists()
