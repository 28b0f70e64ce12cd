"""Which time of day goes with what is on disk: a clock that is years off must not end every ban there is. Reads none.

    clock = Clock(*kept(text), boot)    # text: what `text` gave when it was kept last; None: there is none
    told = clock.look(wall, boot)       # again and again
    clock.offset                        # to be added to CLOCK_BOOTTIME for the time of day on disk

A dead RTC battery, a restored machine, a date typed wrong: the clock says 2038 or 1970, until somebody sets it, and all
ends on disk have passed, or none will for decades. So what was believed last is kept, and a clock that is before that,
or further ahead than a host is switched off, is not believed: time goes on from what was. Nothing is forgotten then,
and what is written meanwhile fits what is there. When the clock is put right it is believed again. One that says the
same for a day is right, however odd: nobody has set it meanwhile. `boot` is CLOCK_BOOTTIME, the same in all processes:
what is on disk goes by that and `offset`, and not by a wall clock that may be set between two looks.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sipguard.model import DAY, HOUR, SECOND, Instant, Span

BEHIND: Span = DAY
"""A clock may be set back by so much: time zones, and a clock that is a little fast."""
AHEAD: Span = DAY
"""And forward, on a host that runs."""
OFF: Span = 400 * DAY
"""The longest that a host may have been switched off: what ends on disk meanwhile has ended."""
STEADY: Span = DAY
"""So long a clock must have gone evenly to be believed whatever it says."""
EARLIEST = 1_735_689_600 * SECOND
"""2025-01-01: no release is older. A host without a clock of its own begins before it, and knows nothing yet."""


class Clock:
    """Believes the clock, or not; `seen` is the time of day that is believed, as of the last look."""

    __slots__ = ("_boot", "_doubted", "_off", "seen")

    def __init__(self, seen: int | None, kept: Instant | None, boot: Instant) -> None:
        """Begin with what was kept: a time of day, and the `boot` that it went with, if that is known."""
        self.seen = seen
        since = kept if kept is not None and kept <= boot else None  # it only grows while a host runs
        self._boot = boot if since is None else since
        self._off = since is None  # else it was this guard alone that was away
        self._doubted: tuple[Instant, Span] | None = None  # since when, and how far the clock is from `boot`

    @property
    def doubted(self) -> bool:
        """Tell whether the clock is not believed."""
        return self._doubted is not None

    @property
    def offset(self) -> Span:
        """The believed time of day minus CLOCK_BOOTTIME; 0 before the first look."""
        return 0 if self.seen is None else self.seen - self._boot

    def text(self) -> str:
        """Give what is to be kept."""
        return f"{self.seen} {self._boot}"

    def look(self, wall: int, boot: Instant) -> str:
        """Look at the clock (`wall`: ns since 1970); gives what the operator is to be told, mostly nothing."""
        before = self.doubted
        expected = wall if self.seen is None or self.seen < EARLIEST else self.seen + boot - self._boot
        most = OFF if self._off else AHEAD
        if -BEHIND <= wall - expected <= most:
            self._doubted = None
        else:
            self._doubt(wall - boot, boot)
        believed = expected if self._doubted is not None else wall
        self._off = self._off and self.doubted  # when it is set right, the host may still have been off
        self.seen, self._boot = believed, boot
        if self.doubted == before:
            return ""
        if before:
            return f"the clock says {_day(wall)}, which is believed; what ended on disk before that is over"
        return (
            f"the clock says {_day(wall)}, but it was {_day(believed)} when the guard ran last: bans, trust and calls"
            " on disk are kept as of then, and none is forgotten; set the clock (timedatectl), and nothing else is to"
            " be done. If it is right, it is believed when the guard has run for a day"
        )

    def _doubt(self, offset: Span, boot: Instant) -> None:
        since, of = self._doubted or (boot, offset)
        if abs(offset - of) > HOUR:
            since, of = boot, offset
        self._doubted = None if boot - since >= STEADY else (since, of)


def kept(text: str | None) -> tuple[int | None, Instant | None]:
    """Read what was kept, by this release or one before; (None, None) where that is nothing."""
    words = (text or "").split(" ")
    numbers = [int(word) if word.isascii() and word.isdecimal() else None for word in words[:2]]
    return numbers[0], (numbers[1] if len(numbers) > 1 else None)


def _day(wall: int) -> str:
    return f"{datetime.fromtimestamp(wall // SECOND, UTC):%Y-%m-%d %H:%M}"
