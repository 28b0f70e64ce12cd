"""Telephony denial of service: so many calls to one number, or over one trunk, that nobody else gets through.

What it sees
    Calls that come from outside (from trunks and other allowed addresses, and from strangers, not from registered
    devices) within a window: per called number, and per address they come from. A call is counted once, however often
    it is repeated or asked again with a credential (by its Call-ID). The subject of a finding about a number is that
    number, written as an account without a realm; nobody is to blame for being called.

Why it matters
    A surgery, a switchboard or an emergency line that is called two hundred times a minute cannot be reached; extortion
    by such calls is an old trade. The callers' numbers are forged and all differ, so only the called number tells.

Known false alarms
    A call centre, a radio show, an alarm that everybody reports at once. Set `number_calls` above your busiest minute.

Ways around it
    Few calls that last long, which fill lines rather than this counter; many numbers of one site, each called less than
    `number_calls` times, below `trunk_calls` in all; writing one number in many ways, where the PBX takes them all.

Options
    enabled, number_calls, trunk_calls, window, numbers, then

References
    RFC 6357 (overload), RFC 7375 section 3.2 (denial of service by calls).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Asked, Event, Standing
from sipguard.model import HOUR, MINUTE, SECOND, Account, Consequence, Finding, Instant, Span, Subject
from sipguard.sip.uri import user_of
from sipguard.table import Table

NAME = "tdos"
_NOTHING: tuple[Finding, ...] = ()
_TRUSTED = Standing.TRUSTED
_EXEMPT = Standing.EXEMPT
_LONGEST = 64
_COUNTED = frozenset({"INVITE", "CANCEL"})
_SOON: Span = 10 * SECOND


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.tdos]`."""

    enabled: Annotated[bool, Described("Whether floods of calls are looked for")] = True
    number_calls: Annotated[
        int, Between(2, 10_000), Described("Calls to one number within the window that make a finding")
    ] = 60
    trunk_calls: Annotated[
        int, Between(2, 10_000), Described("Calls from one address within the window that make a finding")
    ] = 300
    window: Annotated[Span, DurationBetween(SECOND, HOUR), Described("How long a call counts")] = MINUTE
    numbers: Annotated[
        int, Between(100, 1_000_000), Described("The most called numbers, and the most addresses, remembered at once")
    ] = 5000
    then: Annotated[
        Consequence, Described('What becomes of a number or a trunk that is found; only "report" makes sense')
    ] = Consequence.REPORT


class _Calls:
    """The calls of the window by Call-ID, each with its instant, its caller, and whether it was given up soon."""

    __slots__ = ("calls", "given_up")

    def __init__(self) -> None:
        self.calls: dict[int, tuple[Instant, int]] = {}  # never more than make a finding
        self.given_up = 0

    def add(self, at: Instant, edge: Instant, call: int, caller: int) -> int:
        """Add a call unless it is known; gives how many there are."""
        calls = self.calls
        while calls and next(iter(calls.values()))[0] <= edge:
            del calls[next(iter(calls))]
        if not calls:
            self.given_up = 0
        calls.setdefault(call, (at, caller))
        return len(calls)


class Detector:
    """Counts calls per called number and per sender."""

    __slots__ = ("_config", "_numbers", "_trunks", "handlers")

    methods: ClassVar = _COUNTED

    def __init__(self, config: Config) -> None:
        self._config = config
        self._numbers: Table[bytes, _Calls] = Table(config.numbers, config.numbers // 4)
        self._trunks: Table[bytes, _Calls] = Table(config.numbers, config.numbers // 4)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {Asked: self._asked}

    def _asked(self, event: Asked) -> Sequence[Finding]:
        method = event.request.method
        if method not in _COUNTED or event.standing is _TRUSTED or event.repeated:
            return _NOTHING
        request = event.request
        number = called(request.uri)
        if method == "CANCEL":
            self._cancelled(event, number)
            return _NOTHING
        call, caller = (
            zlib.crc32(request.call_id),
            zlib.crc32((request.header("from") or b"").partition(b";")[0]),
        )  # without the tag
        found = list(self._count(event, self._numbers, number, call, caller))
        found += self._count(event, self._trunks, sender_key(event.source), call, caller)
        return found

    def _count(
        self, event: Asked, table: Table[bytes, _Calls], key: bytes, call: int, caller: int
    ) -> Sequence[Finding]:
        held = table.get(key)
        if held is None:
            held = _Calls()
            table.put(key, held, event.source)
            if event.standing is _EXEMPT:  # strangers' invented numbers must not push out what trunks carry
                table.keep(key)
        count = held.add(event.at, event.at - self._config.window, call, caller)
        if count == 1:
            table.touch(key)
        limit = self._config.number_calls if table is self._numbers else self._config.trunk_calls
        if count < limit:
            return _NOTHING
        subject, what = self._subject(table, key, event.source)
        finding = self._finding(event, held, subject, what)
        held.calls.clear()
        held.given_up = 0
        return (finding,)

    def _subject(self, table: Table[bytes, _Calls], key: bytes, source: Address) -> tuple[Subject, str]:
        if table is self._numbers:
            return Account(key.decode("utf-8", "backslashreplace"), ""), "number"
        return subject_of(source), "trunk"

    @staticmethod
    def _finding(event: Asked, held: _Calls, subject: Subject, what: str) -> Finding:
        first = next(iter(held.calls.values()))[0]
        evidence: tuple[tuple[str, str | int], ...] = (
            ("calls", len(held.calls)),
            ("callers", len({caller for _, caller in held.calls.values()})),
            ("given_up_soon", held.given_up),
            ("within_seconds", (event.at - first) // SECOND),
        )
        return Finding(event.at, NAME, subject, what, 6, event.shown, evidence)

    def _cancelled(self, event: Asked, number: bytes) -> None:
        """Note that a call was given up before long: ringing and hanging up is how a line is kept busy for nothing."""
        held = self._numbers.get(number)
        call = None if held is None else held.calls.get(zlib.crc32(event.request.call_id))
        if held is not None and call is not None and event.at - call[0] <= _SOON:
            held.given_up += 1

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the option that counts, the calls from a source by now, and how many make a finding."""
        return (("trunk_calls", self._calls(at, self._trunks.get(sender_key(source))), self._config.trunk_calls),)

    def explain_account(self, at: Instant, name: str) -> Sequence[tuple[str, int, int]]:
        """Give the option that counts, the calls to a number of that name by now, and how many make a finding."""
        held = self._numbers.get(name.encode("utf-8", "backslashreplace"))
        return (("number_calls", self._calls(at, held), self._config.number_calls),)

    def _calls(self, at: Instant, held: _Calls | None) -> int:
        return 0 if held is None else sum(since > at - self._config.window for since, _ in held.calls.values())

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "tdos_numbers": len(self._numbers),
            "tdos_numbers_evicted": self._numbers.evicted,
            "tdos_trunks": len(self._trunks),
            "tdos_trunks_evicted": self._trunks.evicted,
        }


def called(uri: bytes) -> bytes:
    """Give the called number as one key: without separators (RFC 3966 section 5.1.1), long ones cut."""
    return user_of(uri).translate(None, b"-.() ").lower()[:_LONGEST]
