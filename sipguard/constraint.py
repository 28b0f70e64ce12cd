"""Markers that say which values a setting may have. Plain data: `policy/` turns them into checks and into the schema.

Stages write `failures: Annotated[int, Between(1, 1000)] = 5` and stay free of any validation library.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, NamedTuple, TypeAlias

from sipguard.model import Span


class Between(NamedTuple):
    """The value lies between `least` and `most`, both included."""

    least: int
    most: int


class DurationBetween(NamedTuple):
    """A length of time, written "10m" in the policy, between `least` and `most` nanoseconds, both included."""

    least: Span
    most: Span


class ByteSize(NamedTuple):
    """A size, written "64KiB" in the policy, between `least` and `most` bytes, both included."""

    least: int
    most: int


class Amount(NamedTuple):
    """Money in the rate deck's currency, kept in millionths, up to `most` of them; 0 is written "none" and means none.

    Written 50, 0.35 or "0.35", with at most six decimals.
    """

    most: int


class Graded(NamedTuple):
    """`Levels` whose values are as `unit` says; `windowed` ones are counted within a window that may be set, too."""

    unit: Between | DurationBetween | Amount
    windowed: bool = False


class Levels(NamedTuple):
    """A limit: more than `warn` is told, more than `critical` is refused; 0: no such level.

    `window` is the length of time within which is counted, 0 where the limit's name says it. A limit that is
    `inherited` is what the wider rule says.
    """

    warn: int = 0
    critical: int = 0
    window: Span = 0
    inherited: bool = False


class Switch(StrEnum):
    """A yes or no that may be left to the wider rule; written true, false, or "inherit"."""

    ON = "on"
    OFF = "off"
    INHERIT = "inherit"


class Count(NamedTuple):
    """A list holds between `least` and `most` items; no list holds the same item twice."""

    least: int
    most: int


class Matching(NamedTuple):
    """A text matches `pattern` as a whole (common to Python and ECMAScript); `wanted` says it in words."""

    pattern: str
    wanted: str


class Described(NamedTuple):
    """One line for the schema that editors show."""

    text: str


PortNumber: TypeAlias = Annotated[int, Between(1, 65535)]

CountryCode: TypeAlias = Annotated[str, Matching(r"[A-Z]{2}", 'a country as two capital letters, like "DE"')]
"""ISO 3166-1 alpha-2."""

SystemNumber: TypeAlias = Annotated[int, Between(1, (1 << 32) - 1)]
"""The number of an autonomous system (RFC 6793)."""

AccountName: TypeAlias = Annotated[str, Matching(r"[^\x00-\x20\x7f]{1,256}", 'an account like "1001" or "1001@realm"')]
"""A digest username, alone or with its realm."""
