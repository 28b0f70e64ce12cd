"""The literal list of all detectors: their names in the policy, their settings and how they are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from sipguard.detect import credentials


@dataclass(frozen=True, slots=True)
class Config:
    """The tables of `[detect]`."""

    credentials: credentials.Config = field(default_factory=credentials.Config)
