"""Guessing: one source fails with credentials again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sipguard.constraint import Between, DurationBetween
from sipguard.model import DAY, MINUTE, SECOND, Consequence, Span


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.credentials]`."""

    enabled: bool = True
    failures: Annotated[int, Between(1, 1000)] = 5
    window: Annotated[Span, DurationBetween(10 * SECOND, 7 * DAY)] = 10 * MINUTE
    excused: Annotated[int, Between(0, 10_000)] = 20
    sources: Annotated[int, Between(1000, 10_000_000)] = 50_000
    then: Consequence = Consequence.BLOCK
