"""Dial-plan probing: a stranger dials one number under many prefixes, to find the one that leads out.

What it sees
    INVITEs of strangers. What is dialled (the user of the request URI, `tel:` as well; escapes undone, separators such
    as "-" and "." taken out) is cut into a tail of `tail` digits and the head before it. `heads` different heads for
    one tail from one source within `window` make a finding; a head with a plus that does not stand first (`0+`,
    `9011+`) counts twice. So do `heads` heads for one tail from `spread` sources together. What can be no number at all
    (`++`, or `sip:@` with nobody before the host) is found at once.

Why it matters
    The search for an open way out to the telephone network comes before the fraud, and needs no password.

Known false alarms
    A carrier that is not listed as a `[[trunk]]` and delivers one number in three forms. A device that authenticates
    each call without ever registering, whose user tries three ways to write one number within a day.

Ways around it
    Another number for each prefix; digits appended to the number; so many numbers between that `tails` is not enough,
    which costs that network's own entries first. Where a device is registered nobody is looked at. Over UDP without a
    login nothing is proven: such a prober is throttled.

Options
    enabled, tail, heads, spread, window, tails, then

References
    RFC 3261 section 19.1.1, RFC 3966 section 5.1.1 (visual separators), ITU-T E.164.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Answered, Asked, Event, Standing
from sipguard.model import DAY, MINUTE, SECOND, Consequence, Finding, Instant, Span
from sipguard.sip.uri import user_of
from sipguard.table import Table, neighbourhood

NAME = "dialplan"
_NOTHING: tuple[Finding, ...] = ()
_SEPARATORS = b"-.() \t/"
_NUMBER = re.compile(rb"[0-9+*#]++")
_LONGEST = 40
"""Characters of a dialled string that are looked at, from its end: a tail needs no more (E.164 has 15 digits)."""
_KEPT = 16
"""Heads of one tail of one source, and sources of one tail, that are remembered."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.dialplan]`."""

    enabled: Annotated[bool, Described("Whether probing for prefixes is looked for")] = True
    tail: Annotated[int, Between(7, 15), Described("Digits at the end that make it the same number")] = 7
    heads: Annotated[
        int, Between(2, _KEPT), Described("Different prefixes of one number within the window that make a finding")
    ] = 3
    spread: Annotated[
        int, Between(2, _KEPT), Described("Sources that must have tried a number for their prefixes to add up")
    ] = 3
    window: Annotated[Span, DurationBetween(10 * MINUTE, 30 * DAY), Described("How long a prefix counts")] = DAY
    tails: Annotated[int, Between(1000, 1_000_000), Described("The most numbers, and sources, remembered at once")] = (
        20_000
    )
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.BLOCK


class _Tried:
    """One prefix, or one source's last prefix: which, when, and whether its sender showed his address by it."""

    __slots__ = ("at", "head", "shown")

    def __init__(self, at: Instant, head: bytes, *, shown: bool) -> None:
        self.at = at
        self.head = head
        self.shown = shown


class Detector:
    """Remembers prefixes by source and tail, and by tail over all sources; and who had a call answered."""

    __slots__ = ("_answered", "_config", "_everywhere", "_own", "handlers")

    strangers: ClassVar = frozenset({Asked, Answered})
    methods: ClassVar = frozenset({"INVITE"})

    def __init__(self, config: Config) -> None:
        self._config = config
        most = config.tails
        self._own: Table[bytes, dict[bytes, _Tried]] = Table(most, most // 8)  # by sender and tail; inside, by head
        self._everywhere: Table[bytes, dict[bytes, _Tried]] = Table(most, most // 8)  # by tail; inside, by sender
        self._answered: Table[bytes, Instant] = Table(most, most // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Answered: self._heard_answer,
        }

    def _asked(self, event: Asked) -> Sequence[Finding]:
        if event.standing is not Standing.STRANGER or event.repeated or event.request.method != "INVITE":
            return _NOTHING
        uri = event.request.uri
        if uri[:5].lower() == b"sip:@" or uri[:6].lower() == b"sips:@":
            return (_impossible(event, "nobody before the host"),)
        dialled = user_of(uri)[-_LONGEST:].translate(None, _SEPARATORS)
        if _NUMBER.fullmatch(dialled) is None:
            return _NOTHING
        if b"++" in dialled:
            return (_impossible(event, "++"),)
        dialled = dialled.rstrip(b"#*")
        head, tail = dialled[: -self._config.tail], dialled[-self._config.tail :]
        if len(tail) < self._config.tail or not tail.isdigit():
            return _NOTHING
        found = self._from_one(event, head, tail)
        return found or self._from_many(event, head, tail)

    def _from_one(self, event: Asked, head: bytes, tail: bytes) -> Sequence[Finding]:
        heads = self._note(self._own, event, sender_key(event.source) + tail, head, head)
        if _weight(heads.values()) < self._config.heads:
            return _NOTHING
        shown = _weight(each for each in heads.values() if each.shown) >= self._config.heads
        return (self._finding(event, "many prefixes", 8, tail, list(heads.values()), proven=event.shown and shown),)

    def _from_many(self, event: Asked, head: bytes, tail: bytes) -> Sequence[Finding]:
        """Add up what several sources tried; blames the one that speaks, unless somebody ever took a call of his."""
        sender = sender_key(event.source)
        senders = self._note(self._everywhere, event, tail, sender, head)
        if len(senders) < self._config.spread:
            return _NOTHING
        heads = {each.head: each for each in senders.values()}
        if _weight(heads.values()) < self._config.heads:
            return _NOTHING
        answered = self._answered.get(sender)
        if answered is not None and event.at - answered < self._config.window:
            return _NOTHING
        shown = all(each.shown for each in senders.values())
        return (self._finding(event, "many sources", 7, tail, list(senders.values()), proven=shown),)

    def _note(
        self, table: Table[bytes, dict[bytes, _Tried]], event: Asked, key: bytes, by: bytes, head: bytes
    ) -> dict[bytes, _Tried]:
        """Note a prefix, and give all that still count for the key, the oldest first."""
        tried = table.get(key)
        if tried is None:
            tried = {}
            table.put(key, tried, event.source)
        else:
            table.touch(key)
        known = tried.pop(by, None)
        shown = event.shown or (known is not None and known.shown and known.head == head)
        tried[by] = _Tried(event.at, head, shown=shown)
        edge = event.at - self._config.window
        while True:
            oldest = next(iter(tried))
            if tried[oldest].at > edge and len(tried) <= _KEPT:
                return tried
            del tried[oldest]

    def _finding(
        self, event: Asked, identifier: str, severity: int, tail: bytes, tried: Sequence[_Tried], *, proven: bool
    ) -> Finding:
        heads = dict.fromkeys(each.head.decode("ascii") for each in tried)
        common = _common_end(list(heads))
        evidence: tuple[tuple[str, str | int], ...] = (
            ("number", f"...{common}{tail.decode('ascii')}"),
            ("prefixes", ", ".join(head.removesuffix(common) or "none" for head in heads)),
            ("tried", len(heads)),
            ("within_seconds", (event.at - min(each.at for each in tried)) // SECOND),
        )
        if identifier == "many sources":
            evidence += (("sources", len(tried)),)
        return Finding(event.at, NAME, subject_of(event.source), identifier, severity, proven, evidence)

    def _heard_answer(self, event: Answered) -> Sequence[Finding]:
        response = event.response
        if event.standing is Standing.STRANGER and response.code < 300 and response.cseq_method == "INVITE":
            self._answered.renew(sender_key(event.source), event.at, event.source)
        return _NOTHING

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the option that counts, the most prefixes that a source has tried of one number, and how many do."""
        key, edge = sender_key(source), at - self._config.window
        own = [self._own.get(each) or {} for each in self._own if each.startswith(key)]
        most = max((_weight(each for each in heads.values() if each.at > edge) for heads in own), default=0)
        return (("heads", most, self._config.heads),)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "dialplan_own": len(self._own),
            "dialplan_own_evicted": self._own.evicted,
            "dialplan_everywhere": len(self._everywhere),
            "dialplan_everywhere_evicted": self._everywhere.evicted,
            "dialplan_answered": len(self._answered),
            "dialplan_answered_evicted": self._answered.evicted,
        }


def _weight(tried: Iterable[_Tried]) -> int:
    """Count prefixes; one that holds a plus anywhere but at its start is dialled by no person, and counts twice."""
    return sum([2 if b"+" in each.head[1:] else 1 for each in tried])


def _common_end(heads: Sequence[str]) -> str:
    """Give what all heads end with: it belongs to the number."""
    shortest = min(heads, key=len)
    return next(shortest[at:] for at in range(len(shortest) + 1) if all(head.endswith(shortest[at:]) for head in heads))


def _impossible(event: Asked, what: str) -> Finding:
    evidence: tuple[tuple[str, str | int], ...] = (("dialled", what), ("transport", str(event.transport)))
    return Finding(event.at, NAME, subject_of(event.source), "no number", 8, event.shown, evidence)
