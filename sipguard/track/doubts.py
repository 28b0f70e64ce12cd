"""Which calls are in doubt, and what the kernel's knowledge of their media makes of them. Pure.

Asked about is the connection between the two ends that the PBX and the carrier had named for their media, no other: so
nobody who sends from elsewhere brings a call to life. A later end of such a connection than was told before means that
a packet went over it, as each puts the end off. That nothing is known of it means nothing: media may go another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sipguard.call import Direction, Doubt
from sipguard.event import Event
from sipguard.model import SECOND, Instant, Span
from sipguard.track.callbook import Book
from sipguard.track.course import UNKNOWN_QUIET, Course
from sipguard.track.leg import Leg, LegState, Running

_SURE: Span = 2 * SECOND
"""The kernel tells whole seconds: without a packet an end seems to move by up to one."""
_ANSWERED, _OUTBOUND = LegState.ANSWERED, Direction.OUTBOUND


class Doubts:
    """Gives the calls in doubt in turn, as many as are asked for."""

    __slots__ = ("_book", "_course", "_turn")

    def __init__(self, book: Book, course: Course) -> None:
        self._book = book
        self._course = course
        self._turn = 0

    def some(self, most: int) -> Sequence[Doubt]:
        """Give up to `most` of them, the next ones where there are more. Looks at every running call."""
        found = [running for running in self._book.live() if _is_doubtful(running)]
        start = self._turn if 0 < most < len(found) else 0
        self._turn = (start + most) % max(1, len(found))
        return [_doubt(running) for running in (found[start:] + found[:start])[:most]]

    def told(self, at: Instant, expires: Mapping[str, Instant]) -> list[Event]:
        """Learn until when the kernel remembers the media of calls, by their keys."""
        told: list[Event] = []
        for key, until in expires.items():
            running = self._book.of(key)
            if running is None or not _is_doubtful(running):
                continue
            before, running.remembered = running.remembered, until
            if before and until > before + _SURE:
                leg = _leg(running)
                if leg is not None:
                    leg.heard = at
                    self._course.expect(leg, at + UNKNOWN_QUIET)
                    running.remembered = 0
                    told += self._book.confirm(at, running)
        return told


def _leg(running: Running) -> Leg | None:
    """Give the leg to the carrier whose media are known, if the PBX has not given it up."""
    for leg in reversed(running.legs):
        if leg.state is _ANSWERED and not leg.bye_at and leg.far_media[1] and leg.pbx_media[1]:
            return leg
    return None


def _is_doubtful(running: Running) -> bool:
    call = running.call
    return not call.confirmed and call.answered != 0 and call.direction is _OUTBOUND and _leg(running) is not None


def _doubt(running: Running) -> Doubt:
    """Give the ends; a PBX behind a NAT names another address than it has, and the same port."""
    leg = _leg(running)
    if leg is None:
        return Doubt(running.call.key, (), (b"", 0))
    near = leg.pbx_media, (leg.pbx, leg.pbx_media[1])
    return Doubt(running.call.key, near[:1] if near[0] == near[1] else near, leg.far_media)
