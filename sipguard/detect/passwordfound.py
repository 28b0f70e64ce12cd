"""A password was found: a registration succeeds after guessing, and its account is in somebody else's hands.

What it sees
    A REGISTER that succeeds from where guessing at its account was seen, and where the account was never registered
    before. Guessing is any of: `failures` rejected credentials for the account within `window`, faster than anybody
    types; `accounts` different accounts failing within it, from a source where nothing ever succeeded; `slow_failures`
    for the account within `slow_window`, when it is at home elsewhere; `spread` failures of several sources within it,
    `own` of them from this one. Only proven failures count, and none of an account that stands registered there.

Why it matters
    This is the moment at which guessing begins to cost money: the next thing that happens is calls.

Known false alarms
    A new phone that tries a wrong password every few seconds until somebody corrects it. A second phone, in a new
    place, that tries a wrong one all day before it is corrected.

Ways around it
    Guessing and registering from different addresses. Right at the first tries. Guessing from an address where the
    account has been registered. Using what was found for calls without ever registering. A PBX whose nonces prove
    nothing (the same for everybody within a second) hides as much of it as it has other traffic.

Options
    enabled, failures, window, accounts, slow_failures, slow_window, spread, own, sources, then

References
    RFC 3261 section 22, RFC 7616 section 5.11.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from sipguard.address import Address, sender_key, show
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import AuthFailed, AuthSucceeded, Event, Recalled
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Account, Consequence, Excuse, Finding, Instant, Span
from sipguard.table import Table, neighbourhood
from sipguard.window import Crowd, party

NAME = "passwordfound"
_NOTHING: tuple[Finding, ...] = ()
K = TypeVar("K", bound=Hashable)
_HOMES = 8
_SOURCES = 3


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.passwordfound]`."""

    enabled: Annotated[bool, Described("Whether success after guessing is looked for")] = True
    failures: Annotated[
        int, Between(2, 1000), Described("Failed credentials for an account within the window that make guessing of it")
    ] = 5
    window: Annotated[Span, DurationBetween(SECOND, HOUR), Described("How long a failure counts for that")] = (
        20 * SECOND
    )
    accounts: Annotated[
        int, Between(2, 1000), Described("Different accounts failing within the window that make guessing of it")
    ] = 8
    slow_failures: Annotated[
        int, Between(2, 1000), Described("Failures for an account, at home elsewhere, within the slow window")
    ] = 30
    slow_window: Annotated[Span, DurationBetween(MINUTE, 30 * DAY), Described("How long a failure counts there")] = DAY
    spread: Annotated[
        int, Between(2, 1000), Described("Failures for an account of several sources within the slow window")
    ] = 20
    own: Annotated[int, Between(1, 1000), Described("How many of them must be of the source that succeeds")] = 5
    sources: Annotated[int, Between(100, 1_000_000), Described("The most sources, and accounts, remembered")] = 5_000
    then: Annotated[Consequence, Described("What becomes of the account")] = Consequence.QUARANTINE


class Detector:
    """Remembers what failed where, and where accounts are at home."""

    __slots__ = ("_attacked", "_config", "_failing", "_healthy", "_homes", "handlers")

    def __init__(self, config: Config) -> None:
        self._config = config
        most = config.sources
        self._failing: Table[bytes, Crowd] = Table(most, most // 8, neighbourhood)  # who: the account
        self._attacked: Table[Account, Crowd] = Table(most, most // 8)  # who: the source
        self._homes: Table[Account, tuple[bytes, ...]] = Table(5 * config.sources)
        self._healthy: Table[bytes, None] = Table(5 * config.sources)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            AuthFailed: self._failed,
            AuthSucceeded: self._succeeded,
            Recalled: self._recalled,
        }

    def _failed(self, event: AuthFailed) -> Sequence[Finding]:
        if not event.proven or event.registered or event.excuse is Excuse.STALE:
            return _NOTHING
        config, key = self._config, sender_key(event.source)
        most = 8 * max(config.failures, config.slow_failures)
        _crowd(self._failing, key, event.source).mark(event.at, _number(event.account), most, most // 4)
        _crowd(self._attacked, event.account, event.source).mark(event.at, int.from_bytes(key), most, most // 4)
        return _NOTHING

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if event.method != "REGISTER":  # other requests may be let in whatever credential they carry
            return _NOTHING
        key, account = sender_key(event.source), event.account
        failing = self._failing.get(key)
        homes = self._homes.get(account) or ()
        found: Sequence[Finding] = _NOTHING
        if failing is not None:
            why = "" if key in homes else self._guessed(event.at, key, account, failing)
            failing.forget(_number(account))
            if why:
                found = (self._finding(event, why),)
        attacked = self._attacked.get(account)
        if attacked is not None:
            attacked.forget(int.from_bytes(key))
        if not found:
            self._settle(key, account, homes, event.source)
        return found

    def _guessed(self, at: Instant, key: bytes, account: Account, failing: Crowd) -> str:
        """Say what guessing went before; empty when it was none."""
        config, who = self._config, _number(account)
        fast = failing.since(at - config.window)
        if fast.count(who) >= config.failures:
            return "fast"
        if key not in self._healthy and len(dict.fromkeys(fast)) >= config.accounts:
            return "many accounts"
        slow = failing.since(at - config.slow_window).count(who)
        if slow >= config.slow_failures and account in self._homes:
            return "slow"
        attacked = self._attacked.get(account)
        if attacked is None or slow < config.own:
            return ""
        return "many sources" if attacked.shared(at - config.slow_window, config.spread, _SOURCES) else ""

    def _finding(self, event: AuthSucceeded, why: str) -> Finding:
        evidence: tuple[tuple[str, str | int], ...] = (
            ("source", show(event.source)),
            ("guessing", why),
            ("transport", str(event.transport)),
        )
        return Finding(event.at, NAME, event.account, why, 10, event.proven, evidence)

    def _recalled(self, event: Recalled) -> Sequence[Finding]:
        homes = self._homes.get(event.account) or ()
        self._settle(sender_key(event.source), event.account, homes, event.source)
        return _NOTHING

    def _settle(self, key: bytes, account: Account, homes: tuple[bytes, ...], source: Address) -> None:
        """Note that an account is at home at a source."""
        if not homes or homes[-1] != key:
            self._homes.put(account, (*(each for each in homes[1 - _HOMES :] if each != key), key), source)
        if key not in self._healthy:
            self._healthy.put(key, None, source)

    def explain_account(self, at: Instant, name: str) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what the accounts of that name have by now, and how much makes a finding."""
        found = []
        for account in self._attacked:
            attacked = self._attacked.get(account) if name in account.called() else None
            if attacked is not None:
                found.append(("spread", len(attacked.since(at - self._config.slow_window)), self._config.spread))
        return found

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "passwordfound_sources": len(self._failing),
            "passwordfound_evicted": self._failing.evicted + self._attacked.evicted,
            "passwordfound_homes": len(self._homes),
        }


def _number(account: Account) -> int:
    return party(f"{account.username}\0{account.realm}".encode())


def _crowd(table: Table[K, Crowd], key: K, owner: Address) -> Crowd:
    crowd = table.get(key)
    if crowd is None:
        crowd = Crowd()
        table.put(key, crowd, owner)
    else:
        table.touch(key)
    return crowd
