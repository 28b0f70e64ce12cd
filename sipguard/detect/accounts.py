"""One account guessed at from many sources: each too slow or too brief to be seen alone.

What it sees
    Rejected credentials for one account, whatever they come from, in a fast and in a slow window. Sources count only
    where there are at least `sources` of them, and none for more than half of what is needed. What an account's own
    devices fail with does not count: neither from where it stands registered, nor from where it then succeeds.
    `stale=true` never counts.

Why it matters
    Two hundred addresses with one guess an hour each make 4,800 guesses a day, and no counter per address sees them.

Known false alarms
    An account whose password was changed, with several devices in several places that keep trying the old one. A shield
    does no harm to those that have registered lately.

Ways around it
    More addresses and more patience than the slow window has. Guessing at many accounts in turn, one guess each: what
    those have in common is seen by `networks` alone.

Options
    enabled, failures, window, slow_failures, slow_window, sources, accounts, then

References
    RFC 3261 section 22, RFC 7616 section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sipguard.address import sender_key
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import AuthFailed, AuthSucceeded, Event
from sipguard.model import DAY, MINUTE, SECOND, Account, Consequence, Excuse, Finding, Instant, Span
from sipguard.table import Table
from sipguard.window import Crowd

NAME = "accounts"
_NOTHING: tuple[Finding, ...] = ()
_LONG_AGO: Instant = -1 << 62


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.accounts]`."""

    enabled: Annotated[bool, Described("Whether guessing at one account from many sources is looked for")] = True
    failures: Annotated[
        int, Between(2, 1000), Described("Failed credentials for one account within the window that make a finding")
    ] = 20
    window: Annotated[Span, DurationBetween(10 * SECOND, DAY), Described("How long a failure counts for that")] = (
        10 * MINUTE
    )
    slow_failures: Annotated[int, Between(2, 1000), Described("The same within the slow window")] = 60
    slow_window: Annotated[Span, DurationBetween(MINUTE, 30 * DAY), Described("How long a failure counts there")] = DAY
    sources: Annotated[int, Between(2, 100), Described("Different sources that must have failed")] = 3
    accounts: Annotated[int, Between(100, 1_000_000), Described("The most accounts remembered at once")] = 10_000
    then: Annotated[Consequence, Described("What becomes of an account that is found")] = Consequence.SHIELD


class _Attacked:
    """What one account was tried with."""

    __slots__ = ("crowd", "told", "unproven")

    def __init__(self) -> None:
        self.crowd = Crowd()
        self.told = _LONG_AGO
        self.unproven = _LONG_AGO  # the last failure that anybody could have sent in its sender's name


class Detector:
    """Counts failures per account; an account that is known to be real is remembered longest."""

    __slots__ = ("_accounts", "_config", "_most", "handlers")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._most = 2 * max(config.failures, config.slow_failures)
        self._accounts: Table[Account, _Attacked] = Table(config.accounts, config.accounts // 8)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            AuthFailed: self._failed,
            AuthSucceeded: self._succeeded,
        }

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        if event.registered or event.excuse is Excuse.STALE:
            return _NOTHING
        account = self._accounts.get(event.account)
        if account is None:
            account = _Attacked()
            self._accounts.put(event.account, account, event.source)
        else:
            self._accounts.touch(event.account)
        at, config = event.at, self._config
        account.crowd.mark(at, int.from_bytes(sender_key(event.source)), self._most, self._most // 4)
        if not event.proven:
            account.unproven = at
        if at - account.told < config.window:
            return _NOTHING
        parties, span = account.crowd.shared(at - config.window, config.failures, config.sources), config.window
        if not parties:
            parties = account.crowd.shared(at - config.slow_window, config.slow_failures, config.sources)
            span = config.slow_window
        if not parties:
            return _NOTHING
        account.told = at
        return (self._finding(event, account, len(parties), span),)

    def _finding(self, event: AuthFailed, account: _Attacked, sources: int, span: Span) -> Finding:
        proven = event.at - account.unproven >= span
        evidence: tuple[tuple[str, str | int], ...] = (
            ("failures", len(account.crowd.since(event.at - span))),
            ("sources", sources),
            ("within_seconds", span // SECOND),
            ("method", event.method),
        )
        identifier = "fast" if span == self._config.window else "slow"
        return Finding(event.at, NAME, event.account, identifier, 7, proven, evidence)

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if event.method != "REGISTER":  # other requests may be let in whatever credential they carry
            return _NOTHING
        account = self._accounts.get(event.account)
        if account is not None:
            account.crowd.forget(int.from_bytes(sender_key(event.source)))
            self._accounts.keep(event.account)
        return _NOTHING

    def explain_account(self, at: Instant, name: str) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what the accounts of that name have by now, and how much makes a finding."""
        config, found = self._config, []
        for account in self._accounts:
            attacked = self._accounts.get(account) if name in account.called() else None
            if attacked is not None:
                fast, slow = (attacked.crowd.since(at - span) for span in (config.window, config.slow_window))
                found.append(("failures", len(fast), config.failures))
                found.append(("slow_failures", len(slow), config.slow_failures))
        return found

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"accounts_attacked": len(self._accounts), "accounts_attacked_evicted": self._accounts.evicted}
