"""The last few messages of strangers, and of whoever fails: what an operator wants to see when he asks why.

Heads only, in memory only, and no credential, digest or guess among them: what may hold one is made harmless when it
comes (`sip/redact.py`), the rest when it is shown. Nothing is counted or judged here. Whoever is banned is not read any
more, so what is kept of him is what led to the ban; what anybody could have sent goes before what its sender holds the
address of, and no network has more than its share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sipguard.address import Address, Network, sender_key
from sipguard.event import Answered, Asked, AuthFailed, Event, Standing, Unread
from sipguard.model import MINUTE, SECOND, Finding, Instant, Span
from sipguard.sip.fault import KEEPALIVE
from sipguard.sip.message import SipMessage, SipRequest, SipResponse
from sipguard.sip.redact import redact, without_digest
from sipguard.table import Table, neighbourhood

LONGEST = 1024
"""Bytes of a message that are kept."""

EACH = 6
"""Messages of a source that are kept, the latest."""

SOURCES = 2000
FOLLOWED: Span = 10 * MINUTE
"""How long a device or an office is listened to after a credential of its own failed."""

_BURST: Span = SECOND
"""What comes within it makes nobody younger in the table: it costs more than it is worth."""

# What is no message is not read; a credential or a tag may stand in it all the same.
_SECRET = re.compile(rb"authorization|authentication-info|tag", re.IGNORECASE)
_TAG = 8  # characters; a shorter one holds no name with a guess
_NOTHING: tuple[Finding, ...] = ()
_STRANGER = Standing.STRANGER


class Entry:
    """One message. `sent`: by the PBX, else to it. `port` is the far side's; `length` that of the whole message.

    `head` is the lines that may be shown, where there was a secret to leave out, else the beginning of what was sent.
    """

    __slots__ = ("at", "head", "length", "port", "sent", "source", "transport")

    def __init__(self, event: Asked | Answered | Unread, head: bytes | str, length: int, *, sent: bool) -> None:
        self.at = event.at
        self.source = event.source
        self.port = event.port
        self.transport = event.transport
        self.sent = sent
        self.length = length
        self.head = head


class _Source:
    """The entries, until when a device is followed, and how many answers are awaited.

    Answers to what was not read, as it came from somebody banned, are not kept: they would push out what led to that.
    """

    __slots__ = ("awaited", "entries", "followed")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.followed: Instant = 0
        self.awaited = 0


class Journal:
    """Listens as detectors do, and finds nothing."""

    __slots__ = ("_sources", "handlers")

    def __init__(self, most: int = SOURCES) -> None:
        self._sources: Table[bytes, _Source] = Table(most, most // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Answered: self._answered,
            Unread: self._unread,
            AuthFailed: self._failed,
        }

    def of(self, network: Network) -> list[Entry]:
        """Give what is kept of a network, a source after the other, each source's oldest first."""
        return [entry for source in self._within(network) for entry in source.entries]

    def sources(self, network: Network) -> int:
        """Say of how many senders of a network anything is kept."""
        return sum(1 for _ in self._within(network))

    def _within(self, network: Network) -> Iterator[_Source]:
        if network.prefix == (32 if network.version == 4 else 64):
            found = self._sources.get(sender_key(network.address))
            if found is not None and found.entries:
                yield found
            return
        for source in self._sources.values():
            if source.entries and network.covers(source.entries[0].source):
                yield source

    def _asked(self, event: Asked) -> Sequence[Finding]:
        request = event.request
        if event.standing is _STRANGER:
            if not event.repeated:
                self._note(event, request.raw, _shown(request), sent=False, proven=event.shown)
        elif self._follows(event):
            self._note(event, request.raw, _shown(request), sent=False, proven=False)
        return _NOTHING

    def _answered(self, event: Answered) -> Sequence[Finding]:
        source = self._sources.get(sender_key(event.source))
        if source is not None and source.awaited and (event.standing is _STRANGER or event.at < source.followed):
            raw = event.response.raw
            self._note(event, raw, _told(event.response), sent=True, proven=False)
        return _NOTHING

    def _unread(self, event: Unread) -> Sequence[Finding]:
        if event.standing is _STRANGER and event.faults != KEEPALIVE:
            head = event.raw[:LONGEST]
            self._note(event, event.raw, _harmless(head) if _SECRET.search(head) else head, sent=False, proven=False)
        return _NOTHING

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        source = self._source(event.source)
        source.followed = event.at + FOLLOWED
        source.awaited = source.awaited or 1  # the answer that said so
        if event.proven:
            self._sources.keep(sender_key(event.source))
        return _NOTHING

    def _follows(self, event: Asked) -> bool:
        source = self._sources.get(sender_key(event.source))
        return source is not None and event.at < source.followed

    def _note(
        self, event: Asked | Answered | Unread, raw: bytes, head: bytes | str, *, sent: bool, proven: bool
    ) -> None:
        source = self._source(event.source)
        entries = source.entries
        source.awaited = max(0, source.awaited - 1) if sent else min(source.awaited + 1, EACH)
        if entries:
            if event.at - entries[-1].at > _BURST:
                self._sources.touch(sender_key(event.source))
            if len(entries) >= EACH:
                del entries[0]
        if len(head) > LONGEST:
            head = head[:LONGEST]
        entries.append(Entry(event, head, len(raw), sent=sent))
        if proven:
            self._sources.keep(sender_key(event.source))

    def _source(self, address: Address) -> _Source:
        key = sender_key(address)
        source = self._sources.get(key)
        if source is None:
            source = _Source()
            self._sources.put(key, source, address)
        return source

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"journal_sources": len(self._sources), "journal_sources_evicted": self._sources.evicted}


def _shown(request: SipRequest) -> bytes | str:
    """Give what may be kept of a request."""
    if _may_tell(request):
        return _harmless(request.raw)
    if request.header("authorization") is None and request.header("proxy-authorization") is None:
        return request.raw
    return without_digest(request) or _harmless(request.raw)


def _told(response: SipResponse) -> bytes | str:
    """Give what may be kept of an answer: some repeat a guess, and some hold a digest of the PBX's own (RFC 7615)."""
    proves = any(response.header(name) is not None for name in ("authentication-info", "proxy-authentication-info"))
    return _harmless(response.raw) if proves or _may_tell(response) else response.raw


def _harmless(raw: bytes) -> str:
    return "\n".join(redact(raw[:LONGEST]))


def _may_tell(message: SipMessage) -> bool:
    """Tell whether a guess may stand in a tag, as SIPVicious writes it there: a colon among hexadecimal digits."""
    tag = message.from_tag
    return len(tag) > _TAG and b"3a" in tag.lower()
