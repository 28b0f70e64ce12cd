"""Every recorded case in `pcaps/` gives what its `expected.jsonl` says, however it is fed."""

from __future__ import annotations

import difflib
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sipguard.capture import files
from sipguard.model import SECOND
from sipguard.replay import dump
from sipguard.wire.captured import Captured
from tests.replay.replaying import look_of, policy_of, replay_of, run, text

PCAPS = Path(__file__).resolve().parents[2] / "pcaps"
CASES = sorted(path.parent for path in PCAPS.glob("*/*/traffic.pcap*"))


def name(case: Path) -> str:
    return str(case.relative_to(PCAPS))


def capture(case: Path) -> Path:
    """Give the capture of a case, gzipped or not."""
    return next(iter(case.glob("traffic.pcap*")))


def expected(case: Path) -> list[str]:
    return (case / "expected.jsonl").read_text(encoding="utf-8").splitlines()


def test_there_are_cases() -> None:
    assert len(CASES) > 20


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_case_has_all_its_parts(case: Path) -> None:
    assert (case / "README.md").exists()
    assert (case / "expected.jsonl").exists()


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_case_gives_what_is_expected(case: Path) -> None:
    _, lines = run(capture(case), policy_of(case), look=look_of(case))
    difference = "\n".join(difflib.unified_diff(expected(case), text(lines), "expected", "replayed", lineterm=""))
    assert not difference, f"{name(case)}: look at it, then scripts/golden\n{difference}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_case_is_the_same_at_any_time_of_the_world(case: Path) -> None:
    replay = replay_of(case)
    shifted = []
    for captured in files.read(capture(case)):
        later = Captured(captured.at + 12345 * SECOND, captured.linktype, captured.data, captured.truncated)
        shifted += [dump(line) for line in replay.feed(later)]
    assert shifted == expected(case)


@pytest.mark.parametrize("case", [case for case in CASES if "tcp" in case.name], ids=name)
def test_a_tcp_case_is_the_same_when_its_segments_are_cut_otherwise(case: Path) -> None:
    replay = replay_of(case)
    cut = []
    for captured in files.read(capture(case)):
        for piece in pieces(captured):
            cut += [dump(line) for line in replay.feed(piece)]
    assert cut == expected(case)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_command_gives_the_same_under_any_hash_seed(seed: str) -> None:
    case = PCAPS / "register" / "guessing-fast"
    arguments = [str(case / "traffic.pcap"), "--json", "--expect", str(case / "expected.jsonl")]
    command = [sys.executable, "-c", "from sipguard.cli.main import main; main()", "replay", *arguments]
    ran = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == expected(case)


def pieces(captured: Captured) -> list[Captured]:
    """Cut the payload of an IPv4 TCP packet into runs of seven bytes, each a packet of its own."""
    data = captured.data
    start = 14 if captured.linktype == 1 else 0
    if data[start] >> 4 != 4 or data[start + 9] != 6:
        return [captured]
    transport = start + (data[start] & 15) * 4
    total = struct.unpack_from("!H", data, start + 2)[0]
    body = transport + (data[transport + 12] >> 4) * 4
    end = start + total
    if end - body <= 7:
        return [captured]
    found = []
    seq = struct.unpack_from("!I", data, transport + 4)[0]
    for at in range(body, end, 7):
        part = data[at : min(at + 7, end)]
        head = bytearray(data[:body])
        struct.pack_into("!H", head, start + 2, body - start + len(part))
        struct.pack_into("!I", head, transport + 4, (seq + at - body) & 0xFFFFFFFF)
        found.append(Captured(captured.at, captured.linktype, bytes(head) + part, captured.truncated))
    return found
