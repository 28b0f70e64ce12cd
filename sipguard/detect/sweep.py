"""Sweeps: a stranger knocks at many doors and gets into none.

What it sees
    Requests of one stranger (per /64 in IPv6), of any method, within a window: to how many of our addresses and ports,
    and for how many users. A request counts once it was in vain: it was refused, or the PBX asked for a credential and
    `patience` has passed without success in that call, or it was an OPTIONS, whose answer gives nobody anything. What
    is not answered at all counts for addresses and ports only, and REGISTER and INVITE not even so: a PBX that is down
    makes no sweepers of its phones. A registration forgives all. Copies, and requests for a user at an address where
    the same stranger has knocked before, count once: keep-alives are no sweep.

Why it matters
    Whoever looks for doors will try the keys next; a list of addresses that answer is sold on.

Known false alarms
    An office that was moved to another PBX, where `users` phones or more still ask here and are unknown. A monitor that
    is not allowed in the policy and asks several of our addresses.

Ways around it
    Fewer than `users` and `places` within `window`; many sources. One request from each of many sources is nothing that
    can be counted: that is known by its looks only.

Options
    enabled, users, places, patience, window, sources, then

References
    RFC 3261 section 11 (OPTIONS), RFC 5626 section 4.4.1 (what keep-alives look like).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Answered, Asked, Event, Rang, Registered, Standing
from sipguard.model import DAY, MINUTE, SECOND, Consequence, Finding, Instant, Span
from sipguard.table import Table, neighbourhood

NAME = "sweep"
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER
_PARTS = frozenset({"ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO"})  # of something asked before
_OF_PHONES = frozenset({"REGISTER", "INVITE"})
_SILENCE, _CHALLENGED, _REFUSED = range(3)
_Door: TypeAlias = tuple[int, int]
"""Checksums of the address and port that were asked, and of the user."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.sweep]`."""

    enabled: Annotated[bool, Described("Whether sweeps are looked for")] = True
    users: Annotated[
        int, Between(2, 1000), Described("Users asked for in vain within the window that make a finding")
    ] = 12
    places: Annotated[
        int, Between(2, 1000), Described("Own addresses and ports asked in vain within the window that make one")
    ] = 4
    patience: Annotated[
        Span, DurationBetween(SECOND, 10 * MINUTE), Described("How long a request may go without success")
    ] = 30 * SECOND
    window: Annotated[Span, DurationBetween(MINUTE, 30 * DAY), Described("How long a request in vain counts")] = DAY
    sources: Annotated[int, Between(100, 1_000_000), Described("The most sources remembered at once")] = 10_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.THROTTLE


class _Knock:
    """The last request at one door, when it was first knocked at, and what came of it.

    `shown`: every request there showed by itself whose it was.
    """

    __slots__ = ("at", "call", "method", "outcome", "shown")

    def __init__(self, at: Instant, call: int, method: str, *, shown: bool) -> None:
        self.at = at
        self.call = call
        self.method = method
        self.outcome = _SILENCE
        self.shown = shown

    def in_vain(self, settled: Instant) -> bool:
        """Tell whether nothing will come of it any more; `settled` is the instant of those to be given up."""
        return self.outcome == _REFUSED or (self.outcome == _CHALLENGED and self.at <= settled)

    def unheard(self, settled: Instant) -> bool:
        """Tell whether it went unanswered, and is none that a PBX which is down leaves unanswered to its phones."""
        return self.outcome == _SILENCE and self.at <= settled and self.method not in _OF_PHONES


class Detector:
    """Remembers for each stranger the doors it knocked at last."""

    __slots__ = ("_config", "_most", "_sources", "handlers")

    strangers: ClassVar = frozenset({Asked, Answered, Rang})

    def __init__(self, config: Config) -> None:
        self._config = config
        self._most = 2 * max(config.users, config.places)
        self._sources: Table[bytes, dict[_Door, _Knock]] = Table(config.sources, config.sources // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Answered: self._answered,
            Rang: self._rang,
            Registered: self._registered,
        }

    def _asked(self, event: Asked) -> Sequence[Finding]:
        if event.standing is not _STRANGER or event.repeated:
            return _NOTHING
        request = event.request
        method = request.method
        if method in _PARTS:
            return _NOTHING
        key = sender_key(event.source)
        knocks = self._sources.get(key)
        if knocks is None:
            knocks = {}
            self._sources.put(key, knocks, event.source)
        user = request.to_user if method == "REGISTER" else request.uri_user
        door = zlib.crc32(event.target, event.target_port), zlib.crc32(user)
        call = zlib.crc32(request.call_id)
        last = knocks.get(door)
        if last is not None:
            last.call, last.method, last.shown = call, method, last.shown and event.shown
            if last.outcome == _REFUSED:
                last.at = event.at
        else:
            knocks[door] = _Knock(event.at, call, method, shown=event.shown)
            if len(knocks) > self._most:
                del knocks[next(iter(knocks))]
            self._sources.touch(key)
        return self._judge(event, knocks)

    def _answered(self, event: Answered) -> Sequence[Finding]:
        if event.standing is not _STRANGER:
            return _NOTHING
        knocks = self._sources.get(sender_key(event.source))
        if not knocks:
            return _NOTHING
        response = event.response
        code, call = response.code, zlib.crc32(response.call_id)
        if code < 300 and response.cseq_method != "OPTIONS":
            _forget(knocks, call)
            return _NOTHING
        for knock in knocks.values():
            if knock.call == call and knock.outcome != _REFUSED:
                if code in (401, 407):
                    knock.outcome = _CHALLENGED
                    return _NOTHING
                knock.outcome = _REFUSED
                return self._judge(event, knocks)
        return _NOTHING

    def _rang(self, event: Rang) -> Sequence[Finding]:
        knocks = self._sources.get(sender_key(event.source)) if event.standing is _STRANGER else None
        if knocks:
            _forget(knocks, zlib.crc32(event.response.call_id))
        return _NOTHING

    def _registered(self, event: Registered) -> Sequence[Finding]:
        self._sources.pop(sender_key(event.source))
        return _NOTHING

    def _judge(self, event: Asked | Answered, knocks: dict[_Door, _Knock]) -> Sequence[Finding]:
        config = self._config
        if len(knocks) < config.users and (
            len(knocks) < config.places or len({place for place, _ in knocks}) < config.places
        ):
            return _NOTHING
        edge, settled = event.at - config.window, event.at - config.patience
        for door in [door for door, knock in knocks.items() if knock.at <= edge]:
            del knocks[door]
        vain = {door: knock for door, knock in knocks.items() if knock.in_vain(settled)}
        unheard = {door: knock for door, knock in knocks.items() if knock.unheard(settled)}
        users, places = len({user for _, user in vain}), len({place for place, _ in (*vain, *unheard)})
        if users < config.users and places < config.places:
            return _NOTHING
        counted = (*vain.values(), *unheard.values())
        evidence: tuple[tuple[str, str | int], ...] = (
            ("users", users),
            ("places", places),
            ("methods", ", ".join(sorted({knock.method for knock in counted})[:5])),
            ("within_seconds", (event.at - min(knock.at for knock in counted)) // SECOND),
            ("transport", str(event.transport)),
        )
        proven = all(knock.shown for knock in counted)
        knocks.clear()
        what = "users" if users >= config.users else "places"
        return (Finding(event.at, NAME, subject_of(event.source), what, 5, proven, evidence),)

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what a source has asked in vain by now, and how much makes a finding."""
        config, knocks = self._config, self._sources.get(sender_key(source)) or {}
        settled = at - config.patience
        recent = {door: knock for door, knock in knocks.items() if knock.at > at - config.window}
        vain = [door for door, knock in recent.items() if knock.in_vain(settled)]
        unheard = [door for door, knock in recent.items() if knock.unheard(settled)]
        users, places = {user for _, user in vain}, {place for place, _ in (*vain, *unheard)}
        return (("users", len(users), config.users), ("places", len(places), config.places))

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"sweep_sources": len(self._sources), "sweep_sources_evicted": self._sources.evicted}


def _forget(knocks: dict[_Door, _Knock], call: int) -> None:
    """Forget the door that this call was for: it was opened."""
    for door, knock in knocks.items():
        if knock.call == call:
            del knocks[door]
            return
