"""`sipguard replay` as a command: its exit codes, its errors, its diff."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PCAPS = Path(__file__).resolve().parents[2] / "pcaps"
CASE = PCAPS / "register" / "guessing-fast"


def replay(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from sipguard.cli.main import main; main()", "replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\xd4", "one byte"),
        (b"GIF89a" + b"\0" * 100, "no capture"),
        (b"\xd4\xc3\xb2\xa1\x02\0\x04\0", "cut in the file header"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"garbage" * 5, "broken gzip"),
    ],
)
def test_what_is_no_capture_gets_one_line_and_exit_2(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    ran = replay(path)
    assert ran.returncode == 2, why
    assert len(ran.stderr.splitlines()) == 1
    assert str(path) in ran.stderr
    assert ran.stdout == ""


def test_a_missing_file_and_a_directory_get_one_line_and_exit_2(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pcap", tmp_path):
        ran = replay(path)
        assert ran.returncode == 2
        assert len(ran.stderr.splitlines()) == 1


def test_a_capture_that_breaks_off_in_a_packet_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = (CASE / "traffic.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:-7])
    ran = replay(path, "--json")
    assert ran.returncode == 0
    assert any(json.loads(line).get("action") == "block" for line in ran.stdout.splitlines())


def test_an_expectation_that_differs_is_shown_and_exits_1(tmp_path: Path) -> None:
    wrong = tmp_path / "expected.jsonl"
    lines = (CASE / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    wrong.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    ran = replay(CASE / "traffic.pcap", "--expect", wrong)
    assert ran.returncode == 1
    assert f"+{lines[-1]}" in ran.stdout.splitlines()
    same = replay(CASE / "traffic.pcap", "--expect", CASE / "expected.jsonl")
    assert same.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--ports", "0"), 2), (("--ports", "sip"), 2), (("--pbx", "nowhere"), 2), (("--expect", "/nonexistent"), 2)],
)
def test_arguments_that_mean_nothing_get_a_line_and_an_exit_code(arguments: tuple[str, ...], code: int) -> None:
    ran = replay(CASE / "traffic.pcap", *arguments)
    assert ran.returncode == code
    assert len(ran.stderr.splitlines()) == 1


def test_a_bad_policy_gets_every_problem_and_exit_78(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('mode = "obsreve"\nport = [5060]\n', encoding="utf-8")
    ran = replay(CASE / "traffic.pcap", "--policy", policy)
    assert ran.returncode == 78
    assert len(ran.stderr.splitlines()) == 2


def test_the_table_for_people_shows_the_ban() -> None:
    ran = replay(CASE / "traffic.pcap")
    assert ran.returncode == 0
    assert " block " in ran.stdout
    assert "1 bans" in ran.stderr
