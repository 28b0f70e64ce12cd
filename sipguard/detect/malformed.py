"""Messages wrong on purpose: a stranger sends what no stack sends, to be overlooked or to see what breaks.

What it sees
    Faults in what strangers send, each with its points (`POINTS`), at most ten a message; from `points` on within
    `window` a source is found. Many: SQL in a header, a TCP stream whose bytes were changed after they were sent (both
    enough by themselves). Some: headers that contradict each other, CSeq naming another method, NUL, blanks before the
    method, its odd case, a wrong Content-Length. Few: what cannot be read as a request although it claims to be SIP,
    a version that is none, lines that are no headers. Faults that honest devices show (`sip/fault.py`), keep-alives and
    what is not SIP at all count for nothing.

Why it matters
    Such messages are read by the PBX and overlooked by its guards; or they are meant to crash it, or the database
    behind it.

Known false alarms
    A phone behind a router that rewrites SIP and gets the length wrong. It is not known to us before it is registered,
    and then left alone; until then it is slowed down to `enforcement.throttle_rate`, which it does not notice.

Ways around it
    Fewer faults than `points` in a window, or another address for each few. Faults that only one PBX minds. Where a
    device is registered nobody is looked at.

Options
    enabled, points, window, sources, then

References
    RFC 3261 sections 7, 8.1.1 and 18.3; RFC 4475; RFC 9293 section 3.10.7.4 (overlapping segments).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Asked, Event, Rewritten, Standing, Unread
from sipguard.model import DAY, MINUTE, SECOND, Consequence, Finding, Instant, Span, Transport
from sipguard.sip.fault import Fault
from sipguard.sip.message import SipRequest
from sipguard.sip.uri import unescape
from sipguard.table import Table, neighbourhood

NAME = "malformed"
_NOTHING: tuple[Finding, ...] = ()
_MOST_POINTS = 10
"""Of one message, but for what is enough by itself: one broken message is an accident."""
_ENOUGH = 20

_INJECTION = "injection"
_REWRITTEN = "stream rewritten"
_CONTRADICTION = "contradiction"
_REPETITION = "repetition"
_NOBODY = "nobody before the host"

POINTS: Mapping[str, int] = {
    _INJECTION: _ENOUGH,
    _REWRITTEN: _ENOUGH,
    _CONTRADICTION: 6,
    _NOBODY: 6,
    Fault.CSEQ_METHOD_MISMATCH: 4,
    Fault.LEADING_JUNK: 4,
    Fault.NUL_BYTE: 4,
    Fault.ODD_METHOD_CASE: 4,
    Fault.BAD_START_LINE: 3,
    Fault.BAD_VERSION: 3,
    Fault.CONTENT_LENGTH_INVALID: 3,
    Fault.CONTENT_LENGTH_MISMATCH: 3,
    Fault.OVERLONG_HEAD: 3,
    Fault.TOO_MANY_HEADERS: 3,
    _REPETITION: 2,
    Fault.BAD_HEADER_LINE: 2,
    Fault.BAD_HEADER_NAME: 2,
    Fault.MISSING_CALL_ID: 2,
    Fault.MISSING_CSEQ: 2,
    Fault.MISSING_FROM: 2,
    Fault.MISSING_TO: 2,
    Fault.MISSING_VIA: 2,
    Fault.NO_BLANK_LINE: 1,
    Fault.START_LINE_SPACING: 1,
}
"""What each fault counts. What the parser notes and is not here counts nothing."""

_ONCE = frozenset({"from", "to", "call-id", "cseq", "content-length", "max-forwards"})
_ESSENTIAL = (
    ("via", Fault.MISSING_VIA),
    ("from", Fault.MISSING_FROM),
    ("to", Fault.MISSING_TO),
    ("call-id", Fault.MISSING_CALL_ID),
    ("cseq", Fault.MISSING_CSEQ),
)

_LENGTH = frozenset({"content-length"})
_NEEDED = frozenset(name for name, _ in _ESSENTIAL)

# ' OR 1=1, 'or''=', ' AND 'x'='x; '--; UNION SELECT; '; DROP; look-ups of log4j. Not: O'Brien, Cote d'Or.
_SQL = re.compile(
    rb"'\s*+(?:or|and)\s*+\(?+['0-9][^\r\n<>;\"]{0,20}=|'\s*+--\s*+[\r\n\"<>@;]|'\s*+\)?+\s*+;\s*+(?:drop|insert|update"
    rb"|delete|select|exec)\s|\bunion\s++(?:all\s++)?select\s|\$\{jndi:",
    re.IGNORECASE,
)

_Mark: TypeAlias = tuple[Instant, str, int, bool]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.malformed]`."""

    enabled: Annotated[bool, Described("Whether messages that are wrong on purpose are looked for")] = True
    points: Annotated[
        int, Between(5, 1000), Described("Points of one source within the window that make a finding")
    ] = _ENOUGH
    window: Annotated[Span, DurationBetween(10 * SECOND, 7 * DAY), Described("How long points count")] = 10 * MINUTE
    sources: Annotated[int, Between(1000, 1_000_000), Described("The most sources remembered at once")] = 20_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.THROTTLE


class Detector:
    """Adds up points by source."""

    __slots__ = ("_config", "_sources", "handlers")

    strangers: ClassVar = frozenset({Asked, Unread})

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sources: Table[bytes, list[_Mark]] = Table(config.sources, config.sources // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Unread: self._unread,
            Rewritten: self._rewritten,
        }

    def _asked(self, event: Asked) -> Sequence[Finding]:
        if event.standing is not Standing.STRANGER:
            return _NOTHING
        request = event.request
        if event.repeated and request.call_id:  # what has no key is no copy, however often it comes
            return _NOTHING
        faults = _faults(request)
        return self._add(event.at, event.source, faults, shown=event.shown) if faults else _NOTHING

    def _unread(self, event: Unread) -> Sequence[Finding]:
        if event.standing is not Standing.STRANGER or Fault.BAD_START_LINE not in event.faults:
            return _NOTHING
        shown = event.proven and event.transport is Transport.TCP
        return self._add(event.at, event.source, [each for each in event.faults if each in POINTS], shown=shown)

    def _rewritten(self, event: Rewritten) -> Sequence[Finding]:
        if event.standing is not Standing.STRANGER:
            return _NOTHING
        return self._add(event.at, event.source, [_REWRITTEN], shown=event.proven)

    def _add(self, at: Instant, source: Address, faults: Sequence[str], *, shown: bool) -> Sequence[Finding]:
        key = sender_key(source)
        marks = self._sources.get(key)
        if marks is None:
            marks = []
            self._sources.put(key, marks, source)
        edge = at - self._config.window
        marks[:] = [mark for mark in marks if mark[0] > edge]
        left = _ENOUGH if _INJECTION in faults or _REWRITTEN in faults else _MOST_POINTS
        for fault in faults:
            points = min(POINTS[fault], left)
            left -= points
            if points:
                marks.append((at, fault, points, shown))
        if sum([mark[2] for mark in marks]) < self._config.points:
            self._sources.touch(key)
            return _NOTHING
        found = _finding(at, source, marks)
        self._sources.pop(key)
        return (found,)

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the option that counts, the points that a source has by now, and how many make a finding."""
        edge = at - self._config.window
        marks = self._sources.get(sender_key(source)) or ()
        return (("points", sum([mark[2] for mark in marks if mark[0] > edge]), self._config.points),)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"malformed_sources": len(self._sources), "malformed_sources_evicted": self._sources.evicted}


def _faults(request: SipRequest) -> list[str]:
    """Name what is wrong with a request, as far as it has points: cheaper by far than all its faults."""
    noted, repeats = request.noted, request.repeats()
    found: list[str] = [fault for fault in noted if fault in POINTS] if noted else []
    if request.cseq_method != request.method and request.header("cseq"):
        found.append(Fault.CSEQ_METHOD_MISMATCH)
    if repeats:
        found += _repeated(request, repeats)
    if not request.has(_NEEDED):
        found += [missing for name, missing in _ESSENTIAL if request.header(name) is None]
    if request.method == "INVITE" and request.uri[:6].lower() in _NOBODIES:
        found.append(_NOBODY)
    length = request.content_length
    if length is None:
        found += [Fault.CONTENT_LENGTH_INVALID] * request.has(_LENGTH)
    elif length > request.body_present:
        found.append(Fault.CONTENT_LENGTH_MISMATCH)
    if 0 in request.raw and 0 in request.head.lstrip(b"\0"):  # before the method it is leading junk
        found.append(Fault.NUL_BYTE)
    if _is_injected(request):
        found.append(_INJECTION)
    return found


def _is_injected(request: SipRequest) -> bool:
    """Tell whether SQL or the like stands in a head; looks twice only where there is a reason to."""
    raw = request.raw
    if 0x27 in raw or raw.find(b"%27") >= 0 or raw.find(b"${") >= 0 or request.uri.lower().find(b"nion") >= 0:
        return _SQL.search(unescape(request.head)) is not None
    return False


def _repeated(request: SipRequest, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name in _ONCE:
            values = request.headers(name)
            yield _REPETITION if all(value == values[0] for value in values) else _CONTRADICTION


_NOBODIES = frozenset({b"sip:@" + bytes([each]) for each in range(256)} | {b"sip:@", b"sips:@"})


def _finding(at: Instant, source: Address, marks: Sequence[_Mark]) -> Finding:
    kinds: dict[str, int] = {}
    for _, kind, points, _ in marks:
        kinds[kind] = kinds.get(kind, 0) + points
    worst = sorted(kinds, key=lambda kind: -kinds[kind])
    evidence: tuple[tuple[str, str | int], ...] = (
        ("points", sum([mark[2] for mark in marks])),
        ("faults", ", ".join(str(kind) for kind in worst[:8])),
        ("messages", len({mark[0] for mark in marks})),
        ("within_seconds", (at - marks[0][0]) // SECOND),
    )
    severity = 8 if _INJECTION in kinds or _REWRITTEN in kinds else 6
    proven = all(mark[3] for mark in marks)
    return Finding(at, NAME, subject_of(source), "faults", severity, proven, evidence)
