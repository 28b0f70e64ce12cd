"""How an operator says what is dialled at a place: a dial plan. Settings only; what they do stands in `read.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

from sipguard.constraint import Count, Described, Matching

NONE: Final = "none"
USUAL: Final = "usual"
DEFAULT: Final = "default"

Country: TypeAlias = Annotated[
    str, Matching(r"(none|[A-Z]{2})", 'a country as two capital letters, like "DE", or "none"')
]
Area: TypeAlias = Annotated[str, Matching(r"(none|[0-9]{1,8})", 'digits, or "none"')]
TrunkPrefix: TypeAlias = Annotated[str, Matching(r"(usual|[0-9]{1,8})", 'digits, or "usual"')]
Prefix: TypeAlias = Annotated[str, Matching(r"[0-9*#]{1,16}", "digits, with * and # or not")]
Pattern: TypeAlias = Annotated[str, Matching(r"[0-9*X]{1,10}", 'digits, with an X for any digit, like "2XX"')]
PlanName: TypeAlias = Annotated[str, Matching(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", "1 to 64 letters and digits")]


class Bare(StrEnum):
    """What a number is that begins with no prefix at all."""

    NATIONAL = "national"
    INTERNATIONAL = "international"


@dataclass(frozen=True, slots=True)
class DialPlan:
    """How numbers are dialled, where no plan is named; `[[dialplan]]` holds others, for sites and trunks."""

    country: Annotated[
        Country,
        Described("Where the PBX stands (ISO 3166-1). Without it only international numbers can be read."),
    ] = NONE
    area: Annotated[
        Area,
        Described("The area code, without its 0, of numbers that are dialled without one; else those stay unread."),
    ] = NONE
    outside: Annotated[
        tuple[Prefix, ...],
        Count(0, 8),
        Described("What is dialled for an outside line; taken off where a number follows, and left where none does."),
    ] = ()
    international: Annotated[
        tuple[Prefix, ...],
        Count(0, 8),
        Described("What is dialled before a country code, besides the plus; empty: what is usual in the country."),
    ] = ()
    trunk: Annotated[
        TrunkPrefix, Described("What is dialled before an area code, if it is not what is usual in the country.")
    ] = USUAL
    bare: Annotated[
        Bare,
        Described(
            'What a number without any prefix is. "international" for a trunk that takes country codes without a plus.'
        ),
    ] = Bare.NATIONAL
    tech: Annotated[
        tuple[Prefix, ...],
        Count(0, 32),
        Described('Technical prefixes that a carrier wants before a number, like "1234#".'),
    ] = ()
    extensions: Annotated[
        tuple[Pattern, ...],
        Count(0, 256),
        Described('What your extensions look like: "2XX" is 200 to 299. Empty: what is short and no number.'),
    ] = ()
