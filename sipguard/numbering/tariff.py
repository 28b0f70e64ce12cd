"""Settings of `[rates]`: which file says what calls cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from sipguard.constraint import Described, Matching

NONE = "none"
DeckPath: TypeAlias = Annotated[str, Matching(r"(none|/[^\x00-\x1f\x7f]{1,1000})", '"none" or an absolute path')]
CurrencyCode: TypeAlias = Annotated[str, Matching(r"(none|[A-Z]{3})", '"none" or a currency like "EUR" (ISO 4217)')]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[rates]`; the file is read at the start and when the policy is read again."""

    deck: Annotated[DeckPath, Described("A table of prefixes and prices (CSV); without one, no call has a price.")] = (
        NONE
    )
    currency: Annotated[CurrencyCode, Described("What the prices are in, where the file does not name it.")] = NONE

    @property
    def file(self) -> str:
        """Give the path of the deck; empty where there is none."""
        return "" if self.deck == NONE else self.deck

    @property
    def priced_in(self) -> str:
        """Give the currency for a file that names none; empty where there is none."""
        return "" if self.currency == NONE else self.currency
