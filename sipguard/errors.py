"""The two errors that are anybody's fault but ours.

What an attacker can cause is a value (a fault on a message, an event), never an exception. What an operator can cause
is a `PolicyError`; what the machine can cause is an `AdapterError`. Anything else that is raised is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a policy or an argument, said so that it can be put right.

    `key` is the dotted path in the policy (`detect.credentials.failures`), `line` counts from 1 and is 0 where it is
    not known, `hint` is the nearest valid key or an example.
    """

    key: str
    line: int
    what: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.key}: {self.what}{hint}" if self.key else f"{where}{self.what}{hint}"


class PolicyError(Exception):
    """The operator's input is not usable; carries every problem at once, never only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class AdapterError(Exception):
    """The machine did not do what was asked (netlink, nft, SQLite, a name server, a disk that is full).

    `adapter` names the adapter, `what` says what failed in words an operator can act on. Every adapter maps the
    errors of its library to this one, once.
    """

    def __init__(self, adapter: str, what: str) -> None:
        self.adapter = adapter
        self.what = what
        super().__init__(f"{adapter}: {what}")
