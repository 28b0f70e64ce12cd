"""What the bench found: sections of aligned text for people, the same as plain data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Section:
    """One table. `data` says the same by name, with numbers instead of text; `notes` stand below."""

    name: str
    title: str
    columns: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Write it aligned: the first column to the left, all others to the right."""
        table = [tuple(self.columns), *map(tuple, self.rows)] if self.rows else []
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [self.title, "-" * len(self.title)]
        for row in table:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
        return "\n".join([*lines, *self.notes, ""])


def skipped(name: str, title: str, why: str) -> Section:
    """Say that a part was left out, and why."""
    return Section(name, title, notes=[f"skipped: {why}"], data={"skipped": why})


def percentile(values: Sequence[int], share: float) -> int:
    """Give the value that `share` of all do not exceed. There must be one at least."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
