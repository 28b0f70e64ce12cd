"""TLS from strangers that never comes to a registration: handshakes given up, connections made over and over.

What it sees
    TCP connections that begin with TLS, on any SIP port, from a proven stranger; nothing is decrypted. One that ended
    within `short` is *empty* when its client sent fewer than `bytes` in all: a handshake takes 400 to 700, a phone that
    registers adds two requests of at least 350. A source may have `handshakes` empty ones within `window`, and `churn`
    short ones, empty or not; either budget may be spent in one burst and comes back evenly. A connection that lasted
    longer than `short` is taken for a device's; each that is open, or was within a day, raises both budgets by
    `device`. Nothing is counted of trusted and exempt addresses.

Why it matters
    Scanners look for PBXs behind TLS as well, guessers try one password for each connection, and a handshake costs the
    PBX a thousand times what it costs the stranger. Without the keys this is all that can be seen of them.

Known false alarms
    Phones that refuse the PBX's certificate try again and again; where one of them has been connected in the last day,
    the budget allows for it. Many mobile phones behind one carrier's address that connect only to be called.

Ways around it
    Keeping a connection open for longer than `short`, which also raises the budgets; sending more than
    `bytes` on each, within `churn`; many addresses; waiting. A connection that was open before the guard was started is
    not known to be a device's.

Options
    enabled, handshakes, churn, window, short, bytes, device, sources, then

References
    RFC 8446 sections 4.1.2 and 5.1, RFC 3261 section 26.3.1, RFC 5626 section 4.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, ByteSize, Described, DurationBetween
from sipguard.event import Event, FlowEnded, FlowOpened, Standing
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Consequence, Finding, Instant, Span
from sipguard.table import Table, neighbourhood
from sipguard.window import paced

NAME = "tlsprobe"
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER
_OPEN_MOST = 64
"""The most open connections and devices known of one source: what is beyond raises no budget."""

Place: TypeAlias = tuple[Address, int, int]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.tlsprobe]`."""

    enabled: Annotated[bool, Described("Whether TLS connections that lead to nothing are looked for")] = True
    handshakes: Annotated[
        int, Between(1, 10_000), Described("Empty TLS connections of one source within the window that are let pass")
    ] = 20
    churn: Annotated[
        int, Between(1, 10_000), Described("Short TLS connections of one source within the window that are let pass")
    ] = 100
    window: Annotated[Span, DurationBetween(10 * SECOND, DAY), Described("How long a connection counts")] = 10 * MINUTE
    short: Annotated[
        Span,
        DurationBetween(SECOND, HOUR),
        Described("A connection that lasted no longer is short; others are devices'"),
    ] = MINUTE
    bytes: Annotated[int, ByteSize(100, 65536), Described("A short connection whose client sent fewer is empty")] = 1000
    device: Annotated[
        int, Between(0, 1000), Described("By how much each device known behind the address raises the budgets")
    ] = 20
    sources: Annotated[int, Between(1000, 10_000_000), Described("The most sources remembered at once")] = 20_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.THROTTLE


class _Spent:
    """A budget as far as it is spent: when it is whole again, and how many connections since it last was."""

    __slots__ = ("count", "due")

    def __init__(self) -> None:
        self.due: Instant = 0
        self.count = 0

    def spend(self, at: Instant, budget: int, span: Span) -> bool:
        """Take one; tells whether that was more than there is."""
        self.count = self.count + 1 if self.due > at else 1
        self.due = paced(self.due, at, budget, span)
        return self.due - at > span


class _Source:
    """What one source has connected for: what it has spent, what is open, and when its devices were last there."""

    __slots__ = ("devices", "empty", "open", "short")

    def __init__(self) -> None:
        self.empty = _Spent()
        self.short = _Spent()
        self.open: dict[Place, Instant] = {}
        self.devices: list[Instant] = []  # one for each connection that proved long, in the order of their end

    def known(self, at: Instant, config: Config) -> int:
        """Say how many devices live there: connections open for longer than `short`, and those of the last day."""
        while self.devices and at - self.devices[0] > DAY:
            del self.devices[0]
        lasting = sum(at - begun > config.short for begun in self.open.values())
        return min(_OPEN_MOST, max(lasting, len(self.devices)))


class Detector:
    """Counts per source how its TLS connections end; `handlers` names the events it wants."""

    __slots__ = ("_config", "_sources", "handlers")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sources: Table[bytes, _Source] = Table(config.sources, config.sources // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            FlowOpened: self._opened,
            FlowEnded: self._ended,
        }

    def _opened(self, event: FlowOpened) -> Sequence[Finding]:
        if event.tls and event.standing is _STRANGER:
            source = self._source(event.source)
            if len(source.open) < _OPEN_MOST:
                source.open[event.source, event.port, event.server_port] = event.at
        return _NOTHING

    def _source(self, address: Address) -> _Source:
        key = sender_key(address)
        source = self._sources.get(key)
        if source is None:
            source = _Source()
            self._sources.put(key, source, address)
        else:
            self._sources.touch(key)
        return source

    def _ended(self, event: FlowEnded) -> Sequence[Finding]:
        if not (event.tls and event.proven and event.standing is _STRANGER):
            return _NOTHING
        config, source = self._config, self._source(event.source)
        self._sources.keep(sender_key(event.source))
        source.open.pop((event.source, event.port, event.server_port), None)
        if event.lasted > config.short:
            source.devices.append(event.at)
            del source.devices[:-_OPEN_MOST]
            return _NOTHING
        more = source.known(event.at, config) * config.device
        churning = source.short.spend(event.at, config.churn + more, config.window)
        if event.received < config.bytes and source.empty.spend(event.at, config.handshakes + more, config.window):
            return self._found(event, source, "handshakes", more)
        return self._found(event, source, "churn", more) if churning else _NOTHING

    def _found(self, event: FlowEnded, source: _Source, identifier: str, more: int) -> Sequence[Finding]:
        evidence: tuple[tuple[str, str | int], ...] = (
            ("empty", source.empty.count),
            ("short", source.short.count),
            ("allowed_for_devices", more),
            ("port", event.server_port),
        )
        source.empty, source.short = _Spent(), _Spent()
        return (Finding(event.at, NAME, subject_of(event.source), identifier, 5, event.proven, evidence),)

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what a source has connected for by now, and how much is let pass."""
        known, config = self._sources.get(sender_key(source)), self._config
        if known is None:
            return ()
        more = known.known(at, config) * config.device
        empty, short = (spent.count if spent.due > at else 0 for spent in (known.empty, known.short))
        return (("handshakes", empty, config.handshakes + more), ("churn", short, config.churn + more))

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"tlsprobe_sources": len(self._sources), "tlsprobe_sources_evicted": self._sources.evicted}
