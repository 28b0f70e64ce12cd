"""How long a ban lasts: longer each time, within a memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sipguard.constraint import Between, DurationBetween
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Span


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[ban]`: the first ban lasts `first`, each further one `factor` times as long, `maximum` at most."""

    first: Annotated[Span, DurationBetween(10 * SECOND, 365 * DAY)] = HOUR
    factor: Annotated[int, Between(1, 100)] = 4
    maximum: Annotated[Span, DurationBetween(10 * SECOND, 365 * DAY)] = 30 * DAY
    memory: Annotated[Span, DurationBetween(MINUTE, 365 * DAY)] = 30 * DAY
    remembered: Annotated[int, Between(1000, 10_000_000)] = 100_000
    throttle: Annotated[Span, DurationBetween(10 * SECOND, DAY)] = 10 * MINUTE
