"""How many guesses of one source may be on their way to the PBX: failures and unanswered attempts up to a limit.

Counting failures alone comes too late: fifty guesses can be sent before the first is answered. So each attempt takes a
place until its answer is seen, or 32 seconds are over; one that finds no place is to come again. An answer that is no
failure gives the place back, and so does a call of that account that leaves. Nothing here is evidence, and nobody is
banned for it.

Nobody is shut out by what others do. What anybody could have sent in an address's name is counted apart from what its
holder sent; and behind an address with healthy devices each account is counted by itself (all that are not healthy also
together). Of these, when the limit is reached, one attempt may follow in each part of the window: a rate, never zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sipguard.address import Address, sender_key
from sipguard.model import SECOND, Account, Instant, Span
from sipguard.table import Table, neighbourhood

PATIENCE: Span = 32 * SECOND
"""64 times T1 (RFC 3261 section 17.1.2.2): then an unanswered attempt gives its place back, uncounted."""

MOST = 20_000
"""Sources remembered at once; of one whose record had to go, less is held back."""

_CROWD = 4  # behind an address with healthy devices, all accounts together may fail so many times the limit
_KEPT = 64  # failures, and attempts on their way, that are kept of one source, or as many as the limit if that is more


class Limit(NamedTuple):
    """The policy's: so many failures within the window. `failures` 0: guesses are nobody's concern."""

    failures: int
    window: Span


class Attempt(NamedTuple):
    """A credential on its way. `key` is its transaction's, `mark` tells it from others under the same key."""

    source: Address
    key: bytes
    mark: bytes
    account: Account
    proven: bool


class _Flying(NamedTuple):
    at: Instant
    attempt: Attempt


class _Failure(NamedTuple):
    at: Instant
    account: Account
    proven: bool


class _Source:
    """What one source has failed with lately, and what it waits to hear of; each oldest first, and mostly empty."""

    __slots__ = ("failures", "flying")

    def __init__(self) -> None:
        self.failures: tuple[_Failure, ...] = ()
        self.flying: tuple[_Flying, ...] = ()


class Guesses:
    """Counts per source, an IPv6 one being its /64."""

    __slots__ = ("_kept", "_limit", "_sources", "deferred")

    def __init__(self, limit: Limit) -> None:
        self.adopt(limit)
        self._sources: Table[bytes, _Source] = Table(MOST, MOST // 8, neighbourhood)
        self.deferred = 0

    def adopt(self, limit: Limit) -> None:
        """Go by this limit from now on."""
        self._limit = limit
        self._kept = max(_KEPT, limit.failures)

    def may_go(self, at: Instant, attempt: Attempt, devices: frozenset[Account]) -> bool:
        """Give an attempt its place; False when there is none. `devices` are healthy behind this address."""
        if not self._limit.failures:
            return True
        key = sender_key(attempt.source)
        source = self._sources.get(key)
        if source is None:
            source = _Source()
            self._sources.put(key, source, attempt.source)
        self._age(at, source)
        if any(each.attempt.key == attempt.key and each.attempt.mark == attempt.mark for each in source.flying):
            return True  # a copy, and its original is on its way
        if not self._has_place(at, source, attempt, devices):
            self.deferred += 1
            return False
        source.flying = (*source.flying, _Flying(at, attempt))[-self._kept :]
        if attempt.proven:
            self._sources.keep(key)
        return True

    def _has_place(self, at: Instant, source: _Source, attempt: Attempt, devices: frozenset[Account]) -> bool:
        limit = self._limit
        failed = [each for each in source.failures if each.proven == attempt.proven]
        flying = [each for each in source.flying if each.attempt.proven == attempt.proven]
        if devices:
            crowded = len(failed) + len(flying) >= _CROWD * limit.failures
            if crowded and attempt.account not in devices:
                return self._in_turn(at, failed, flying)
            failed = [each for each in failed if each.account == attempt.account]
            flying = [each for each in flying if each.attempt.account == attempt.account]
        if len(failed) + len(flying) < limit.failures:
            return True
        return (bool(devices) or not attempt.proven) and self._in_turn(at, failed, flying)

    def _in_turn(self, at: Instant, failed: list[_Failure], flying: list[_Flying]) -> bool:
        """Let one go in each part of the window, when nothing else is on its way."""
        return not flying and bool(failed) and at - failed[-1].at >= self._limit.window // self._limit.failures

    def _age(self, at: Instant, source: _Source) -> None:
        if source.failures and source.failures[0].at <= at - self._limit.window:
            source.failures = tuple([each for each in source.failures if each.at > at - self._limit.window])
        if source.flying and source.flying[0].at <= at - PATIENCE:
            source.flying = tuple([each for each in source.flying if each.at > at - PATIENCE])

    # --- Answers ------------------------------------------------------------------------------------------------------

    def answered(self, address: Address, key: bytes) -> None:
        """Note that the PBX answered an attempt under this key: the oldest of those has its place no more."""
        source = self._sources.get(sender_key(address))
        if source is None:
            return
        for number, each in enumerate(source.flying):
            if each.attempt.key == key:
                source.flying = source.flying[:number] + source.flying[number + 1 :]
                return

    def let_in(self, address: Address, account: Account) -> None:
        """Note that the PBX goes by a credential of this account: the oldest attempt of it has its place no more."""
        source = self._sources.get(sender_key(address))
        if source is None:
            return
        for number, each in enumerate(source.flying):
            if each.attempt.account == account:
                source.flying = source.flying[:number] + source.flying[number + 1 :]
                return

    def failed(self, at: Instant, address: Address, account: Account, *, proven: bool) -> None:
        """Note that the PBX rejected a credential, and nothing excuses it."""
        key = sender_key(address)
        source = self._sources.get(key)
        if source is None:
            source = _Source()
            self._sources.put(key, source, address)
        source.failures = (*source.failures, _Failure(at, account, proven))[-self._kept :]

    def succeeded(self, address: Address, account: Account) -> None:
        """Forget an account's failures: its owner got in."""
        source = self._sources.get(sender_key(address))
        if source is not None:
            source.failures = tuple([each for each in source.failures if each.account != account])

    def forgive(self, address: Address) -> None:
        """Forget all of a source: the operator has said so, or it was banned and that is over."""
        self._sources.pop(sender_key(address))

    def counted(self, at: Instant, address: Address) -> Iterator[tuple[str, int]]:
        """Give how many failures and how many unanswered attempts count now."""
        source = self._sources.get(sender_key(address))
        if source is not None:
            self._age(at, source)
            yield "failed", len(source.failures)
            yield "flying", len(source.flying)

    def counters(self) -> dict[str, int]:
        """Give the fill, the evictions, and how often an attempt had to come again."""
        return {
            "guessers": len(self._sources),
            "guessers_evicted": self._sources.evicted,
            "guesses_deferred": self.deferred,
        }
