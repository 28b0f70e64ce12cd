"""The counters of one subject (an account, a trunk, a number called) and what its limits say of them. Pure.

A book knows no call by itself but is told what each adds: `Facts`. What calls cost that still run is *committed*: paid
up to the end of an increment that has been let begin. Memory: of an account with the default limits and a call
or two 3.5 KB, at most 35 KB (five windows of 67 slots, three of 512 marks).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from sipguard.call import Rate
from sipguard.constraint import Levels
from sipguard.decide.callrules import Carrier
from sipguard.decide.limitset import INHERIT, Kinds, LimitRule, Scope
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Instant, Span
from sipguard.window import Crowd, Sums


class Kind(StrEnum):
    """What is limited; the names of the settings."""

    CALLS = "calls"
    TOTAL = "total"
    CONCURRENT = "concurrent"
    EXPENSIVE_CONCURRENT = "expensive_concurrent"
    SAME_NUMBER = "same_number"
    SAME_PREFIX = "same_prefix"
    EXPENSIVE_NUMBERS = "expensive_numbers"
    MINUTES = "minutes"
    DURATION = "duration"
    SPEND_CALL = "spend_call"
    SPEND_HOUR = "spend_hour"
    SPEND_DAY = "spend_day"


_WINDOWS: dict[Kind, Span] = {
    Kind.CALLS: MINUTE,
    Kind.TOTAL: DAY,
    Kind.SAME_NUMBER: HOUR,
    Kind.SAME_PREFIX: HOUR,
    Kind.EXPENSIVE_NUMBERS: HOUR,
    Kind.MINUTES: DAY,
    Kind.SPEND_HOUR: HOUR,
    Kind.SPEND_DAY: DAY,
}
_COUNTED = frozenset({Kind.CALLS, Kind.TOTAL})
_SPENT = frozenset({Kind.SPEND_HOUR, Kind.SPEND_DAY})
_FLOWING = frozenset({Kind.MINUTES, Kind.SPEND_HOUR, Kind.SPEND_DAY})
_MARKED = frozenset({Kind.SAME_NUMBER, Kind.SAME_PREFIX, Kind.EXPENSIVE_NUMBERS})
_MARKS = 512


class Grade(IntEnum):
    """How far a counter has gone."""

    FINE = 0
    WARN = 1
    CRITICAL = 2


class Check:
    """One limit as it is applied; `path` is its key path in the policy, 0 in `warn` or `critical` means none."""

    __slots__ = ("critical", "kind", "path", "warn", "window")

    def __init__(self, kind: Kind, path: str, levels: Levels) -> None:
        self.kind = kind
        self.path = path
        self.window = levels.window or _WINDOWS.get(kind, 0)
        self.warn = levels.warn
        self.critical = levels.critical

    def grade(self, value: int) -> Grade:
        """Tell how far a value has gone: more than `critical`, more than `warn`, or neither."""
        if self.critical and value > self.critical:
            return Grade.CRITICAL
        return Grade.WARN if self.warn and value > self.warn else Grade.FINE

    def threshold(self, grade: Grade) -> int:
        """Give the value that a grade begins above."""
        return self.critical if grade is Grade.CRITICAL else self.warn


def checks_of(said: Kinds | LimitRule, path: str, wider: tuple[Check, ...] = ()) -> tuple[Check, ...]:
    """Make the checks that a table of limits says, those of the wider table where it says nothing of a kind."""
    found: list[Check] = []
    for kind in Kind:
        levels: Levels = getattr(said, kind)
        if levels == INHERIT:
            found += [check for check in wider if check.kind is kind]
        elif levels.warn or levels.critical:
            found.append(Check(kind, f"{path}.{kind}", levels))
    return tuple(found)


def carrier_checks(carrier: Carrier, path: str) -> tuple[Check, ...]:
    """Make the checks that keep a trunk below what its carrier allows."""
    told = (
        (Kind.CONCURRENT, "channels", carrier.channels, 0),
        (Kind.CALLS, "calls_per_second", carrier.calls_per_second, SECOND),
        (Kind.SPEND_DAY, "daily_spend", carrier.daily_spend, 0),
    )
    return tuple(
        Check(kind, f"{path}.{name}", Levels(0, carrier.within(value), window))
        for kind, name, value, window in told
        if value
    )


class Facts:
    """What a call adds to every book it is written in: its price, and the marks of its number and prefix."""

    __slots__ = ("expensive", "first", "number", "prefix", "rate")

    def __init__(self, rate: Rate, number: int, prefix: int, first: int, *, expensive: bool) -> None:
        self.rate = rate
        self.number = number
        self.prefix = prefix
        self.first = first  # what it costs as soon as it is answered, in micros
        self.expensive = expensive


class Book:
    """The counters of one subject. `running` and `expensive` count confirmed running calls.

    `committed` is what running calls cost, in micros, `lasting` how long they are paid for, less what a reset forgave:
    `forgiven` has that by the key of the call. `doubted` and `doubting` are the same of what unconfirmed calls cost if
    they still run: no other call is refused for that, or ended.
    """

    __slots__ = (
        "_flowing",
        "_told",
        "checks",
        "committed",
        "doubted",
        "doubting",
        "expensive",
        "forgiven",
        "lasting",
        "marks",
        "name",
        "running",
        "scope",
        "sums",
    )

    def __init__(self, scope: Scope, name: str, checks: tuple[Check, ...]) -> None:
        self.scope = scope
        self.name = name
        self.checks = checks
        self.running = 0
        self.expensive = 0
        self.committed = 0
        self.lasting: Span = 0
        self.doubted = 0
        self.doubting: Span = 0
        self.forgiven: dict[str, tuple[int, Span]] = {}
        self.sums = [
            Sums(check.window) if check.window and check.kind not in _MARKED else None for check in self.checks
        ]
        self.marks = [Crowd() if check.kind in _MARKED else None for check in self.checks]
        self._told = bytearray(len(checks))
        flowing = (place for place, check in enumerate(checks) if check.kind in _FLOWING)
        self._flowing = tuple(flowing)  # what goes on growing while calls run

    def broken_by(self, now: Instant, facts: Facts) -> tuple[Check, int] | None:
        """Give the limit that one more call like this would break, and what the value would be; None: it fits."""
        for place, check in enumerate(self.checks):
            if check.critical:
                value = self._value(place, now, facts, 1)
                if value > check.critical:
                    return check, value
        return None

    def outspent_by(self, now: Instant, micros: int, span: Span) -> tuple[Check, int] | None:
        """Give the limit that so much more of running calls would break, and what the value would be."""
        for place in self._flowing:
            check, sums = self.checks[place], self.sums[place]
            if not check.critical or sums is None:
                continue
            if check.kind is Kind.MINUTES:
                value = _minutes(sums.sum(now) + self.lasting + span)
            else:
                value = sums.sum(now) + self.committed + micros
            if value > check.critical:
                return check, value
        return None

    def count(self, at: Instant, facts: Facts) -> None:
        """Count a call that begins."""
        for place, check in enumerate(self.checks):
            sums, marks = self.sums[place], self.marks[place]
            if sums is not None and check.kind in _COUNTED:
                sums.add(at, 1)
            elif marks is not None:
                if check.kind is Kind.EXPENSIVE_NUMBERS:
                    if facts.expensive:
                        marks.mark(max(0, at), facts.number, _MARKS, 1)
                else:
                    mark = facts.number if check.kind is Kind.SAME_NUMBER else facts.prefix
                    marks.mark(max(0, at), mark, _MARKS, max(check.warn, check.critical) + 1)

    def settle(self, at: Instant, micros: int, span: Span) -> None:
        """Write down what a call that is over has cost, and how long it was."""
        for place, check in enumerate(self.checks):
            sums = self.sums[place]
            if sums is not None:
                if check.kind in _SPENT:
                    sums.add(at, micros)
                elif check.kind is Kind.MINUTES:
                    sums.add(at, span)

    def clear(self) -> None:
        """Forget all that is over; what runs stays."""
        for sums in self.sums:
            if sums is not None:
                sums.clear()
        for marks in self.marks:
            if marks is not None:
                marks.clear()
        self._told = bytearray(len(self.checks))

    def crossed(self, now: Instant, facts: Facts, *, flowing: bool = False) -> list[tuple[Check, int, Grade]]:
        """Give the limits that have been crossed upwards since last asked; each is told again once it was kept to.

        `flowing`: only those of minutes and money, which grow without any news of a call.
        """
        found = []
        for place in self._flowing if flowing else range(len(self.checks)):
            check = self.checks[place]
            if check.kind is Kind.DURATION or check.kind is Kind.SPEND_CALL:
                continue
            value = self._value(place, now, facts, 0)
            grade = check.grade(value)
            if grade > self._told[place]:
                found.append((check, value, grade))
            self._told[place] = grade
        return found

    def values(self, now: Instant, facts: Facts) -> list[tuple[Check, int]]:
        """Give every counter with its limit, those of single calls left out."""
        return [
            (check, self._value(place, now, facts, 0))
            for place, check in enumerate(self.checks)
            if check.kind is not Kind.DURATION and check.kind is not Kind.SPEND_CALL
        ]

    def _value(self, place: int, now: Instant, facts: Facts, more: int) -> int:
        """Give a counter, with one more call like this if `more` is 1. Counters that it does not add to are 0 then."""
        check = self.checks[place]
        kind = check.kind
        sums = self.sums[place]
        if sums is not None:
            if kind in _COUNTED:
                return sums.sum(now) + more
            if kind is Kind.MINUTES:
                return _minutes(sums.sum(now) + self.lasting + more * facts.rate.first * SECOND)
            return sums.sum(now) + self.committed + more * facts.first if facts.first or not more else 0
        marks = self.marks[place]
        if marks is not None:
            return _marked(marks, check, now, facts, more)
        if kind is Kind.CONCURRENT:
            return self.running + more
        if kind is Kind.EXPENSIVE_CONCURRENT:
            return self.expensive + more if facts.expensive or not more else 0
        return facts.first * more if kind is Kind.SPEND_CALL else 0


def _marked(marks: Crowd, check: Check, now: Instant, facts: Facts, more: int) -> int:
    recent = marks.since(now - check.window)
    if check.kind is not Kind.EXPENSIVE_NUMBERS:
        return recent.count(facts.number if check.kind is Kind.SAME_NUMBER else facts.prefix) + more
    if not more:
        return len(set(recent))
    return len({*recent, facts.number}) if facts.expensive else 0


def _minutes(span: Span) -> int:
    return -(-span // MINUTE)
