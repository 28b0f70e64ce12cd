"""What rules of iptables have counted: read beside the packet loop, and what it tells of others' rules."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipguard.capture.gate import Gate
from sipguard.enforce.base import Layout
from sipguard.enforce.counting import Counting
from sipguard.enforce.gaterules import BITS
from sipguard.enforce.programs import overwriting_in
from sipguard.enforce.switch import Stance, Switch
from sipguard.model import SECOND, Sensor, SensorKind
from sipguard.netfilter import nfqueue
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
    gate = Gate(GATED.queues[0], BITS)
    found: list[Sensor] = []
    deadline = now() + 5 * SECOND
    while now() < deadline:
        switch.judging(now())
        for _each in range(min(count, 10)):
            stranger.sendto(b"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\n", PBX)
            count -= 1
        for frame in gate.read(100):
            gate.answer(frame.ticket, nfqueue.ACCEPT)
        found += switch.floods()
        time.sleep(0.05)
    gate.close()
    return found


@pytest.mark.root
@pytest.mark.kernel
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


DROP = ("-j", "DROP")
HELP = ("-p", "tcp", *OVERWRITING)


@pytest.mark.root
@pytest.mark.kernel
@pytest.mark.parametrize(
    ("rules", "queued"),
    [((MASKED,), 50), ((HELP,), 50), ((DROP,), 0), ((DROP, OVERWRITING), 0)],
    ids=["with a mask", "of other packets", "that drops them", "that drops them before another marks"],
)
def test_a_rule_of_others_that_takes_no_packet_past_the_gate_is_not(
    joined: Cable, switch: Switch, rules: tuple[tuple[str, ...], ...], queued: int
) -> None:
    for rule in reversed(rules):
        run("iptables", "-t", "mangle", "-I", "PREROUTING", "2", "-s", "192.0.2.2", *rule)
    assert sent(joined, switch, 50) == []
    counted = switch.counted()
    assert (counted["held"], counted["queued"], counted["unheld"]) == (50, queued, 0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[7:300] -A PREROUTING -i eth1 -j MARK --set-xmark 0x1/0xffffffff", "PREROUTING -i eth1"),
        ("[7:300] -A lan -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", "lan"),
        ("[7:300] -A OUTPUT -j CONNMARK --restore-mark", "OUTPUT"),
        ("[7:300] -A OUTPUT -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", ""),
        ("[7:300] -A PREROUTING -j MARK --set-xmark 0x1/0xff", ""),
        ("[7:300] -A POSTROUTING -j MARK --set-xmark 0x1/0xffffffff", ""),
        ("[7:300] -A SIPGUARD-PAST -j MARK --set-xmark 0x0/0xa0000000", ""),
        ("[7:300] -A PREROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", ""),
    ],
)
def test_which_rules_take_the_mark(line: str, told: str) -> None:
    found = overwriting_in(f"*mangle\n[0:0] -A OTHER -j ACCEPT\n{line}\nCOMMIT\n", BITS)
    assert [rule.startswith(told) for rule in found] == ([True] if told else [])


MANGLE, RAW = (4, "mangle"), (4, "raw")
MARKER = "PREROUTING -i eth1 -j MARK --set-xmark 0x1/0xffffffff"


def said(marked: int = 0, **counts: int) -> str:
    """Write what the program would say of our rules, and of one of others that overwrites marks."""
    ours = [
        f'[{count}:9] -A SIPGUARD-X -m comment --comment "sipguard {name}" -j Y\n' for name, count in counts.items()
    ]
    return f"*mangle\n[{marked}:9] -A {MARKER}\n{''.join(ours)}COMMIT\n"


@pytest.mark.parametrize(
    ("readings", "lost"),
    [
        ([said(100, held=100, queued=0)], 100),
        ([said(100, held=100, queued=100)], 0),
        ([said(99, held=100, queued=0)], 0),
        ([said(1000, held=5000, queued=4996)], 0),
        ([said(1000, held=5000, queued=5010), said(2000, held=6000, queued=6000)], 0),
        ([said(50, held=50, queued=50), said(60, held=150, queued=50)], 0),
        ([said(50, held=50, queued=50), said(150, held=150, queued=50)], 100),
        ([said(500, held=500, queued=500), said(30, held=30, queued=0)], 30),
    ],
    ids=["lost", "none", "met too few", "underway", "read one after another", "before", "later", "laid anew"],
)
def test_what_is_lost_is_said_of_a_rule_that_has_met_as_many_meanwhile(readings: list[str], lost: int) -> None:
    counting = Counting(now, ("flooded",))
    for text in readings:
        counting.take(MANGLE, text, standing=False)
    assert counting.unjudged() == (lost, f"iptables -t mangle -A {MARKER}" if lost else "")
    assert counting.unjudged()[0] == 0, "told once"


def test_what_rules_had_counted_before_the_guard_came_is_no_news_and_what_new_ones_count_is() -> None:
    counting = Counting(now, ("flooded",))
    counting.take(RAW, said(flooded=500), standing=True)
    assert (counting.fresh(), counting.counted()["flooded"]) == (0, 500)
    counting.take(RAW, said(flooded=520), standing=True)
    assert counting.fresh() == 20
    counting.take(RAW, said(flooded=30), standing=True)
    assert (counting.fresh(), counting.counted()["flooded"]) == (30, 30)
    counting.take((6, "raw"), said(flooded=7), standing=False)
    assert (counting.fresh(), counting.counted()["flooded"]) == (7, 37)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file that is run in place of iptables-save."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("iptables-save", "ip6tables-save"):
        (tmp_path / name).symlink_to(tmp_path / "program")
    return tmp_path / "program"


@pytest.mark.parametrize(
    ("text", "fails"),
    [("exit 1", True), ("kill -9 $$", True), (r"printf '\377[x'", False), ("", False), ("yes | head -c 1100000", True)],
    ids=["fails", "is killed", "raves", "mute", "says too much"],
)
def test_a_program_that_fails_or_raves_is_asked_again_and_nothing_is_raised(
    program: Path, text: str, *, fails: bool
) -> None:
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
    assert bool(counting.failed) is fails
    counting.close()


def test_no_program_at_all_is_no_fault(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipguard.enforce.tools._SYSTEM_PATH", str(program.parent))
    monkeypatch.setenv("PATH", str(program.parent))
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


def test_a_process_that_may_open_no_file_goes_on(program: Path) -> None:
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    counting = Counting(lambda: 0, ("flooded",))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        counting.look(standing=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert counting.failed == 1
    counting.close()


def test_what_cannot_be_read_any_more_is_not_shown_as_if_it_were_of_now(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipguard.enforce.counting._PACE", 0)
    counting = Counting(now, ("flooded",))
    counting.take((4, "raw"), said(flooded=5), standing=False)
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    while not counting.failed:
        counting.look(standing=False)
    assert counting.counted() == {}
    counting.close()
    counting.take((4, "raw"), said(flooded=5), standing=False)
    assert counting.counted() == {"flooded": 5}
