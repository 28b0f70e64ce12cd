"""New destination: a dear destination is called that this house has never called before.

What it sees
    Calls of anybody in the house to dear destinations (premium, satellite and global numbers, what costs more than
    `rate` a minute, what has a risk of `risk` or more), by prefix: the country code and three digits, or the deck's
    prefix where shorter. The first call to each is told, by who makes it, once the house has been watched for
    `learning`; until then it is only learned. What nobody authenticated for is found under the trunk's name. What was
    learned outlives restarts, and changes of the policy.

Why it matters
    A business calls the same few dear places, if any. Fraud calls others.

Known false alarms
    The first honest call to such a place.

Ways around it
    Destinations that the house calls anyway; the time until it is known.

Options
    enabled, learning, rate, risk, destinations, then

References
    GSMA FF.21 (international revenue share fraud), ITU-T E.156 (misuse of numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import CallAttempted, Event
from sipguard.lesson import SITE, About, Notes
from sipguard.model import DAY, MINUTE, Account, Consequence, Finding, Instant, Span
from sipguard.table import Table
from sipguard.track.spending import SOMEWHERE, Dear, DearRate, DearRisk, House, payer_of, prefix_of, shown, spends

NAME = "newdestination"
_CALLED = "called"
_NOBODY = b"\0\0\0\0"
_NOTHING: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.newdestination]`."""

    enabled: Annotated[bool, Described("Whether dear destinations that are new for the house are told")] = True
    learning: Annotated[
        Span, DurationBetween(MINUTE, 90 * DAY), Described("How long after its first call the house is only learned")
    ] = 7 * DAY
    rate: DearRate = 1_000_000
    risk: DearRisk = 8
    destinations: Annotated[int, Between(100, 1_000_000), Described("The most destinations remembered at once")] = 5000
    then: Annotated[Consequence, Described("What becomes of the account that calls there")] = Consequence.REPORT


class Detector:
    """Remembers which dear prefixes were called; the one longest not called goes first."""

    __slots__ = ("_config", "_dear", "_first", "_known", "_notes", "handlers")

    learns: ClassVar[str] = NAME

    def __init__(self, config: Config, house: House = SOMEWHERE, notes: Notes | None = None) -> None:
        self._config = config
        self._notes = Notes() if notes is None else notes
        self._dear = Dear(house, config.rate, config.risk)
        self._first: Instant | None = None
        self._known: Table[str, Instant] = Table(config.destinations)  # when that was last noted
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {CallAttempted: self._attempted}

    def _attempted(self, event: CallAttempted) -> Sequence[Finding]:
        call, at = event.call, event.at
        if not spends(call):
            return _NOTHING
        if self._first is None:
            self._first = at
            self._notes.note(NAME, SITE)
        if not self._dear(call.called, call.rate):
            return _NOTHING
        prefix = prefix_of(call.called, call.rate)
        noted = self._known.get(prefix)
        if fresh := noted is None or at - noted >= DAY:
            self._notes.note(NAME, SITE, prefix)
        self._known.renew(prefix, at if fresh or noted is None else noted, event.source)
        if noted is not None or at - self._first < self._config.learning:
            return _NOTHING
        evidence: tuple[tuple[str, str | int], ...] = (
            ("prefix", prefix),
            ("to", shown(call.called)),
            ("class", str(call.called.kind)),
            ("country", call.called.country),
            ("destination", call.rate.destination if call.rate is not None else ""),
            ("micros_a_minute", call.rate.per_minute if call.rate is not None else 0),
            ("trunk", call.trunk),
        )
        return (Finding(at, NAME, payer_of(call), prefix, 5, True, evidence),)

    def known(self) -> Iterator[About]:
        """Go through the destinations, the longest not called first; "" is the house itself."""
        yield SITE, ""
        yield from ((SITE, prefix) for prefix in self._known)

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write for how long the house has called, or that it calls a destination."""
        if account != SITE or self._first is None:
            return ""
        if not topic:
            return str(at - self._first)
        return _CALLED if topic in self._known else ""

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        if account != SITE or (topic and text != _CALLED):
            raise ValueError(f"{text!r} of {account}")
        if topic:
            self._known.renew(topic, at, _NOBODY)
        elif (ago := int(text)) >= 0:
            self._first = at - ago

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"newdestination_known": len(self._known), "newdestination_known_evicted": self._known.evicted}
