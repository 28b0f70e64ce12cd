"""What rules of iptables have counted: read beside the packet loop, and what it tells of others' rules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipguard.enforce.base import Layout
from sipguard.enforce.counting import Counting
from sipguard.enforce.gaterules import BITS
from sipguard.enforce.programs import overwriting_in
from sipguard.enforce.switch import Stance, Switch
from sipguard.model import SECOND, Sensor, SensorKind
from tests.enforce.spaces import Cable, cable, inside, now, run

GATED = Layout(backend="iptables", gate="nft", stranger_rate=1_000, strangers_rate=5_000)
PBX = ("192.0.2.1", 5060)
MASKED = ("-j", "MARK", "--set-xmark", "0x1/0x1")
OVERWRITING = ("-j", "MARK", "--set-mark", "1")
RESTORING = ("-j", "CONNMARK", "--restore-mark")


@pytest.fixture
def joined() -> Iterator[Cable]:
    with cable() as made, inside(made.pbx):
        yield made


@pytest.fixture
def switch(joined: Cable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    monkeypatch.setattr("sipguard.enforce.counting._PACE", SECOND // 5)
    made = Switch(GATED, now)
    made.take(Stance.ENFORCE, GATED, [], [])
    yield made
    made.close()


def sent(joined: Cable, switch: Switch, count: int) -> list[Sensor]:
    """Send requests that are to wait, a few at a time, and give what is told until all rules were read twice."""
    stranger = joined.open(joined.stranger, "192.0.2.2")
    found: list[Sensor] = []
    deadline = now() + 5 * SECOND
    while now() < deadline:
        switch.judging(now())
        for _each in range(min(count, 10)):
            stranger.sendto(b"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\n", PBX)
            count -= 1
        found += switch.floods()
        time.sleep(0.05)
    return found


@pytest.mark.root
@pytest.mark.parametrize("rule", [OVERWRITING, RESTORING], ids=["set", "restored"])
def test_a_rule_of_others_that_takes_the_mark_from_packets_that_were_to_wait_is_told(
    joined: Cable, switch: Switch, rule: tuple[str, ...]
) -> None:
    run("iptables", "-t", "mangle", "-I", "PREROUTING", "2", "-s", "192.0.2.2", *rule)
    found = sent(joined, switch, 50)
    assert {each.kind for each in found} == {SensorKind.GATE_LOST}
    assert sum(each.count for each in found) == 50
    assert f"PREROUTING -s 192.0.2.2/32 -j {rule[1]}" in found[0].about
    assert (switch.counted()["held"], switch.counted().get("queued", 0)) == (50, 0)


@pytest.mark.root
@pytest.mark.parametrize(
    "rule",
    [MASKED, ("-p", "tcp", *OVERWRITING), ("-j", "DROP")],
    ids=["with a mask", "of other packets", "that drops them"],
)
def test_a_rule_of_others_that_takes_no_packet_past_the_gate_is_not(
    joined: Cable, switch: Switch, rule: tuple[str, ...]
) -> None:
    run("iptables", "-t", "mangle", "-I", "PREROUTING", "2", "-s", "192.0.2.2", *rule)
    assert sent(joined, switch, 50) == []
    assert switch.counted()["held"] == 50


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[7:300] -A PREROUTING -i eth1 -j MARK --set-xmark 0x1/0xffffffff", "PREROUTING -i eth1"),
        ("[7:300] -A lan -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", "lan"),
        ("[7:300] -A OUTPUT -j CONNMARK --restore-mark", "OUTPUT"),
        ("[7:300] -A OUTPUT -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", ""),
        ("[7:300] -A PREROUTING -j MARK --set-xmark 0x1/0xff", ""),
        ("[0:0] -A PREROUTING -j MARK --set-xmark 0x1/0xffffffff", ""),
        ("[7:300] -A POSTROUTING -j MARK --set-xmark 0x1/0xffffffff", ""),
        ("[7:300] -A SIPGUARD-PAST -j MARK --set-xmark 0x0/0xa0000000", ""),
        ("[7:300] -A PREROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", ""),
    ],
)
def test_which_rules_take_the_mark(line: str, told: str) -> None:
    found = overwriting_in(f"*mangle\n[0:0] -A OTHER -j ACCEPT\n{line}\nCOMMIT\n", BITS)
    assert found.startswith(told)
    assert bool(found) is bool(told)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file that is run in place of iptables-save."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("iptables-save", "ip6tables-save"):
        (tmp_path / name).symlink_to(tmp_path / "program")
    return tmp_path / "program"


@pytest.mark.parametrize(
    "text", ["exit 1", "kill -9 $$", r"printf '\377[x'", ""], ids=["fails", "is killed", "raves", "mute"]
)
def test_a_program_that_fails_or_raves_is_asked_again_and_nothing_is_raised(program: Path, text: str) -> None:
    program.write_text(f'#!/bin/sh\necho x >>"$0.runs"\n{text}\n')
    program.chmod(0o755)
    clock = [0]
    counting = Counting(lambda: clock[0], ("flooded",))
    runs = program.parent / "iptables-save.runs"
    while not runs.exists() or len(runs.read_text()) < 6:
        clock[0] += SECOND
        counting.look(standing=False)
        time.sleep(0.01)
    assert counting.counted() == {}
    counting.close()


def test_no_program_at_all_is_no_fault(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipguard.enforce.tools._SYSTEM_PATH", str(program.parent))
    counting = Counting(lambda: 0, ("flooded",))
    counting.look(standing=False)
    counting.look(standing=False)
    assert counting.counted() == {}


def test_a_program_that_hangs_holds_nobody_up_and_is_ended(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipguard.enforce.tools._PATIENCE_SECONDS", 0.2)
    program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    counting = Counting(now, ("flooded",))
    counting.look(standing=False)
    running = counting._running
    assert running is not None
    while running._child.returncode is None:
        counting.look(standing=False)
        time.sleep(0.01)
    assert running._child.returncode == -9
    counting.close()
