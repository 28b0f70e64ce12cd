"""Message spam: a stranger sends text messages to many, or many of them.

What it sees
    MESSAGE requests of strangers outside dialogs, per source address (per /64 in IPv6), within a window: how many
    different users they are for, and how many there are. Copies are not counted.

Why it matters
    Telephones show what comes as a MESSAGE, some without asking the PBX who sent it: fraud by text, and a way to learn
    which extensions exist.

Known false alarms
    A gateway for text messages that neither registers nor is named in the policy; each of its messages counts twice
    when it is challenged.

Ways around it
    Fewer than `recipients` users and fewer than `messages` messages in `window`; many sources; a MESSAGE within a
    call that the PBX has let ring. Spam from a registered device is not looked for.

Options
    enabled, recipients, messages, window, sources, then

References
    RFC 3428 (MESSAGE), RFC 5039 (spam in SIP).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Asked, Event, Standing
from sipguard.model import DAY, MINUTE, SECOND, Consequence, Finding, Instant, Span
from sipguard.table import Table, neighbourhood

NAME = "spam"
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.spam]`."""

    enabled: Annotated[bool, Described("Whether message spam is looked for")] = True
    recipients: Annotated[
        int, Between(2, 1000), Described("Users to whom a stranger sends within the window that make a finding")
    ] = 5
    messages: Annotated[
        int, Between(2, 1000), Described("Messages of a stranger within the window that make a finding")
    ] = 30
    window: Annotated[Span, DurationBetween(10 * SECOND, DAY), Described("How long a message counts")] = 10 * MINUTE
    sources: Annotated[int, Between(100, 1_000_000), Described("The most sources remembered at once")] = 10_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.THROTTLE


class Detector:
    """Remembers for each source when it sent, and a checksum of the user, and whether the message shows whose it is."""

    __slots__ = ("_config", "_sources", "handlers")

    strangers: ClassVar = frozenset({Asked})
    methods: ClassVar = frozenset({"MESSAGE"})

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sources: Table[bytes, list[tuple[Instant, int, bool]]] = Table(
            config.sources, config.sources // 8, neighbourhood
        )
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {Asked: self._asked}

    def _asked(self, event: Asked) -> Sequence[Finding]:
        request = event.request
        if request.method != "MESSAGE" or event.standing is not _STRANGER or event.repeated:
            return _NOTHING
        key = sender_key(event.source)
        marks = self._sources.get(key)
        if marks is None:
            marks = []
            self._sources.put(key, marks, event.source)
        edge = event.at - self._config.window
        marks[:] = [mark for mark in marks if mark[0] > edge]  # never more than `messages` of them
        marks.append((event.at, zlib.crc32(request.uri_user.lower()), event.shown))
        self._sources.touch(key)
        recipients = len({mark[1] for mark in marks})
        if recipients < self._config.recipients and len(marks) < self._config.messages:
            return _NOTHING
        evidence: tuple[tuple[str, str | int], ...] = (
            ("messages", len(marks)),
            ("recipients", recipients),
            ("within_seconds", (event.at - marks[0][0]) // SECOND),
            ("transport", str(event.transport)),
        )
        proven = all(mark[2] for mark in marks)
        marks.clear()
        return (Finding(event.at, NAME, subject_of(event.source), "messages", 5, proven, evidence),)

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what a source has sent by now, and how much makes a finding."""
        edge = at - self._config.window
        users = [mark[1] for mark in self._sources.get(sender_key(source)) or () if mark[0] > edge]
        recipients, messages = len(frozenset(users)), len(users)
        return (("recipients", recipients, self._config.recipients), ("messages", messages, self._config.messages))

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"spam_sources": len(self._sources), "spam_sources_evicted": self._sources.evicted}
