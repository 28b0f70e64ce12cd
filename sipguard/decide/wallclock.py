"""The operator's clock: hours and weekdays in his own time zone. Pure; the zone is a table that the shell hands in.

The wall clock decides only which rules hold at a moment. No counter looks at it, so that turning it back gives nobody
a second allowance.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple

from sipguard.constraint import Matching
from sipguard.model import SECOND

ALWAYS = "always"
LOCAL = "local"

HoursText = Annotated[
    str,
    Matching(
        r"(always|([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00))",
        '"always" or hours like "08:00-18:00"',
    ),
]
ZoneName = Annotated[str, Matching(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}", 'a zone like "Europe/Berlin"')]

_DAY_SECONDS = 86_400
_THURSDAY = 3  # 1 January 1970 was one


class Weekday(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_NUMBER = {day: number for number, day in enumerate(Weekday)}


class Moment(NamedTuple):
    """A time of the week on the operator's clock: `day` 0 is Monday, `minute` 0 to 1439."""

    day: int
    minute: int


class Zone:
    """A time zone as a table of seconds since 1970 from which on an offset east of UTC, in seconds, holds."""

    __slots__ = ("_offsets", "_starts")

    def __init__(self, table: Sequence[tuple[int, int]] = ()) -> None:
        self._starts = [start for start, _ in table]
        self._offsets = [offset for _, offset in table]

    def moment(self, wall: int) -> Moment:
        """Read the clock; `wall` is nanoseconds since 1970. Before the table begins its first offset holds."""
        seconds = wall // SECOND
        if self._offsets:
            seconds += self._offsets[max(0, bisect_right(self._starts, seconds) - 1)]
        days, rest = divmod(seconds, _DAY_SECONDS)
        return Moment((days + _THURSDAY) % 7, rest // 60)


UTC = Zone()


class Hours:
    """When a rule holds; hours past midnight belong to the day on which they began."""

    __slots__ = ("_begin", "_days", "_end")

    def __init__(self, hours: str, weekdays: Sequence[Weekday]) -> None:
        self._days = frozenset(_NUMBER[day] for day in weekdays or tuple(Weekday))
        begin, _, end = ("00:00-24:00" if hours == ALWAYS else hours).partition("-")
        self._begin, self._end = _minutes(begin), _minutes(end)

    def hold(self, moment: Moment) -> bool:
        """Tell whether a moment is within."""
        if self._begin < self._end:
            return moment.day in self._days and self._begin <= moment.minute < self._end
        if moment.minute >= self._begin:
            return moment.day in self._days
        return moment.minute < self._end and (moment.day - 1) % 7 in self._days


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)
