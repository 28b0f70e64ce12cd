"""Guessing: one source fails with credentials again and again.

What it sees
    Rejected credentials (401 or 407 to a request that carried some, 403 to a REGISTER), counted per source address (per
    /64 in IPv6) in a sliding window, over all methods, ports, transports and accounts. A retransmission is not counted
    twice; another response under an old transaction key is a new guess. A registration that succeeds clears what was
    counted for its account. A rejection that the nonce may explain (older than a minute, accepted before, or never
    seen) is excused `excused` times for an account that stands registered from there, and once for any other account,
    `newcomers` of those per source; beyond, it counts. `stale=true` never counts.

Why it matters
    A found password is sold within hours and calls expensive numbers at night.

Known false alarms
    A phone with an old password that retries every few seconds. More than `newcomers` phones behind one address whose
    nonces the PBX forgets before the guard has seen any of them register.

Ways around it
    Fewer than `failures` guesses per `window` from one address; many addresses. Guesses whose nonces prove nothing
    (shared by several addresses, or fetched where the guard cannot look) are throttled, not banned. `newcomers` guesses
    with old nonces, on as many accounts, go free for each address.

Options
    enabled, failures, window, excused, newcomers, sources, then

References
    RFC 3261 section 22, RFC 7616 section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.address import subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import AuthFailed, AuthSucceeded, Event
from sipguard.model import DAY, MINUTE, SECOND, Account, Consequence, Excuse, Finding, Instant, Span
from sipguard.table import Table

NAME = "credentials"
_NOTHING: tuple[Finding, ...] = ()
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.credentials]`."""

    enabled: Annotated[bool, Described("Whether guessing is looked for")] = True
    failures: Annotated[
        int, Between(1, 1000), Described("Failed credentials of one source within the window that make a finding")
    ] = 5
    window: Annotated[Span, DurationBetween(10 * SECOND, 7 * DAY), Described("How long a failure counts")] = 10 * MINUTE
    excused: Annotated[
        int, Between(0, 10_000), Described("Failures of a registered account that an old or unknown nonce may explain")
    ] = 20
    newcomers: Annotated[
        int, Between(0, 10_000), Described("Other accounts of one source that are excused so, once each")
    ] = 50
    sources: Annotated[int, Between(1000, 10_000_000), Described("The most sources remembered at once")] = 50_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.BLOCK


class _Source:
    """What one source has failed with: marks of (instant, account), and the excuses used up.

    Excuses are given back by success alone, not by time, or patience would make them endless.
    """

    __slots__ = ("excused", "newcomers", "proven", "unproven")

    def __init__(self) -> None:
        self.proven: list[tuple[Instant, Account]] = []
        self.unproven: list[tuple[Instant, Account]] = []
        self.excused: dict[Account, int] | None = None  # made when needed: of most sources nothing is ever excused
        self.newcomers: dict[Account, None] | None = None

    def forgive(self, account: Account) -> None:
        """Forget an account's failures: it has succeeded."""
        if self.excused is not None:
            self.excused.pop(account, None)
        if self.newcomers is not None:
            self.newcomers.pop(account, None)
        self.proven = [mark for mark in self.proven if mark[1] != account]
        self.unproven = [mark for mark in self.unproven if mark[1] != account]

    def excuse(self, event: AuthFailed, config: Config) -> bool:
        """Use up one excuse; False when there is none left."""
        account = event.account
        if event.registered:
            self.excused = self.excused or {}
            used = self.excused.get(account, 0)
            self.excused[account] = used + 1
            return used < config.excused
        self.newcomers = self.newcomers or {}
        if account in self.newcomers or len(self.newcomers) >= config.newcomers:
            return False
        self.newcomers[account] = None
        return True


class Detector:
    """Counts failures per source; `handlers` names the events it wants."""

    __slots__ = ("_config", "_sources", "handlers")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sources: Table[bytes, _Source] = Table(config.sources, config.sources // 8)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            AuthFailed: self._failed,
            AuthSucceeded: self._succeeded,
        }

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        if event.excuse is Excuse.STALE:
            return _NOTHING
        subject = subject_of(event.source)
        key = subject.address if subject.version == 4 else subject.address[:8]
        source = self._sources.get(key)
        if source is None:
            source = _Source()
            self._sources.put(key, source, event.source)
        if event.excuse is not Excuse.NONE and source.excuse(event, self._config):
            return _NOTHING
        marks = source.proven if event.proven else source.unproven
        edge = event.at - self._config.window
        marks[:] = [mark for mark in marks if mark[0] > edge]
        marks.append((event.at, event.account))
        self._sources.touch(key)
        if event.proven:
            self._sources.keep(key)
        if len(marks) < self._config.failures:
            return _NOTHING
        found = self._finding(event, marks)
        marks.clear()
        return (found,)

    def _finding(self, event: AuthFailed, marks: list[tuple[Instant, Account]]) -> Finding:
        accounts = list(dict.fromkeys(str(account) for _, account in marks))
        evidence: tuple[tuple[str, str | int], ...] = (
            ("failures", len(marks)),
            ("within_seconds", (event.at - marks[0][0]) // SECOND),
            ("accounts", len(accounts)),
            ("tried", ", ".join(accounts[:_SHOWN])),
            ("method", event.method),
            ("transport", str(event.transport)),
            ("code", event.code),
        )
        return Finding(event.at, NAME, subject_of(event.source), "failures", 8, event.proven, evidence)

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if event.method != "REGISTER":  # other requests may be let in whatever credential they carry
            return _NOTHING
        subject = subject_of(event.source)
        source = self._sources.get(subject.address if subject.version == 4 else subject.address[:8])
        if source is not None:
            source.forgive(event.account)
        return _NOTHING

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"credentials_sources": len(self._sources), "credentials_sources_evicted": self._sources.evicted}
