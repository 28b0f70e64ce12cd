"""The tools that read the program agree with it, so that whoever runs the tests has run them too.

How they are set stands in `pyproject.toml`; `scripts/check` runs the same ones, first and aloud.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SHELL = ("#!/bin/sh\n", "# shellcheck shell=sh\n")
TOOLS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "import contracts": ["lint-imports"],
}


@pytest.mark.parametrize("command", TOOLS.values(), ids=TOOLS)
def test_the_tool_has_nothing_to_say(command: list[str]) -> None:
    beside = Path(sys.executable).parent / command[0]
    if not beside.exists():
        pytest.skip(f"needs {command[0]}")
    environment = {**os.environ, "COLUMNS": "120"}
    said = subprocess.run(
        [str(beside), *command[1:]], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("needs shellcheck")
    scripts = [path for folder in ("scripts", ".ci") for path in sorted((PROJECT / folder).iterdir()) if path.is_file()]
    written_in_shell = [str(path) for path in scripts if path.read_text().startswith(SHELL)]
    assert written_in_shell
    said = subprocess.run(
        [shellcheck, "-x", *written_in_shell], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout
