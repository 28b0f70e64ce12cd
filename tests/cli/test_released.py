"""What `why` advises can be pasted into a shell, whatever an attacker called himself."""

from __future__ import annotations

import shlex

import pytest

from sipguard.address import parse_network
from sipguard.cli.because import changes
from sipguard.model import EVERY_OTHER, Account, Pair

HERE = parse_network("203.0.113.9")


@pytest.mark.parametrize(
    ("ward", "words"),
    [
        (Account("1001", "pbx"), ["1001@pbx"]),
        (Pair(HERE, Account("1001", "pbx")), ["1001@pbx"]),
        (Pair(HERE, EVERY_OTHER), ["203.0.113.9"]),
        (Account("x; reboot $(id) `id` '", "pbx"), ["x; reboot $(id) `id` '@pbx"]),
        (Account("--help", "pbx"), ["--", "--help@pbx"]),
        (Account("a\nb\x1b[2J", ""), ["a\\x0ab\\x1b[2J"]),
    ],
    ids=str,
)
def test_the_command_that_would_release_somebody_is_one_command_with_one_argument(
    ward: Account | Pair, words: list[str]
) -> None:
    hold = {"what": "quarantine", "subject": str(ward), "until": 0}
    found = {"kind": "account", "subject": "1001", "in_force": [hold], "counters": [], "past": {}}
    (command,) = [each.command for each in changes(found) if each.command]
    assert shlex.split(command) == ["sipguard", "release", *words]
