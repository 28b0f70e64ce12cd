"""Diversion: calls are forwarded, or handed on again and again, to dear destinations or abroad.

What it sees
    Calls that came in and were sent on outside (forwarded by the PBX or by a phone's 3xx): the first one to a dear
    destination (as `rate` and `risk` say) is found at once, those to other countries from `forwards` within `window`
    on. Calls that were handed on (REFER) to dear destinations: `transfers` of one account within `window`, and each one
    that then lasts longer than `held`. That is looked at whenever anything happens to any call, and not in between. A
    transfer is an account's when its own phone asked for it; what the far end asks for is found under the trunk's name.
    Whoever calls in causes forwarded calls, so those are found under names without a realm, and only reported.

Why it matters
    A forward set from a web page or a voice mailbox with a default password makes the PBX pay for calls that nobody in
    the house makes: 6,800 minutes to Liberia in a night. A transferred call has no phone of the house in it that could
    be hung up.

Known false alarms
    Travellers who have their calls sent to a foreign mobile.

Ways around it
    Forwards to destinations that are neither dear nor, as far as is known, abroad; one transfer at a time, hung up
    before `held`. A PBX that sends on with nothing in the message that tells so, at another time: that is an orphan.

Options
    enabled, forwards, transfers, held, window, rate, risk, entries, then

References
    RFC 5806 (Diversion), RFC 7044 (History-Info), RFC 3515 and RFC 5589 (REFER, transfer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.call import Call, Called, CallOrigin, NumberClass
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import (
    CallAnswered,
    CallAttempted,
    CallConfirmed,
    CallDiverted,
    CallEnded,
    CallEvent,
    CallUnconfirmed,
    Event,
)
from sipguard.model import DAY, HOUR, SECOND, Account, Consequence, Finding, Instant, Span
from sipguard.table import Table
from sipguard.track.spending import (
    SOMEWHERE,
    Dear,
    DearRate,
    DearRisk,
    House,
    Waiting,
    payer_of,
    prefix_of,
    shown,
    spends,
    trunk_of,
)
from sipguard.window import Sliding

NAME = "diversion"
_NOTHING: tuple[Finding, ...] = ()
_FORWARDED, _TRANSFERRED = CallOrigin.FORWARDED, CallOrigin.TRANSFERRED


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.diversion]`."""

    enabled: Annotated[bool, Described("Whether calls sent on to dear places are looked for")] = True
    forwards: Annotated[int, Between(1, 10_000), Described("Calls forwarded abroad within the window")] = 20
    transfers: Annotated[int, Between(1, 1000), Described("Transfers to dear destinations within the window")] = 3
    held: Annotated[Span, DurationBetween(SECOND, DAY), Described("A dear transferred call may last so long")] = HOUR
    window: Annotated[Span, DurationBetween(SECOND, DAY), Described("How long a forward or a transfer counts")] = HOUR
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    entries: Annotated[int, Between(100, 1_000_000), Described("The most accounts, and calls, followed at once")] = 5000
    then: Annotated[Consequence, Described("What becomes of an account that hands calls on")] = Consequence.REPORT


class Detector:
    """Counts forwards and transfers for whoever has them done, and waits for transferred calls to become long."""

    __slots__ = ("_config", "_dear", "_held", "_marks", "handlers")

    def __init__(self, config: Config, house: House = SOMEWHERE) -> None:
        self._config = config
        self._dear = Dear(house, config.rate, config.risk)
        self._marks: Table[tuple[str, Account], Sliding] = Table(config.entries, config.entries // 2)
        self._held = Waiting(config.entries)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            CallAttempted: self._attempted,
            CallDiverted: self._diverted,
            CallAnswered: self._runs,
            CallConfirmed: self._runs,
            CallUnconfirmed: self._over,
            CallEnded: self._over,
        }

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        call = event.call
        if call.origin is not _FORWARDED or not spends(call):
            return self._look(event.at)
        return [*self._forwarded(event, payer_of(call), call.called, call), *self._look(event.at)]

    def _diverted(self, event: CallDiverted) -> Sequence[Finding]:
        call, target = event.call, event.target
        if not event.referred or target.kind is NumberClass.EMERGENCY:
            return self._look(event.at)  # where a 3xx leads to is told when its leg leaves
        found: Sequence[Finding] = _NOTHING
        if self._dear(target, None if target is not call.called else call.rate):
            own = call.source is not None and event.source == call.source
            payer = payer_of(call) if own else trunk_of(call)
            if self._count("transfer", payer, event, self._config.transfers):
                found = (self._finding(event.at, payer, "transfer", 7, target, call, self._config.transfers),)
        return [*found, *self._runs(event)]

    def _forwarded(self, event: CallAttempted, payer: Account, called: Called, call: Call) -> Sequence[Finding]:
        name = Account(payer.username, "")  # whoever calls in causes it
        if self._dear(called, call.rate):
            return (self._finding(event.at, name, f"forward {prefix_of(called, call.rate)}", 7, called, call, 1),)
        abroad = self._dear.or_abroad(called, call.rate)
        if abroad and self._count("forward", name, event, self._config.forwards):
            return (self._finding(event.at, name, "forward", 5, called, call, self._config.forwards),)
        return _NOTHING

    def _runs(self, event: CallEvent) -> Sequence[Finding]:
        call = event.call
        if call.answered and call.origin is _TRANSFERRED and spends(call) and self._dear(call.called, call.rate):
            self._held.enter(call, max(call.answered, call.began) + self._config.held)
        return self._look(event.at)

    def _over(self, event: CallEvent) -> Sequence[Finding]:
        self._held.leave(event.call)
        return self._look(event.at)

    def _look(self, now: Instant) -> Sequence[Finding]:
        return [self._finding(now, payer_of(call), "held", 8, call.called, call, 1) for call in self._held.due(now)]

    def _count(self, what: str, payer: Account, event: CallEvent, most: int) -> bool:
        """Count one, and tell whether that makes as many as are found; then it begins anew."""
        key = (what, payer)
        marks = self._marks.get(key) or Sliding(self._config.window, most)
        marks.mark(event.at)
        self._marks.renew(key, marks, event.source)
        if marks.count(event.at) < most:
            return False
        self._marks.pop(key)
        return True

    @staticmethod
    def _finding(
        at: Instant, subject: Account, what: str, severity: int, called: Called, call: Call, count: int
    ) -> Finding:
        evidence: tuple[tuple[str, str | int], ...] = (
            ("to", shown(called)),
            ("class", str(called.kind)),
            ("country", called.country),
            ("calls", count),
            ("seconds", call.lasted(at) // SECOND),
            ("caller", call.caller),
            ("trunk", call.trunk),
        )
        return Finding(at, NAME, subject, what, severity, True, evidence)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "diversion_entries": len(self._marks) + len(self._held),
            "diversion_entries_evicted": self._marks.evicted + self._held.evicted,
        }
