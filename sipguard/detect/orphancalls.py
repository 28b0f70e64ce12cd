"""Orphan calls: calls leave for other countries or dear destinations, and nobody on this PBX is known to have dialled.

What it sees
    Calls to a trunk of which neither a phone nor a forward nor a transfer is known to be the origin, and that no two
    could have been the origin of. To a dear destination (as `rate` and `risk` say) the first is found, to other
    countries `calls` within `window`, each over one trunk; by the trunk's name, which is only ever reported. Nobody
    outside makes such calls without the PBX making them.

Why it matters
    They come from a hole in the PBX itself: dialling through a voice menu or a voice mailbox, a script, an interface
    that originates calls, a second door that the guard does not see.

Known false alarms
    Call-back and click-to-dial services, fax servers and conferences that dial out by themselves; phones that come
    over a transport that nobody can read (TLS without a mirror, WebRTC).

Ways around it
    Ordinary destinations at home. A call begun at the same moment by several phones is not looked at: it could be
    theirs.

Options
    enabled, calls, window, rate, risk, trunks, then

References
    RFC 3261 section 8 (what a call begins with), NIST SP 800-24 (holes in PBXs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.call import CallOrigin
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import CallAttempted, Event
from sipguard.model import DAY, HOUR, SECOND, Consequence, Finding, Span
from sipguard.table import Table
from sipguard.track.spending import SOMEWHERE, Dear, DearRate, DearRisk, House, prefix_of, shown, spends, trunk_of
from sipguard.window import Sliding

NAME = "orphancalls"
_NOTHING: tuple[Finding, ...] = ()
_ORPHAN = CallOrigin.ORPHAN


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.orphancalls]`."""

    enabled: Annotated[bool, Described("Whether calls that nobody dialled are looked for")] = True
    calls: Annotated[int, Between(1, 10_000), Described("Such calls abroad over one trunk within the window")] = 3
    window: Annotated[Span, DurationBetween(SECOND, DAY), Described("How long such a call counts")] = HOUR
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    trunks: Annotated[int, Between(10, 100_000), Described("The most trunks remembered at once")] = 1000
    then: Annotated[Consequence, Described('What becomes of a trunk that is found; only "report" makes sense')] = (
        Consequence.REPORT
    )


class Detector:
    """Counts calls without an origin by trunk."""

    __slots__ = ("_config", "_dear", "_trunks", "handlers")

    def __init__(self, config: Config, house: House = SOMEWHERE) -> None:
        self._config = config
        self._dear = Dear(house, config.rate, config.risk)
        self._trunks: Table[str, Sliding] = Table(config.trunks)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {CallAttempted: self._attempted}

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        call, at = event.call, event.at
        if call.origin is not _ORPHAN or call.ambiguous or not spends(call):
            return _NOTHING
        if not self._dear.or_abroad(call.called, call.rate):
            return _NOTHING
        marks = self._trunks.get(call.trunk) or Sliding(self._config.window, self._config.calls)
        marks.mark(at)
        self._trunks.renew(call.trunk, marks, event.source)
        dear, count = self._dear(call.called, call.rate), marks.count(at)
        if not dear and count < self._config.calls:
            return _NOTHING
        if count >= self._config.calls:
            self._trunks.pop(call.trunk)
        evidence: tuple[tuple[str, str | int], ...] = (
            ("calls", count),
            ("class", str(call.called.kind)),
            ("country", call.called.country),
            ("last", shown(call.called)),
            ("caller", call.caller),
        )
        what = prefix_of(call.called, call.rate) if dear else "abroad"
        return (Finding(at, NAME, trunk_of(call), what, 8 if dear else 6, True, evidence),)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"orphancalls_trunks": len(self._trunks), "orphancalls_trunks_evicted": self._trunks.evicted}
