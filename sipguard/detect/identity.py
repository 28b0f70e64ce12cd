"""Somebody else's name: a good credential of one account, under the name of another.

What it sees
    Registrations and calls that the PBX accepted, whose credential belongs to one user and whose From names another.
    A pair that was there from the beginning is learned, for PBXs whose credentials are named otherwise than their
    extensions. Found is a name that an account has not used before, once it has kept to its names `steady` times; and
    a name that another account has kept to as often. Calls without a name (anonymous) do not count, nor do exempt
    senders.

Why it matters
    A PBX that checks only the credential lets anybody with a password call, and be billed, as anybody else.

Known false alarms
    A PBX behind one account that writes its callers' numbers into From: after `names` different ones an account is
    left alone. An extension that got a new number. A PBX that lets calls to some destinations in without a look at
    the credentials in them.

Ways around it
    Using the wrong name from the first time on, unless it is one that is known already. Using so many names that the
    account is left alone, for the price of being reported first.

Options
    enabled, steady, names, accounts, then

References
    RFC 3261 sections 8.1.1.3 and 22.1, RFC 3323 section 4.1, RFC 8224 section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from sipguard.address import Address, sender_key, show
from sipguard.constraint import Between, Described
from sipguard.event import Asked, AuthSucceeded, Event, Standing
from sipguard.lesson import About, Notes, hexed, rows_of, somewhere, written
from sipguard.model import DAY, Account, Consequence, Finding, Instant
from sipguard.table import Table

NAME = "identity"
_NOTHING: tuple[Finding, ...] = ()
_METHODS = frozenset({"REGISTER", "INVITE"})
_NOBODY = frozenset({b"", b"anonymous", b"unknown", b"unavailable", b"restricted"})
_CREDENTIALS = 4
_LONGEST = 128

_Sent: TypeAlias = tuple[bytes, str, str]
"""Who sends, by what method, with which credential's username."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[detect.identity]`."""

    enabled: Annotated[bool, Described("Whether names that are not the credential's are looked for")] = True
    steady: Annotated[
        int, Between(1, 1000), Described("Successes with the same names after which a new one counts")
    ] = 3
    names: Annotated[int, Between(2, 100), Described("Names after which an account is one that has many")] = 8
    accounts: Annotated[int, Between(100, 1_000_000), Described("The most accounts, and names, remembered")] = 10_000
    then: Annotated[Consequence, Described("What becomes of the account")] = Consequence.REPORT


class _Names:
    """The names that one account uses, and how often it did so since the last new one; `noted`: when last written."""

    __slots__ = ("names", "noted", "since")

    def __init__(self, at: Instant) -> None:
        self.names: dict[bytes, None] = {}
        self.noted: Instant = at
        self.since = 0


class Detector:
    """Learns which names go with which account."""

    __slots__ = ("_accounts", "_config", "_holders", "_notes", "_sent", "handlers")

    methods: ClassVar = _METHODS
    learns: ClassVar[str] = NAME

    def __init__(self, config: Config, notes: Notes | None = None) -> None:
        self._config = config
        self._notes = Notes() if notes is None else notes
        self._sent: Table[_Sent, bytes] = Table(config.accounts, config.accounts // 8)
        self._accounts: Table[Account, _Names] = Table(config.accounts)
        self._holders: Table[tuple[bytes, str], str] = Table(config.accounts)
        self.handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]] = {
            Asked: self._asked,
            AuthSucceeded: self._succeeded,
        }

    def _asked(self, event: Asked) -> Sequence[Finding]:
        request = event.request
        if request.method not in _METHODS or not request.credentials or event.standing is Standing.EXEMPT:
            return _NOTHING
        for each in request.credentials[:_CREDENTIALS]:
            username = each.username[:_LONGEST]
            same = _plainly_from(request.header("from") or b"", username)
            if same and not len(self._sent):
                continue
            key = (sender_key(event.source), request.method, username.decode("utf-8", "backslashreplace"))
            name = username if same else request.from_user[:_LONGEST]
            if name not in {username, username.partition(b"@")[0]}:
                self._sent.renew(key, name, event.source)
            elif key in self._sent:
                self._sent.pop(key)
        return _NOTHING

    def _succeeded(self, event: AuthSucceeded) -> Sequence[Finding]:
        if event.method not in _METHODS:
            return _NOTHING
        account = event.account
        name = self._sent.get((sender_key(event.source), event.method, account.username[:_LONGEST]))
        if name is None:
            name = account.username.partition("@")[0].encode("utf-8", "backslashreplace")
        elif name.lower() in _NOBODY:
            return _NOTHING
        known = self._accounts.get(account)
        if known is None:
            known = _Names(event.at)
            self._accounts.put(account, known, event.source)
        new = name not in known.names
        if not new:
            known.since += 1
            if known.since == self._config.steady and len(known.names) < self._config.names:
                for each in known.names:
                    self._hold(each, account, event.source)
                self._note(event.at, account, known)
            elif known.since < self._config.steady or event.at - known.noted >= DAY:
                self._note(event.at, account, known)
            return _NOTHING
        if len(known.names) >= self._config.names:
            return _NOTHING
        return self._new(event, known, name)

    def _new(self, event: AuthSucceeded, known: _Names, name: bytes) -> Sequence[Finding]:
        account = event.account
        holder = self._holders.get((name, account.realm)) or account.username
        steady = known.since >= self._config.steady
        known.names[name] = None
        known.since = 0
        self._note(event.at, account, known)
        if holder != account.username:
            return (self._finding(event, name, "taken", holder),)
        if steady and len(known.names) > 1:
            return (self._finding(event, name, "changed", ""),)
        return _NOTHING

    def _hold(self, name: bytes, account: Account, source: Address) -> None:
        if (name, account.realm) not in self._holders:
            self._holders.put((name, account.realm), account.username, source)

    @staticmethod
    def _finding(event: AuthSucceeded, name: bytes, identifier: str, holder: str) -> Finding:
        evidence: list[tuple[str, str | int]] = [
            ("source", show(event.source)),
            ("method", event.method),
            ("from", name.decode("utf-8", "backslashreplace")),
        ]
        if holder:
            evidence.append(("belongs_to", holder))
        return Finding(event.at, NAME, event.account, identifier, 5, event.proven, tuple(evidence))

    # --- What is kept -------------------------------------------------------------------------------------------------

    def _note(self, at: Instant, account: Account, known: _Names) -> None:
        known.noted = at
        self._notes.note(NAME, account)

    def known(self) -> Iterator[About]:
        """Go through the accounts, the longest known first."""
        return ((account, "") for account in self._accounts)

    def taught(self, _at: Instant, account: Account, topic: str) -> str:
        """Write how often an account has kept to its names, and which; after them those that are its alone."""
        known = self._accounts.get(account)
        if known is None or topic:
            return ""
        own = [name for name in known.names if self._holders.get((name, account.realm)) == account.username]
        return written([(str(known.since), *map(hexed, known.names)), list(map(hexed, own))])

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        (since, *names), own = rows_of(text)
        known = _Names(at)
        known.since = min(int(since), self._config.steady)
        for name in names[: self._config.names]:
            known.names[bytes.fromhex(name)] = None
        if topic or known.since < 0:
            raise ValueError("no names")
        self._accounts.put(account, known, somewhere(account))
        for name in own:
            if name:
                self._hold(bytes.fromhex(name), account, somewhere(account))

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "identity_accounts": len(self._accounts),
            "identity_evicted": self._accounts.evicted + self._holders.evicted,
        }


def _plainly_from(value: bytes, username: bytes) -> bool:
    """Tell at little cost that a From names this user; False when it does not, or needs its grammar to be read."""
    at = value.find(b"<sip:" + username + b"@")
    return at >= 0 and value.count(b"<") == 1 and value.rfind(b'"') < at
