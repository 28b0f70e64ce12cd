"""Guessing: one source fails with credentials again and again.

What it sees
    Rejected credentials (401 or 407 to a request that carried some, 403 to a REGISTER), counted per source address (per
    /64 in IPv6) in a sliding window, over all methods, ports, transports and accounts. A retransmission is not counted
    twice; another response under an old transaction key is a new guess. Beside the window there is a slow one, in which
    `slow_failures` are found however evenly they come. A registration that succeeds clears what was
    counted for its account. A rejection that the nonce may explain (older than a minute, accepted before, or never
    seen) is excused `excused` times for an account that stands registered from there, and once for any other account,
    `newcomers` of those per source; beyond, it counts. `stale=true` never counts.

Why it matters
    A found password is sold within hours and calls expensive numbers at night.

Known false alarms
    A phone with an old password that retries every few seconds, or all day. More than `newcomers` phones behind one
    address whose nonces the PBX forgets before the guard has seen any of them register.

Ways around it
    Fewer than `failures` guesses per `window` and `slow_failures` per `slow_window` from one address; many addresses,
    which `accounts` and `networks` count. Guesses whose nonces prove nothing
    (shared by several addresses, or fetched where the guard cannot look) are throttled, not banned. `newcomers` guesses
    with old nonces, on as many accounts, go free for each address.

Options
    enabled, failures, window, slow_failures, slow_window, excused, newcomers, sources, then

References
    RFC 3261 section 22, RFC 7616 section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import AuthFailed, AuthSucceeded, Event
from sipguard.model import DAY, EVERY_OTHER, MINUTE, SECOND, Account, Consequence, Excuse, Finding, Instant, Span
from sipguard.table import Table, neighbourhood
from sipguard.window import Crowd, party

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
    slow_failures: Annotated[
        int, Between(1, 1000), Described("Failed credentials of one source within the slow window that do the same")
    ] = 30
    slow_window: Annotated[Span, DurationBetween(MINUTE, 30 * DAY), Described("How long a failure counts there")] = DAY
    excused: Annotated[
        int, Between(0, 10_000), Described("Failures of a registered account that an old or unknown nonce may explain")
    ] = 20
    newcomers: Annotated[
        int, Between(0, 10_000), Described("Other accounts of one source that are excused so, once each")
    ] = 50
    sources: Annotated[int, Between(1000, 10_000_000), Described("The most sources remembered at once")] = 30_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.BLOCK


_Marks: TypeAlias = tuple[tuple[Instant, Account], ...]


class _Source:
    """What one source has failed with: marks of (instant, account), and the excuses used up.

    Excuses are given back by success alone, not by time, or patience would make them endless. Of most sources there is
    one mark: tuples take a third of the room of lists.
    """

    __slots__ = ("excused", "newcomers", "proven", "slow_proven", "slow_unproven", "unproven")

    def __init__(self) -> None:
        self.slow_proven: Crowd | None = None
        self.slow_unproven: Crowd | None = None
        self.proven: _Marks = ()
        self.unproven: _Marks = ()
        self.excused: dict[Account, int] | None = None  # made when needed: of most sources nothing is ever excused
        self.newcomers: tuple[Account, ...] = ()

    def forgive(self, account: Account) -> None:
        """Forget an account's failures: it has succeeded."""
        if self.excused is not None:
            self.excused.pop(account, None)
        if account in self.newcomers:
            self.newcomers = tuple([each for each in self.newcomers if each != account])
        for slow in (self.slow_proven, self.slow_unproven):
            if slow is not None:
                slow.forget(_party(account))
        self.proven = tuple([mark for mark in self.proven if mark[1] != account])
        self.unproven = tuple([mark for mark in self.unproven if mark[1] != account])

    def set(self, marks: _Marks, *, proven: bool) -> None:
        """Hold these marks in the place of those before."""
        if proven:
            self.proven = marks
        else:
            self.unproven = marks

    def age(self, marks: _Marks, edge: Instant, most: int, *, proven: bool) -> _Marks:
        """Put marks up to `edge` among those of the slow window, where each takes 16 bytes; gives the others."""
        crowd = self.slow_proven if proven else self.slow_unproven
        if crowd is None:
            crowd = Crowd()
            if proven:
                self.slow_proven = crowd
            else:
                self.slow_unproven = crowd
        for at, account in marks:
            if at <= edge:
                crowd.mark(at, _party(account), most, most)
        return tuple([mark for mark in marks if mark[0] > edge])

    def excuse(self, event: AuthFailed, config: Config) -> bool:
        """Use up one excuse; False when there is none left."""
        account = event.account
        if event.registered:
            self.excused = self.excused or {}
            used = self.excused.get(account, 0)
            self.excused[account] = used + 1
            return used < config.excused
        if account in self.newcomers or len(self.newcomers) >= config.newcomers:
            return False
        self.newcomers = (*self.newcomers, account)
        return True


class Detector:
    """Counts failures per source; `handlers` names the events it wants."""

    __slots__ = ("_config", "_sources", "handlers")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sources: Table[bytes, _Source] = Table(config.sources, config.sources // 8, neighbourhood)
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
        if marks and marks[0][0] <= edge:
            marks = source.age(marks, edge, self._config.slow_failures, proven=event.proven)
        marks = (*marks, (event.at, event.account))
        source.set(marks, proven=event.proven)
        self._sources.touch(key)
        if event.proven:
            self._sources.keep(key)
        slow = source.slow_proven if event.proven else source.slow_unproven
        if len(marks) < self._config.failures:
            found = _NOTHING if slow is None else self._slowly(event, marks, slow)
        else:
            found = (self._finding(event, marks),)
        if found:  # what was told need not be told again, nor more slowly
            source.set((), proven=event.proven)
            if slow is not None:
                slow.clear()
        return found

    def _slowly(self, event: AuthFailed, marks: _Marks, slow: Crowd) -> Sequence[Finding]:
        if len(slow) + len(marks) < self._config.slow_failures:
            return _NOTHING
        tried = [*slow.since(event.at - self._config.slow_window), *(_party(account) for _, account in marks)]
        if len(tried) < self._config.slow_failures:
            return _NOTHING
        accounts = len(dict.fromkeys(tried))
        evidence: tuple[tuple[str, str | int], ...] = (
            ("failures", len(tried)),
            ("within_seconds", min(event.at - slow.first(), self._config.slow_window) // SECOND),
            ("accounts", accounts),
            ("tried", str(event.account) if accounts == 1 else f"{event.account} and others"),
            ("method", event.method),
            ("transport", str(event.transport)),
            ("code", event.code),
        )
        failing = (event.account,) if accounts == 1 else (event.account, EVERY_OTHER)
        return (Finding(event.at, NAME, subject_of(event.source), "slow", 7, event.proven, evidence, failing),)

    def _finding(self, event: AuthFailed, marks: _Marks) -> Finding:
        accounts = tuple(dict.fromkeys(account for _, account in marks))
        evidence: tuple[tuple[str, str | int], ...] = (
            ("failures", len(marks)),
            ("within_seconds", (event.at - marks[0][0]) // SECOND),
            ("accounts", len(accounts)),
            ("tried", ", ".join(map(str, accounts[:_SHOWN]))),
            ("method", event.method),
            ("transport", str(event.transport)),
            ("code", event.code),
        )
        return Finding(event.at, NAME, subject_of(event.source), "failures", 8, event.proven, evidence, accounts)

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if event.method != "REGISTER":  # other requests may be let in whatever credential they carry
            return _NOTHING
        subject = subject_of(event.source)
        source = self._sources.get(subject.address if subject.version == 4 else subject.address[:8])
        if source is not None:
            source.forgive(event.account)
        return _NOTHING

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what a source has by now, and how much makes a finding."""
        known, config = self._sources.get(sender_key(source)), self._config
        if known is None:
            return ()
        fast = slow = 0
        for marks, crowd in ((known.proven, known.slow_proven), (known.unproven, known.slow_unproven)):
            fast = max(fast, sum(mark[0] > at - config.window for mark in marks))
            aged = 0 if crowd is None else len(crowd.since(at - config.slow_window))
            slow = max(slow, aged + sum(mark[0] > at - config.slow_window for mark in marks))
        return (("failures", fast, config.failures), ("slow_failures", slow, config.slow_failures))

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"credentials_sources": len(self._sources), "credentials_sources_evicted": self._sources.evicted}


def _party(account: Account) -> int:
    return party(f"{account.username}\0{account.realm}".encode())
