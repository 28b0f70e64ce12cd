"""Settings of `[limits]`: how much calling is too much.

For an account, a group, a trunk, a site, a class of numbers, a country and a number called, each by itself.
A default that stands here is one that an ordinary office does not reach, and that keeps a weekend of calls to Somalia
at the price of a dinner a day. `conf/policy.toml` says why it is what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from sipguard.call import MICROS
from sipguard.constraint import (
    AccountName,
    Amount,
    Between,
    Count,
    CountryCode,
    Described,
    DurationBetween,
    Graded,
    Levels,
    Matching,
)
from sipguard.decide.callrules import CLASSES, MOST_MONEY
from sipguard.decide.parties import Label
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Span

INHERIT = Levels(inherited=True)
MOST_MARKS = 500  # the most calls to one number, or dear numbers, that are told apart within a window

_Number = Between(1, 1_000_000)
_Calls = Annotated[
    Levels, Graded(_Number, windowed=True), Described("Calls begun within the window, a minute if none.")
]
_Total = Annotated[Levels, Graded(_Number, windowed=True), Described("Calls begun within a longer window, a day.")]
_Concurrent = Annotated[Levels, Graded(_Number), Described("Calls at the same time, ringing ones too.")]
_Dear = Annotated[Levels, Graded(_Number), Described("The same, of calls that cost at least `expensive` a minute.")]
_Same = Annotated[
    Levels,
    Graded(Between(1, MOST_MARKS), windowed=True),
    Described("Calls to one and the same number, within an hour."),
]
_Near = Annotated[
    Levels,
    Graded(Between(1, MOST_MARKS), windowed=True),
    Described("Calls to numbers that begin with the same `prefix_digits` digits, within an hour."),
]
_Numbers = Annotated[
    Levels,
    Graded(Between(1, MOST_MARKS), windowed=True),
    Described("Different numbers called that cost at least `expensive` a minute, within an hour."),
]
_Minutes = Annotated[
    Levels,
    Graded(_Number, windowed=True),
    Described("Minutes of answered calls within the window, a day; running ones count, and end there."),
]
_Duration = Annotated[
    Levels,
    Graded(DurationBetween(10 * SECOND, 30 * DAY)),
    Described("How long one answered call lasts; it ends there."),
]
_Spend = Annotated[Levels, Graded(Amount(MOST_MONEY)), Described("What one call costs; it ends before it costs more.")]
_Hourly = Annotated[
    Levels,
    Graded(Amount(MOST_MONEY)),
    Described("What all calls of an hour cost, running ones with their next increment; they end before it is more."),
]
_Daily = Annotated[Levels, Graded(Amount(MOST_MONEY)), Described("The same within a day, which has no midnight.")]


@dataclass(frozen=True, slots=True)
class Kinds:
    """The limits of one scope. In each `warn` is told of, `critical` is refused, or ends a call that runs."""

    calls: _Calls = Levels()
    total: _Total = Levels()
    concurrent: _Concurrent = Levels()
    expensive_concurrent: _Dear = Levels()
    same_number: _Same = Levels()
    same_prefix: _Near = Levels()
    expensive_numbers: _Numbers = Levels()
    minutes: _Minutes = Levels()
    duration: _Duration = Levels()
    spend_call: _Spend = Levels()
    spend_hour: _Hourly = Levels()
    spend_day: _Daily = Levels()


@dataclass(frozen=True, slots=True)
class OfAccount(Kinds):
    """What one account may do: who has stolen its password gets no further than this."""

    calls: _Calls = Levels(15, 40, MINUTE)
    total: _Total = Levels(500, 2000, DAY)
    concurrent: _Concurrent = Levels(10, 30)
    expensive_concurrent: _Dear = Levels(2, 4)
    same_number: _Same = Levels(30, 100, HOUR)
    same_prefix: _Near = Levels(100, 300, HOUR)
    expensive_numbers: _Numbers = Levels(4, 10, HOUR)
    minutes: _Minutes = Levels(900, 3000, DAY)
    duration: _Duration = Levels(4 * HOUR, 12 * HOUR)
    spend_call: _Spend = Levels(10 * MICROS, 40 * MICROS)
    spend_hour: _Hourly = Levels(15 * MICROS, 40 * MICROS)
    spend_day: _Daily = Levels(30 * MICROS, 100 * MICROS)


@dataclass(frozen=True, slots=True)
class OfTrunk(Kinds):
    """What all calls over one trunk may come to, those that no account is known for among them."""

    expensive_concurrent: _Dear = Levels(4, 10)
    expensive_numbers: _Numbers = Levels(10, 30, HOUR)
    duration: _Duration = Levels(4 * HOUR, 12 * HOUR)
    spend_call: _Spend = Levels(10 * MICROS, 40 * MICROS)
    spend_hour: _Hourly = Levels(50 * MICROS, 200 * MICROS)
    spend_day: _Daily = Levels(150 * MICROS, 500 * MICROS)


@dataclass(frozen=True, slots=True)
class OfNumber(Kinds):
    """What calls to one number, whoever makes them, may come to."""

    expensive_concurrent: _Dear = Levels(1, 3)


ClassName = Annotated[str, Matching(rf"({CLASSES})", f"one of {CLASSES.replace('|', ', ')}")]
NumberCalled = Annotated[str, Matching(r"\+?[0-9*#]{1,20}", "digits, with a plus before them or not")]


@dataclass(frozen=True, slots=True)
class LimitRule:
    """Other limits for those who are named; what is not said is as for all of their kind. One `[[limits.rule]]`."""

    accounts: Annotated[tuple[AccountName, ...], Count(0, 10_000), Described("For each of these accounts.")] = ()
    groups: Annotated[tuple[Label, ...], Count(0, 1000), Described("For each of these groups as a whole.")] = ()
    trunks: Annotated[tuple[Label, ...], Count(0, 1000), Described("For each of these trunks.")] = ()
    sites: Annotated[tuple[Label, ...], Count(0, 1000), Described("For each of these sites.")] = ()
    classes: Annotated[tuple[ClassName, ...], Count(0, 20), Described("For calls to each of these classes.")] = ()
    countries: Annotated[
        tuple[CountryCode, ...], Count(0, 300), Described("For calls to each of these countries.")
    ] = ()
    numbers: Annotated[tuple[NumberCalled, ...], Count(0, 1000), Described("For calls to each of these numbers.")] = ()
    calls: _Calls = INHERIT
    total: _Total = INHERIT
    concurrent: _Concurrent = INHERIT
    expensive_concurrent: _Dear = INHERIT
    same_number: _Same = INHERIT
    same_prefix: _Near = INHERIT
    expensive_numbers: _Numbers = INHERIT
    minutes: _Minutes = INHERIT
    duration: _Duration = INHERIT
    spend_call: _Spend = INHERIT
    spend_hour: _Hourly = INHERIT
    spend_day: _Daily = INHERIT


@dataclass(frozen=True, slots=True)
class Config:
    """How much calling is too much. Emergency calls are neither counted nor refused."""

    expensive: Annotated[
        int, Amount(MOST_MONEY), Described("What a minute costs at least of a call that counts as expensive.")
    ] = 400_000
    assumed_abroad: Annotated[
        int, Amount(MOST_MONEY), Described("What a minute abroad is taken to cost where the rates have no price.")
    ] = 250_000
    assumed_special: Annotated[
        int, Amount(MOST_MONEY), Described("The same for premium, personal, satellite and global numbers.")
    ] = 2_000_000
    prefix_digits: Annotated[int, Between(3, 15), Described("Digits that make the same prefix of two numbers.")] = 7
    misdials: Annotated[
        int, Between(0, 200), Described("Different numbers an account is refused before it is put under quarantine.")
    ] = 4
    misdials_window: Annotated[Span, DurationBetween(MINUTE, DAY), Described("Within this time.")] = HOUR
    running: Annotated[
        int, Between(100, 1_000_000), Described("The most running calls that are followed; the eldest goes first.")
    ] = 20_000
    subjects: Annotated[
        int, Between(100, 1_000_000), Described("The most accounts, and the most numbers, counted at one time.")
    ] = 20_000
    account: OfAccount = field(default_factory=OfAccount)
    group: Annotated[Kinds, Described("What all accounts of one group may do together.")] = field(default_factory=Kinds)
    trunk: OfTrunk = field(default_factory=OfTrunk)
    site: Annotated[Kinds, Described("What all phones of one site may do together.")] = field(default_factory=Kinds)
    class_: Annotated[Kinds, Described("What all calls to one class of numbers may come to.")] = field(
        default_factory=Kinds
    )
    country: Annotated[Kinds, Described("What all calls to one country may come to.")] = field(default_factory=Kinds)
    number: OfNumber = field(default_factory=OfNumber)
    rule: Annotated[tuple[LimitRule, ...], Count(0, 1000)] = ()


class Scope(StrEnum):
    """Whose counters."""

    ACCOUNT = "account"
    GROUP = "group"
    TRUNK = "trunk"
    SITE = "site"
    CLASS = "class"
    COUNTRY = "country"
    NUMBER = "number"
