"""Ghost calls: telephones ring, and nobody is there; a stranger calls extensions directly, without any credential.

What it sees
    INVITEs of strangers to extensions (users of 2 to 6 digits) for which the PBX asked for no credential. The first one
    that the PBX lets ring (180 to 183) or answers (2xx) is a finding. So are `attempts` of them within `window`,
    whatever becomes of them, as long as none is followed up with a credential that the PBX had asked for. A credential
    that nobody asked for is no excuse. Copies are not counted, and neither are senders in private networks, unless
    `private` says so: gateways stand there, and ghosts come from the internet.

Why it matters
    A phone that rings at night from nowhere is how people notice that their PBX, or their phone, answers everybody. The
    same door lets a stranger dial out, if the dial plan has a way.

Known false alarms
    A PBX that takes calls from the whole internet by SIP URI, to users that are short numbers: set `then` to "report",
    or `enabled` to false. A carrier that is not named as a trunk in the policy and calls extensions by their short
    numbers. A device that does not register and sends a credential before it is asked.

Ways around it
    Calling by a name or a long number; one attempt in `window` that is refused; many sources. On a PBX that challenges
    some strangers and not others, being challenged first.

Options
    enabled, attempts, window, private, sources, calls, then

References
    RFC 3261 sections 13 and 22.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from sipguard.address import Address, parse_network, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Answered, Asked, Event, Rang, Standing
from sipguard.model import DAY, MINUTE, SECOND, Consequence, Finding, Instant, Span
from sipguard.netset import NetSet
from sipguard.table import Table, neighbourhood

NAME = "ghostcall"
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER
_LONGEST = 128
_PRIVATE = NetSet(
    parse_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
"""RFC 1918, RFC 6598, RFC 4193, loopback and link-local (RFC 6890)."""
_CallKey: TypeAlias = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.ghostcall]`."""

    enabled: Annotated[bool, Described("Whether strangers' calls to extensions are looked for")] = True
    attempts: Annotated[
        int, Between(1, 1000), Described("Unauthenticated calls of one stranger within the window that make a finding")
    ] = 6
    window: Annotated[Span, DurationBetween(10 * SECOND, 7 * DAY), Described("How long an attempt counts")] = (
        10 * MINUTE
    )
    private: Annotated[bool, Described("Whether senders in private networks are strangers too")] = False
    sources: Annotated[int, Between(100, 1_000_000), Described("The most sources remembered at once")] = 10_000
    calls: Annotated[int, Between(100, 1_000_000), Described("The most calls that wait for an answer")] = 10_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.THROTTLE


class _Call:
    """A stranger's call that was not refused yet. `asked`: the PBX wants a credential for it; `given`: it has one.

    `proven`: the INVITE shows by itself whose it is.
    """

    __slots__ = ("asked", "given", "proven", "user")

    def __init__(self, user: bytes, *, proven: bool) -> None:
        self.user = user
        self.asked = False
        self.given = False
        self.proven = proven


class Detector:
    """Follows strangers' calls to extensions until they ring, are answered or refused."""

    __slots__ = ("_attempts", "_calls", "_config", "handlers")

    strangers: ClassVar = frozenset({Asked, Answered, Rang})
    methods: ClassVar = frozenset({"INVITE"})

    def __init__(self, config: Config) -> None:
        self._config = config
        self._calls: Table[_CallKey, _Call] = Table(config.calls, config.calls // 8)
        self._attempts: Table[bytes, list[tuple[Instant, bool]]] = Table(
            config.sources, config.sources // 8, neighbourhood
        )
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Rang: self._rang,
            Answered: self._answered,
        }

    def _asked(self, event: Asked) -> Sequence[Finding]:
        request = event.request
        if request.method != "INVITE" or event.standing is not _STRANGER or event.repeated or request.to_tag:
            return _NOTHING  # with a tag it makes no telephone ring, and may be of a call that we have forgotten
        user = request.uri_user
        if not (2 <= len(user) <= 6 and user.isdigit()):
            return _NOTHING
        if not self._config.private and _PRIVATE.covers(event.source):
            return _NOTHING
        key = _key(event.source, request.call_id)
        call = self._calls.get(key)
        if call is not None and call.asked and request.credentials:
            if not call.given:
                self._excuse(event.source)
            call.given = True
            return _NOTHING
        if call is None:
            self._calls.put(key, _Call(user, proven=event.shown), event.source)
        else:
            call.user = user
            call.given = False
            call.proven = event.shown
        return self._attempt(event, user)

    def _attempt(self, event: Asked, user: bytes) -> Sequence[Finding]:
        source = sender_key(event.source)
        marks = self._attempts.get(source)
        if marks is None:
            marks = []
            self._attempts.put(source, marks, event.source)
        edge = event.at - self._config.window
        marks[:] = [mark for mark in marks if mark[0] > edge]  # never more than `attempts` of them
        marks.append((event.at, event.shown))
        self._attempts.touch(source)
        if len(marks) < self._config.attempts:
            return _NOTHING
        evidence: tuple[tuple[str, str | int], ...] = (
            ("attempts", len(marks)),
            ("within_seconds", (event.at - marks[0][0]) // SECOND),
            ("last_called", user.decode()),
            ("transport", str(event.transport)),
        )
        proven = all(mark[1] for mark in marks)
        marks.clear()
        return (Finding(event.at, NAME, subject_of(event.source), "attempts", 5, proven, evidence),)

    def _excuse(self, source: Address) -> None:
        """Take back the attempt that is followed up by what the PBX asked for."""
        marks = self._attempts.get(sender_key(source))
        if marks:
            marks.pop()

    def _rang(self, event: Rang) -> Sequence[Finding]:
        if event.standing is not _STRANGER:
            return _NOTHING
        call = self._calls.pop(_key(event.source, event.response.call_id))
        if call is None or call.given:
            return _NOTHING
        evidence: tuple[tuple[str, str | int], ...] = (("called", call.user.decode()), ("code", event.response.code))
        return (Finding(event.at, NAME, subject_of(event.source), "rang", 8, call.proven, evidence),)

    def _answered(self, event: Answered) -> Sequence[Finding]:
        response = event.response
        if event.standing is not _STRANGER or response.cseq_method != "INVITE":
            return _NOTHING
        key = _key(event.source, response.call_id)
        call = self._calls.get(key)
        if call is None:
            return _NOTHING
        if response.code in (401, 407):
            call.asked = True
            return _NOTHING
        self._calls.pop(key)
        if response.code >= 300 or call.given:
            return _NOTHING
        evidence: tuple[tuple[str, str | int], ...] = (("called", call.user.decode()), ("code", response.code))
        return (Finding(event.at, NAME, subject_of(event.source), "rang", 8, call.proven, evidence),)

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the option that counts, a source's attempts by now, and how many make a finding."""
        edge = at - self._config.window
        marks = self._attempts.get(sender_key(source)) or ()
        return (("attempts", sum([mark[0] > edge for mark in marks]), self._config.attempts),)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "ghostcall_calls": len(self._calls),
            "ghostcall_calls_evicted": self._calls.evicted,
            "ghostcall_sources": len(self._attempts),
            "ghostcall_sources_evicted": self._attempts.evicted,
        }


def _key(source: Address, call_id: bytes) -> _CallKey:
    return sender_key(source), call_id[:_LONGEST]
