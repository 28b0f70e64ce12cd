"""How much protocol state may be held; each table has its own cap (`table.py` says who goes first when it is full)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sipguard.constraint import Between


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[track]`: the most entries of each table."""

    transactions: Annotated[int, Between(1000, 10_000_000)] = 20_000
    nonces: Annotated[int, Between(1000, 10_000_000)] = 30_000
    registrations: Annotated[int, Between(1000, 10_000_000)] = 100_000
    proven: Annotated[int, Between(1000, 10_000_000)] = 50_000
    asked: Annotated[int, Between(1000, 10_000_000)] = 10_000
    dialogs: Annotated[int, Between(1000, 10_000_000)] = 20_000
    calls: Annotated[int, Between(1000, 1_000_000)] = 20_000
