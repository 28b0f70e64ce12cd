"""Markers that say which values a setting may have. Plain data: `policy/` turns them into checks and into the schema.

Stages write `failures: Annotated[int, Between(1, 1000)] = 5` and stay free of any validation library.
"""

from __future__ import annotations

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
