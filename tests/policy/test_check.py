"""`sipguard check` tells all problems by file and line and exits 78, or says what the policy means and exits 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNER = "import typer; from sipguard.cli.check import check; app = typer.Typer(); app.command()(check); app()"


def check(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUNNER, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


def snapshot(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        path.name: (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()
    }


def test_a_good_policy_is_told_and_exits_0(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("mode = 'enforce'\n")
    ran = check(str(file))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[0] == "The guard acts: who is found attacking is banned in the kernel."
    told = json.loads(check("--json", str(file)).stdout)
    assert (told["ok"], told["file"], told["means"]) == (True, str(file), ran.stdout.splitlines())


def test_every_problem_of_a_bad_policy_is_a_line_and_nothing_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("mode = 'on'\n\n[ban]\nfrist = '1h'\nfactor = '4'\n")
    before = snapshot(tmp_path)
    ran = check(str(file), cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (78, "")
    assert ran.stderr.splitlines() == [
        f'{file}:1: mode: must be "observe" or "enforce"',
        f'{file}:4: ban.frist: is no setting of this program (did you mean "first"?)',
        f"{file}:5: ban.factor: must be a whole number, not text (without quotes)",
    ]
    ran = check("--json", str(file), cwd=tmp_path)
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["ok"]) == (78, False)
    assert [(problem["key"], problem["line"]) for problem in told["problems"]] == [
        ("mode", 1),
        ("ban.frist", 4),
        ("ban.factor", 5),
    ]
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"mode = 'observe'\n# \xff\xfe\n", ":2: is not UTF-8 text"),
        (b"#" * (1024 * 1024 + 1), ": is larger than 1 MiB"),
        (b"\0", ":1: is not TOML"),
    ],
)
def test_a_file_that_is_no_text_is_one_clear_line(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(content)
    ran = check(str(file))
    assert (ran.returncode, len(ran.stderr.splitlines())) == (78, 1)
    assert ran.stderr.startswith(f"{file}{words}")


def test_what_is_no_file_is_one_clear_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("missing.toml", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("pipe", "is not a regular file"),
        ("missing\x1b[2J", "cannot be read"),
    ):
        ran = check(str(tmp_path / name))
        assert (ran.returncode, len(ran.stderr.splitlines())) == (78, 1), name
        assert words in ran.stderr
        assert "\x1b" not in ran.stderr


@pytest.mark.skipif(Path("/etc/sipguard/policy.toml").exists(), reason="this host has a policy of its own")
def test_without_a_name_the_usual_places_are_tried(tmp_path: Path) -> None:
    ran = check(cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (
        78,
        "/etc/sipguard/policy.toml: cannot be read: No such file or directory\n",
    )
    assert check(cwd=ROOT).returncode == 0
