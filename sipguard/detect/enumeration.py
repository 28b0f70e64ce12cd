"""Looking for accounts: a stranger tries one name after the other and completes nothing.

What it sees
    Answers of the PBX to strangers: 403, 404 and the like, and challenges (401, 407) that are not taken up with a
    credential within 32 s. What counts is how many different accounts (users in To) a source, or a /24 (/48 in IPv6)
    with `sources` of them, was so refused in a fast and in a slow window, over all methods; and how many challenges of
    REGISTER, INVITE and SUBSCRIBE it left alone. An account that succeeds is taken back; a source from which a device
    has registered, now or in the days before, is not counted at all.

Why it matters
    A list of the accounts that exist is what guessing begins with, and where a PBX answers differently for those that
    do, it takes seconds.

Known false alarms
    A place with dozens of devices none of which is known to the PBX: after a move to a new one. What a sender does by
    UDP without a credential may be another's doing, so it is never proven, and throttled at the most.

Ways around it
    Fewer names than the slow window has, from each of many networks. Making the guard forget by registering with an
    account of one's own. Credentials with every request, which `credentials` counts.

Options
    enabled, accounts, window, slow_accounts, slow_window, unanswered, neighbours, sources, remembered, then

References
    RFC 3261 sections 10.3, 21.4.5 and 22.1; RFC 3261 section 17.1.1.2 for the 32 s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from sipguard.address import Address, sender_key, subject_of
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.event import Answered, Asked, AuthSucceeded, Event, Recalled, Registered, Standing
from sipguard.model import DAY, MINUTE, SECOND, Consequence, Finding, Instant, Span, Transport
from sipguard.table import Table, neighbourhood
from sipguard.window import Crowd, party

NAME = "enumeration"
PATIENCE: Span = 32 * SECOND
"""64 times T1: past it a challenge is not going to be taken up."""

_NOTHING: tuple[Finding, ...] = ()
_REFUSED = frozenset({401, 403, 404, 405, 407, 410, 484, 485, 604})
_CHALLENGES = frozenset({401, 407})
_MUST_BE_TAKEN_UP = frozenset({"REGISTER", "INVITE", "SUBSCRIBE"})  # monitors leave challenged OPTIONS alone for years
_HOME: Span = 7 * DAY
_OPEN = 64
_OWN = 3
_SHOWN: Instant = -1


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.enumeration]`."""

    enabled: Annotated[bool, Described("Whether looking for accounts is looked for")] = True
    accounts: Annotated[
        int, Between(2, 1000), Described("Different accounts that a source tried in vain within the window")
    ] = 20
    window: Annotated[Span, DurationBetween(10 * SECOND, DAY), Described("How long one counts for that")] = 10 * MINUTE
    slow_accounts: Annotated[int, Between(2, 1000), Described("The same within the slow window")] = 60
    slow_window: Annotated[Span, DurationBetween(MINUTE, 30 * DAY), Described("How long one counts there")] = DAY
    unanswered: Annotated[int, Between(2, 1000), Described("Challenges that a source left alone within the window")] = (
        50
    )
    neighbours: Annotated[
        int, Between(2, 1000), Described("Different accounts that a /24 or /48 tried in vain within the slow window")
    ] = 120
    sources: Annotated[int, Between(2, 100), Described("Different sources of it that must have tried")] = 3
    remembered: Annotated[int, Between(1000, 1_000_000), Described("The most sources remembered at once")] = 10_000
    then: Annotated[Consequence, Described("What becomes of a source that is found")] = Consequence.BLOCK


class _Source:
    """What one stranger tried: accounts by number, those of them by TCP, and the challenges it has not taken up yet."""

    __slots__ = ("home", "left", "open", "proven", "tried")

    def __init__(self, home: Address) -> None:
        self.home = home
        self.tried = Crowd()
        self.proven: Crowd | None = None
        self.left: Crowd | None = None
        self.open: dict[int, Instant] = {}  # by account: when it was challenged; _SHOWN: a credential is on its way


class Detector:
    """Counts what strangers try in vain; challenges are settled as later events come in, whoever they are of."""

    __slots__ = ("_config", "_due", "_homes", "_networks", "_sources", "handlers", "overlooked")

    strangers: ClassVar = frozenset({Asked, Answered})

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sources: Table[bytes, _Source] = Table(config.remembered, config.remembered // 8, neighbourhood)
        self._networks: Table[bytes, tuple[Crowd, Crowd]] = Table(config.remembered // 4)
        self._homes: Table[bytes, Instant] = Table(config.remembered)
        self._due: deque[tuple[Instant, bytes, int, bool, bool]] = deque()
        self.overlooked = 0
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            Answered: self._answered,
            AuthSucceeded: self._succeeded,
            Registered: self._registered,
            Recalled: self._registered,
        }

    # --- What is heard ------------------------------------------------------------------------------------------------

    def _asked(self, event: Asked) -> Sequence[Finding]:
        if event.standing is not Standing.STRANGER:
            return _NOTHING
        if event.request.credentials:
            source = self._sources.get(sender_key(event.source))
            if source is not None and source.open:
                account = party(event.request.to_user)
                if account in source.open:
                    source.open[account] = _SHOWN
        due = self._due
        return self._settle(event.at) if due and due[0][0] <= event.at else _NOTHING

    def _answered(self, event: Answered) -> Sequence[Finding]:
        if event.standing is not Standing.STRANGER or event.response.code not in _REFUSED:
            return _NOTHING
        at, key, response = event.at, sender_key(event.source), event.response
        home = self._homes.get(key)
        if home is not None and at - home < _HOME:
            return _NOTHING
        source = self._sources.get(key)
        if source is None:
            source = _Source(event.source)
            self._sources.put(key, source, event.source)
        account = party(response.to_user)
        proven = event.proven and event.transport is Transport.TCP  # a datagram without a credential proves nothing
        if response.code not in _CHALLENGES:
            return self._count(at, key, source, account, proven=proven)
        opened = source.open.get(account)
        if opened == _SHOWN:  # a rejected credential: counted where guessing is
            del source.open[account]
        elif opened is None or at - opened > PATIENCE:
            _bound(source.open)
            source.open[account] = at
            self._due.append((at + PATIENCE, key, account, proven, response.cseq_method in _MUST_BE_TAKEN_UP))
            if len(self._due) > self._config.remembered:
                self._overlook()
        return _NOTHING

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        source = self._sources.get(sender_key(event.source))
        if source is not None and event.method == "REGISTER":
            account = party(event.account.username.encode())
            source.open.pop(account, None)
            source.tried.forget(account)
            if source.proven is not None:
                source.proven.forget(account)
        return _NOTHING

    def _registered(self, event: Registered | Recalled) -> Sequence[Finding]:
        key = sender_key(event.source)
        self._homes.renew(key, event.at, event.source)
        self._sources.pop(key)
        return _NOTHING

    # --- What is counted ----------------------------------------------------------------------------------------------

    def _settle(self, now: Instant) -> Sequence[Finding]:
        """Count the challenges that were not taken up in time; a few for each event, so that none costs much."""
        found: list[Finding] = []
        for _ in range(min(len(self._due), 32)):
            if self._due[0][0] > now:
                break
            due, key, account, proven, owed = self._due.popleft()
            source = self._sources.get(key)
            opened = None if source is None else source.open.get(account)
            if source is None or opened is None or (opened != _SHOWN and opened != due - PATIENCE):
                continue
            del source.open[account]
            if opened == _SHOWN:
                continue
            found += self._count(now, key, source, account, proven=proven)
            if owed:
                found += self._left_alone(now, source, proven=proven)
        return found

    def _overlook(self) -> None:
        """Forget the challenge that has waited longest: there are too many."""
        _, key, account, _, _ = self._due.popleft()
        source = self._sources.get(key)
        if source is not None:
            source.open.pop(account, None)
        self.overlooked += 1

    def _count(self, at: Instant, key: bytes, source: _Source, account: int, *, proven: bool) -> Sequence[Finding]:
        """Count one account that was tried in vain, for its source and for the network that is in."""
        config = self._config
        most = max(config.accounts, config.slow_accounts)
        self._sources.touch(key)
        if proven:
            if source.proven is None:
                source.proven = Crowd()
            source.proven.mark(at, account, most, 1)
            if told := self._over(at, source.proven):
                source.proven.clear()
                source.tried.clear()
                return (self._finding(at, source, told, proven=True),)
        source.tried.mark(at, account, most, 1)
        if told := self._over(at, source.tried):
            source.tried.clear()
            return (self._finding(at, source, told, proven=False),)
        return self._count_network(at, source, account)

    def _over(self, at: Instant, tried: Crowd) -> tuple[str, int, Span] | None:
        config = self._config
        count = len(tried.since(at - config.window))
        if count >= config.accounts:
            return "accounts", count, config.window
        if len(tried) >= config.slow_accounts:
            count = len(tried.since(at - config.slow_window))
            if count >= config.slow_accounts:
                return "slow", count, config.slow_window
        return None

    def _count_network(self, at: Instant, source: _Source, account: int) -> Sequence[Finding]:
        config, near = self._config, neighbourhood(source.home)
        crowds = self._networks.get(near)
        if crowds is None:
            crowds = (Crowd(), Crowd())
            self._networks.put(near, crowds, source.home)
        else:
            self._networks.touch(near)
        accounts, sources = crowds
        accounts.mark(at, account, config.neighbours, 1)
        sources.mark(at, int.from_bytes(sender_key(source.home)), 4 * config.sources, 1)
        edge = at - config.slow_window
        count = len(accounts.since(edge)) if len(accounts) >= config.neighbours else 0
        if count < config.neighbours or len(sources.since(edge)) < config.sources:
            return _NOTHING
        proven = source.proven is not None and len(source.proven) >= _OWN
        return (self._finding(at, source, ("network", count, config.slow_window), proven=proven),)

    def _left_alone(self, at: Instant, source: _Source, *, proven: bool) -> Sequence[Finding]:
        if source.left is None:
            source.left = Crowd()
        source.left.mark(at, int(proven), self._config.unanswered, self._config.unanswered)
        left = source.left.since(at - self._config.window)
        if len(left) < self._config.unanswered:
            return _NOTHING
        source.left.clear()
        return (self._finding(at, source, ("unanswered", len(left), self._config.window), proven=0 not in left),)

    @staticmethod
    def _finding(at: Instant, source: _Source, told: tuple[str, int, Span], *, proven: bool) -> Finding:
        identifier, count, span = told
        what = "challenges" if identifier == "unanswered" else "accounts"
        evidence: tuple[tuple[str, str | int], ...] = ((what, count), ("within_seconds", span // SECOND))
        return Finding(at, NAME, subject_of(source.home), identifier, 6, proven, evidence)

    def explain(self, at: Instant, source: Address) -> Sequence[tuple[str, int, int]]:
        """Give the options that count, what a source and its network have by now, and how much makes a finding."""
        config, found = self._config, []
        known, near = self._sources.get(sender_key(source)), self._networks.get(neighbourhood(source))
        fast, slow = at - config.window, at - config.slow_window
        if known is not None:
            found.append(("accounts", len(known.tried.since(fast)), config.accounts))
            found.append(("slow_accounts", len(known.tried.since(slow)), config.slow_accounts))
            if known.left is not None:
                found.append(("unanswered", len(known.left.since(fast)), config.unanswered))
        if near is not None:
            found.append(("neighbours", len(near[0].since(slow)), config.neighbours))
        return found

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "enumeration_sources": len(self._sources),
            "enumeration_evicted": self._sources.evicted,
            "enumeration_networks": len(self._networks),
            "enumeration_open": len(self._due),
            "enumeration_overlooked": self.overlooked,
        }


def _bound(opened: dict[int, Instant]) -> None:
    """Make room among a source's challenges: the oldest is forgotten, and counts for nothing."""
    if len(opened) >= _OPEN:
        del opened[next(iter(opened))]
