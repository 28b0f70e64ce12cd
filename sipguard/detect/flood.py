"""Flood: one source sends more than what is behind it can have to say.

What it sees
    Requests outside dialogs, copies included, and bytes that are no message, per source address (per /64 in IPv6) and
    method, against a budget: `base` within `window` for whoever is unknown, and `device` more for each account that has
    registered from there lately. The budget may be spent in one burst and comes back evenly. All methods together may
    have twice the budget, so that spreading over methods gains little. A device counts for `memory` after it was last
    seen to register, also when its registration has run out: after an outage everybody comes back at once.

Why it matters
    A PBX that must answer hundreds of requests a second has no time left for calls; scanners and guessers are floods
    too, with the default speed of their tools.

Known false alarms
    An office with hundreds of phones whose PBX answers none of them for long, when the guard has never seen them
    register: it is slowed down until the first of them is registered. A gateway that is no trunk in the policy and
    carries more than `base` calls in `window`.

Ways around it
    Less than the budget; many sources; requests within a call that the PBX has let ring, and in the hour after
    a start all with a To-tag; keep-alives of registered devices. They are no event, and left to the kernel's own
    meters.

Options
    enabled, base, device, window, memory, devices, sources, then

References
    RFC 3261 section 17 (copies), RFC 6357 (why servers give way under load), ITU-T I.371 (the rate algorithm).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Asked, Event, Recalled, Registered, Standing, Unread
from sipguard.model import DAY, MINUTE, SECOND, Account, Consequence, Finding, Instant, Span, Transport
from sipguard.table import Table, neighbourhood
from sipguard.window import paced

NAME = "flood"
_NOTHING: tuple[Finding, ...] = ()
_EXEMPT = Standing.EXEMPT
_KNOWN = frozenset({"REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "NOTIFY", "PUBLISH", "REFER", "INFO"})
_OTHER = "other"
_UNREAD = "unreadable"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.flood]`."""

    enabled: Annotated[bool, Described("Whether floods are looked for")] = True
    base: Annotated[
        int, Between(10, 100_000), Described("Requests of one method that any source may send within the window")
    ] = 100
    device: Annotated[
        int, Between(1, 10_000), Described("As many more for each account that has registered from there")
    ] = 10
    window: Annotated[Span, DurationBetween(SECOND, 10 * MINUTE), Described("The time that the budgets are for")] = (
        10 * SECOND
    )
    memory: Annotated[
        Span, DurationBetween(10 * MINUTE, 30 * DAY), Described("How long a device counts after it last registered")
    ] = 7 * DAY
    devices: Annotated[int, Between(1, 100_000), Described("The most devices of one source that add to its budget")] = (
        2000
    )
    sources: Annotated[int, Between(1000, 10_000_000), Described("The most sources remembered at once")] = 10_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.THROTTLE


class _Source:
    """For each method the instant at which its budget is whole again, and the devices that were seen behind it.

    What shows by itself whose it is has a budget of its own: nobody can use that up in another's name.
    """

    __slots__ = ("devices", "due", "shown")

    def __init__(self) -> None:
        self.due: dict[str, Instant] = {}  # at most one for each name in _KNOWN, and three more
        self.shown: dict[str, Instant] = {}
        self.devices: dict[Account, Instant] | None = None


class Detector:
    """Keeps one number per source and method, whatever the rate."""

    __slots__ = ("_config", "_sources", "handlers")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sources: Table[bytes, _Source] = Table(config.sources, config.sources // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Unread: self._unread,
            Registered: self._registered,
            Recalled: self._registered,
        }

    def _asked(self, event: Asked) -> Sequence[Finding]:
        if event.standing is _EXEMPT:
            return _NOTHING
        method = event.request.method
        return self._count(event, method if method in _KNOWN else _OTHER, shown=event.shown)

    def _unread(self, event: Unread) -> Sequence[Finding]:
        if event.standing is _EXEMPT:
            return _NOTHING
        return self._count(event, _UNREAD, shown=event.proven and event.transport is Transport.TCP)

    def _count(self, event: Asked | Unread, method: str, *, shown: bool) -> Sequence[Finding]:
        at, config = event.at, self._config
        source = self._source(event.source)
        devices = source.devices
        budget = config.base if devices is None else config.base + config.device * len(devices)
        due, window = source.shown if shown else source.due, config.window
        one = due[method] = paced(due.get(method, 0), at, budget, window)
        every = due[_ALL] = paced(due.get(_ALL, 0), at, 2 * budget, window)
        if one - at <= window and every - at <= window:
            return _NOTHING
        what = method if one - at > window else _ALL
        due.clear()
        if devices is not None:
            self._forget(devices, at)
        evidence: tuple[tuple[str, str | int], ...] = (
            ("method", what),
            ("budget", budget if what is not _ALL else 2 * budget),
            ("within_seconds", window // SECOND),
            ("devices", len(devices or ())),
            ("transport", str(event.transport)),
        )
        return (Finding(at, NAME, subject_of(event.source), what, 6, shown, evidence),)

    def _registered(self, event: Registered | Recalled) -> Sequence[Finding]:
        source = self._source(event.source)
        if source.devices is None:
            source.devices = {}
        devices = source.devices
        if devices.pop(event.account, None) is None:
            self._widen(source, event.at, self._config.base + self._config.device * len(devices))
        devices[event.account] = event.at + self._config.memory
        if len(devices) > self._config.devices:
            del devices[next(iter(devices))]
        oldest = next(iter(devices))
        if devices[oldest] <= event.at:
            del devices[oldest]
        self._sources.keep(sender_key(event.source))  # a password stands behind it, whoever sent it
        return _NOTHING

    def _widen(self, source: _Source, at: Instant, budget: int) -> None:
        """Keep what was spent as so many requests when one more device adds to the budget, not as so much of it."""
        for dues in (source.due, source.shown):
            for method, due in dues.items():
                if due > at:
                    dues[method] = at + (due - at) * budget // (budget + self._config.device)

    @staticmethod
    def _forget(devices: dict[Account, Instant], at: Instant) -> None:
        """Forget the devices that have not registered for long."""
        for account in [account for account, until in devices.items() if until <= at]:
            del devices[account]

    def _source(self, address: Address) -> _Source:
        key = sender_key(address)
        source = self._sources.get(key)
        if source is None:
            source = _Source()
            self._sources.put(key, source, address)
        return source

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the option that counts, the most that a source has spent of a method's budget, and the budget."""
        known, config = self._sources.get(sender_key(source)), self._config
        if known is None:
            return ()
        budget = config.base + config.device * len(known.devices or ())
        dues = [due for dues in (known.due, known.shown) for method, due in dues.items() if method is not _ALL]
        spent = max((-((at - due) * budget // config.window) for due in dues), default=0)
        return (("base", spent, budget),)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"flood_sources": len(self._sources), "flood_sources_evicted": self._sources.evicted}
