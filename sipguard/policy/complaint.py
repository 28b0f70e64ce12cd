"""The noun of what is wrong with a policy before it is known on which line that stands."""

from __future__ import annotations

from dataclasses import dataclass

from sipguard.policy.lines import Path


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong at a path, not yet on a line; `other` is the path of the setting that it disagrees with."""

    path: Path
    what: str
    hint: str = ""
    other: Path = ()
