"""Several guesses under one key: different credentials under one branch, Call-ID and CSeq.

What it sees
    A rejected credential under a transaction key under which another credential had been sent before.

Why it matters
    RFC 3261 section 22.2 wants a new CSeq for every repetition with credentials. A guard that takes the second copy for
    a retransmission sees one guess where the PBX judged many.

Known false alarms
    None known; no phone was seen doing it.

Ways around it
    Guessing with proper keys, which `credentials` counts.

Options
    enabled, sources, then

References
    RFC 3261 sections 17.2.3 and 22.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.address import subject_of
from sipguard.constraint import Between, Described
from sipguard.event import AuthFailed, Event
from sipguard.model import HOUR, Consequence, Finding, Instant
from sipguard.table import Table, neighbourhood

NAME = "samekey"
_NOTHING: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.samekey]`."""

    enabled: Annotated[bool, Described("Whether guesses under one transaction key are looked for")] = True
    sources: Annotated[int, Between(100, 1_000_000), Described("The most sources remembered at once")] = 10_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.REPORT


class Detector:
    """Reports a source once an hour at the most."""

    __slots__ = ("_told", "handlers")

    def __init__(self, config: Config) -> None:
        self._told: Table[bytes, Instant] = Table(config.sources, config.sources // 8, neighbourhood)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {AuthFailed: self._failed}

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        if not event.same_key:
            return _NOTHING
        subject = subject_of(event.source)
        told = self._told.get(subject.address)
        if told is not None and event.at - told < HOUR:
            return _NOTHING
        self._told.put(subject.address, event.at, event.source)
        evidence: tuple[tuple[str, str | int], ...] = (("method", event.method), ("account", str(event.account)))
        return (Finding(event.at, NAME, subject, "same-key", 7, event.proven, evidence),)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"samekey_sources": len(self._told), "samekey_sources_evicted": self._told.evicted}
