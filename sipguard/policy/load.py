"""TOML text to a `Policy`, or every problem at once, each with key path, line, what is wrong and a hint.

Opens no file. Never repeats a value of the text in a problem: who reads the log need not be who may read the policy.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any

from sipguard.errors import PolicyError, Problem
from sipguard.policy.adapter import read_document
from sipguard.policy.checks import document_complaints
from sipguard.policy.complaint import Complaint
from sipguard.policy.hints import UNKNOWN, not_toml, unknown_key
from sipguard.policy.lines import Lines, Path, find_lines
from sipguard.policy.schema import Policy

MOST_PROBLEMS = 100
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_KEY = 64


def load(text: str, is_zone: Callable[[str], bool] | None = None) -> Policy:
    """Read a policy. Raises PolicyError with all that is wrong with it, in the order of its lines.

    `is_zone` tells whether this host knows a time zone (`geo/zones.py`); without it, any name that looks like one does.
    """
    text = text.removeprefix("\ufeff")  # a byte order mark, as some editors leave it
    lines = find_lines(text)
    document = _parse(text, lines)
    policy, complaints = read_document(document)
    complaints += document_complaints(document, is_zone)
    if policy is None or complaints:
        raise PolicyError(_problems(complaints, lines))
    return policy


def show_path(path: Path) -> str:
    """Write a path as people do: `site[1].addresses[0]`; what no bare key may hold is quoted and escaped."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f"{'.' if shown else ''}{_show_key(part)}"
    return shown


def _show_key(key: str) -> str:
    cut = key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"
    if _BARE.fullmatch(key):
        return cut
    escaped = cut.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in escaped) + '"'


def _parse(text: str, lines: Lines) -> dict[str, Any]:
    if lines.too_deep:
        raise PolicyError([Problem("", lines.too_deep, "lists or keys are nested far too deeply")])
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python converts
        line, what, hint = not_toml(str(error), text)
        raise PolicyError([Problem(show_path(lines.before(line)), line, what, hint)]) from None


def _problems(complaints: list[Complaint], lines: Lines) -> list[Problem]:
    placed = sorted(((lines.of(complaint.path), complaint) for complaint in complaints), key=lambda item: item[0])
    problems = [_problem(complaint, line, lines) for line, complaint in placed[:MOST_PROBLEMS]]
    if len(placed) > MOST_PROBLEMS:
        problems.append(Problem("", 0, f"{len(placed) - MOST_PROBLEMS} more problems are not shown"))
    return problems


def _problem(complaint: Complaint, line: int, lines: Lines) -> Problem:
    what = complaint.what
    if complaint.other:
        what += f" {show_path(complaint.other)} on line {lines.of(complaint.other)}"
    hint = unknown_key(complaint.path) if what == UNKNOWN else complaint.hint
    return Problem(show_path(complaint.path), line, what, hint)
