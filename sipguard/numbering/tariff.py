"""Settings of `[rates]`: which file says what calls cost, and what becomes of numbers that it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeAlias

from sipguard.constraint import Described, Matching

DeckPath: TypeAlias = Annotated[str, Matching(r"(|/[^\x00-\x1f\x7f]{1,1000})", 'an absolute path, or "" for none')]
CurrencyCode: TypeAlias = Annotated[str, Matching(r"(|[A-Z]{3})", 'a currency like "EUR" (ISO 4217), or ""')]


class Unknown(StrEnum):
    """What becomes of a call to a number without a rate, where a deck is given."""

    PASS = "pass"  # noqa: S105 - no password
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[rates]`; the file is read at the start and when the policy is read again."""

    deck: Annotated[DeckPath, Described("A table of prefixes and prices (CSV); without one, no call has a price.")] = ""
    currency: Annotated[CurrencyCode, Described("What the prices are in, where the file does not name it.")] = ""
    unknown: Annotated[
        Unknown, Described("What becomes of a call to a number that the deck has no price for; emergency calls pass.")
    ] = Unknown.REFUSE
