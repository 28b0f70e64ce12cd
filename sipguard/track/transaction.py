"""Credentials on their way: which were sent under which transaction, and which answer is whose.

RFC 3261 section 17 makes one transaction of a branch, a Call-ID and a CSeq, but both PBXs judge every copy that differs
in its credentials. So the unit here is the *attempt*: a different nonce, nc, cnonce or response is a new one, the same
again is a retransmission. Answers under one key are taken in the order of the attempts.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TypeAlias

from sipguard.address import Address
from sipguard.model import SECOND, Account, Excuse, Instant, Span
from sipguard.sip.digest import Credentials
from sipguard.sip.message import SipMessage, SipRequest
from sipguard.table import Table, neighbourhood
from sipguard.track.nonce import bounded

PATIENCE: Span = 32 * SECOND
"""64 times T1 (RFC 3261 section 17.1.2.2): past it, an unanswered attempt is given up and never counted."""

_ATTEMPTS = 64
_LONGEST = 64  # characters of a name, or of its start and its hash; RFC 3261 sets no limit, so an attacker would
_LONGEST_KEY = 160  # bytes
_LONGEST_URI = 512  # bytes; a longer contact is not found again in the answer

Key: TypeAlias = bytes
"""Sender, Call-ID, CSeq number and method, and branch, or a hash of them: bounded whatever lengths an attacker sends.

No port: a response may go to another one (RFC 3261 section 18.2.2).
"""


class Attempt:
    """One credential that was sent and waits for its answer. Nothing of the credential is kept but a fingerprint."""

    __slots__ = (
        "account",
        "agent",
        "ambiguous",
        "at",
        "contact",
        "excuse",
        "expires",
        "mark",
        "nonce",
        "port",
        "proven",
    )

    def __init__(
        self, at: Instant, port: int, chosen: Credentials, mark: bytes, excuse: Excuse, *, proven: bool
    ) -> None:
        self.at = at
        self.port = port
        self.account = account_of(chosen)
        self.nonce = bounded(chosen.nonce)
        self.mark = mark
        self.excuse = excuse  # judged as the PBX judges: when the credential arrived, not when it was answered
        self.proven = proven
        self.ambiguous = False  # credentials of several users came together
        self.agent = b""
        self.contact = b""
        self.expires: int | None = None

    def registers(self, contact: bytes, expires: int | None) -> None:
        """Note what a REGISTER asks for."""
        self.contact = contact[:_LONGEST_URI]
        self.expires = expires


def account_of(credentials: Credentials) -> Account:
    """Name the account that a credential claims; of long names the end is hashed, for memory's sake."""
    realm = credentials.realm
    return Account(_short(credentials.username), _short_again(realm) if len(realm) <= _LONGEST else _short(realm))


def _short(name: bytes) -> str:
    text = name.decode("utf-8", "backslashreplace")
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 17]}~{hashlib.blake2b(name, digest_size=8).hexdigest()}"


# All accounts of a PBX have one realm: one string for all of them, and not one for each.
_short_again = functools.lru_cache(maxsize=64)(_short)


def key_of(far: Address, message: SipMessage) -> Key:
    """Give the key of the transaction of a request from `far`, or of an answer to it."""
    call_id, branch, method = message.call_id, message.branch, message.cseq_method.encode()
    # a method holds no blank, so what follows it stands where its length says
    key = b"%d %b %d %d %b%b%b" % (message.cseq, method, len(call_id), len(branch), call_id, branch, far)
    return key if len(key) <= _LONGEST_KEY else hashlib.blake2b(key, digest_size=32).digest()


def fingerprint(request: SipRequest) -> bytes:
    """Tell the credentials of two requests apart without keeping them: a hash of all there are, as sent.

    As sent, because a true retransmission is the same to the byte (RFC 3261 section 17.1.1.2), and all, because what is
    left out of a fingerprint is where a guess could hide.
    """
    values = (*request.headers("authorization"), *request.headers("proxy-authorization"))
    text = b"1" + values[0] if len(values) == 1 else b"".join(b",%d,%b" % (len(value), value) for value in values)
    return hashlib.blake2b(text, digest_size=12).digest()


class Transaction:
    """The attempts under one key: those that wait, oldest first, and the marks of all. Tuples: there is mostly one."""

    __slots__ = ("marks", "waiting")

    def __init__(self) -> None:
        self.marks: tuple[bytes, ...] = ()
        self.waiting: tuple[Attempt, ...] = ()


class Transactions:
    """Credentialed requests by key; when full the oldest goes, and its answer then counts for nothing."""

    __slots__ = ("_asking", "_table", "retransmissions")

    def __init__(self, most: int) -> None:
        self._table: Table[Key, Transaction] = Table(most, most // 8)
        self._asking: Table[Address, Instant] = Table(most, most // 8, neighbourhood)
        self.retransmissions = 0

    def asked(self, far: Address, key: Key, attempt: Attempt) -> bool:
        """Add an attempt from `far`; False when it is a retransmission of one already here."""
        self._asking.renew(far, attempt.at, far)
        found = self._table.get(key)
        if found is None:
            found = Transaction()
            self._table.put(key, found, far)
        elif attempt.mark in found.marks:
            self.retransmissions += 1
            return False
        # nobody sends as many as that honestly; the oldest is forgotten, not the newest
        found.marks = (*found.marks, attempt.mark)[-_ATTEMPTS:]
        found.waiting = (*found.waiting, attempt)[-_ATTEMPTS:]
        return True

    def awaited(self, at: Instant, address: Address) -> bool:
        """Tell whether an address may have an attempt that waits; spares most answers the making of a key."""
        asked = self._asking.get(address)
        return asked is not None and at - asked <= PATIENCE

    def answered(self, at: Instant, key: Key) -> tuple[Attempt, bool] | None:
        """Give the attempt that an answer under this key is for, and whether others had been tried under it.

        None when nothing waits: an answer repeated, or one to a request without credentials.
        """
        found = self._table.get(key)
        if found is None:
            return None
        while found.waiting:
            attempt, *rest = found.waiting
            found.waiting = tuple(rest)
            if at - attempt.at <= PATIENCE:
                return attempt, len(found.marks) > 1
        return None

    def again(self, key: Key, attempt: Attempt) -> None:
        """Let an attempt wait on: what came was not its last answer."""
        found = self._table.get(key)
        if found is not None:
            found.waiting = (attempt, *found.waiting)

    def counters(self) -> dict[str, int]:
        """Give the fill, the evictions and the retransmissions seen."""
        return {
            "transactions": len(self._table),
            "transactions_evicted": self._table.evicted,
            "retransmissions": self.retransmissions,
        }
