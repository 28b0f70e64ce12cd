"""The packet path compiled, as `scripts/compile` makes it, decides as its sources do.

What runs here is the tests of the engine, of the recordings, of the parser and of the gate, in a copy in which the
compiled modules stand beside their sources.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
COMPILED = (
    "sipguard.model",
    "sipguard.engine",
    "sipguard.sip.parser",
    "sipguard.track.calls",
    "sipguard.tolls",
    "sipguard.detect.flood",
    "sipguard.packetloop",
    "sipguard.capture.gate",
)

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of a compiled copy."""
    made = tmp_path_factory.mktemp("compiled") / "tree"
    door = '. scripts/lib.sh; (need_compiler "$1") || exit 77; compile_into "$1" "$2"'
    done = subprocess.run(
        ["sh", "-euc", door, "compile", sys.executable, made], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode == 77:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return made


def run(tree: Path, *arguments: str) -> str:
    """Run Python in the copy; gives what it said. Fails when it fails."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_the_packet_path_is_compiled_and_the_policy_is_not(tree: Path) -> None:
    names = ", ".join((*COMPILED, "sipguard.policy.schema"))
    loaded = run(
        tree, "-c", f"import {names}; print({'.__file__, '.join((*COMPILED, 'sipguard.policy.schema'))}.__file__)"
    )
    files = loaded.split()
    assert all(Path(file).is_relative_to(tree) for file in files)
    assert [Path(file).suffix for file in files] == [*[".so"] * len(COMPILED), ".py"]


def test_the_wheel_holds_what_was_compiled(tree: Path) -> None:
    (wheel,) = (tree / "dist").glob("sipguard-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("sipguard/engine.") and name.endswith(".so") for name in names)
    assert "sipguard/policy/schema.py" in names
    assert not any(name.startswith(("tests/", "pcaps/")) for name in names)


def test_settings_engine_recordings_and_parser_pass_their_tests(tree: Path) -> None:
    # What is told by docstrings is asked of the sources alone: compiled modules have none.
    tested = [f"tests/{part}" for part in ("policy", "engine", "replay", "sip", "wire", "detect", "decide", "calls")]
    untold = ["--deselect", "tests/detect/test_catalogue.py"]
    said = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *untold, *tested)
    assert " passed" in said.splitlines()[-1]


@pytest.mark.root
@pytest.mark.lab
def test_the_packet_loop_holds_and_lets_go_as_its_sources_do(tree: Path) -> None:
    said = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/capture", "tests/live/test_gate.py")
    assert " passed" in said.splitlines()[-1]


def test_mutated_messages_are_read_without_a_failure(tree: Path) -> None:
    assert "failures: 0" in run(tree, "-m", "tests.fuzz", "--count", "20000", "--jobs", "1")
