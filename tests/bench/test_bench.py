"""The bench measures what it says: its messages are SIP without a fault, and every part runs. Nothing is timed."""

from __future__ import annotations

import json

import pytest

from sipguard.engine import Engine
from sipguard.model import Frame, State
from sipguard.policy.schema import Mode, Policy
from sipguard.sip.fault import Fault
from sipguard.sip.message import SipMessage, Unparsable
from sipguard.sip.parser import parse
from tests.bench import calling, memory
from tests.bench.__main__ import PARTS, main
from tests.bench.pipeline import parse_by_dpkt
from tests.bench.traffic import mix


def test_every_message_of_the_mix_is_sip_without_a_fault() -> None:
    for sent in mix(2_000).sent:
        message = parse(sent.payload)
        if sent.kind == "CRLF keep-alive":
            assert isinstance(message, Unparsable)
            assert message.faults == (Fault.KEEPALIVE,)
            continue
        assert isinstance(message, SipMessage)
        assert message.faults == ()
        assert parse_by_dpkt(sent.frame)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert mix(500).pieces == mix(500).pieces
    assert mix(500).pieces != mix(500, seed=2).pieces


def test_the_engine_reads_all_of_the_mix_and_bans_only_guessers() -> None:
    made = mix(3_000)
    engine = Engine(Policy(), State())
    for sent in made.sent:
        engine.feed(sent.at, Frame(sent.packet))
    counters = engine.counters()
    assert counters["messages"] + counters["shut_out"] == len(made.sent)
    assert counters["retransmissions"] == 0
    assert 0 < counters["held_blocked"] < made.kinds()["REGISTER, guesser's"]
    assert counters["registrations"] > 0


def test_spoofed_sources_are_all_different() -> None:
    assert len({memory.spoofed(number) for number in range(100_000)}) == 100_000


@pytest.mark.parametrize("part", ["speed", "memory", "rates", "calls"])
def test_a_part_that_needs_no_kernel_runs(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tiny", "--json", "--only", part]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cores"]
    if part == "memory":
        assert found["memory"]["packet_process"]["packets"] > 1_000
    else:
        assert found["whole" if part == "speed" else part]
    assert part in PARTS


@pytest.mark.parametrize("rows", [0, 1_000])
def test_calls_of_the_bench_are_followed_priced_and_ended_and_nobody_is_refused(rows: int) -> None:
    bench = calling.Bench(rows, Mode.ENFORCE)
    for number in range(20):
        bench.say(bench.call(number)[:-4], gate=True)
    counters = bench.engine.counters()
    assert counters["calls"] == counters["calls_out"] == 20
    assert counters["gate_accept"] == 20
    assert counters["calls_refused"] == counters["calls_overdue"] == 0
    assert {call.trunk for call in bench.engine._tracker.calls.live()} == {"Carrier"}
    assert all(bool(call.rate) == bool(rows) for call in bench.engine._tracker.calls.live())


@pytest.mark.root
@pytest.mark.parametrize("part", ["tap", "ban", "gate"])
def test_a_part_that_needs_a_kernel_runs(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tiny", "--only", part]) == 0
    said = capsys.readouterr().out
    assert "median" in said
    assert "skipped" not in said
