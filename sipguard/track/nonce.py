"""Which nonces the PBX sent, to whom, and what became of them. A nonce is what ties a credential to an address.

RFC 7616 section 3.3. Only challenges that the PBX itself sent are put in here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import ClassVar

from sipguard.address import Address
from sipguard.lesson import SITE, About, Notes
from sipguard.model import DAY, HOUR, SECOND, Account, Excuse, Instant, Span
from sipguard.table import Table

FRESH: Span = 60 * SECOND
"""Past this age a rejected nonce may have been rejected for its age alone."""
SHARED: Span = DAY
"""So long after a nonce was seen to go to two addresses, the PBX is taken to give the same one to whoever asks."""

_LONGEST = 128


class Nonce:
    """One nonce: when it was first sent, the only address it was sent to (None: several), whether it was accepted."""

    __slots__ = ("accepted", "address", "at")

    def __init__(self, at: Instant, address: Address) -> None:
        self.at = at
        self.address: Address | None = address
        self.accepted = False


def bounded(nonce: bytes) -> bytes:
    """Bound the memory that a long nonce takes; two that differ keep differing."""
    return nonce if len(nonce) <= _LONGEST else hashlib.blake2b(nonce, digest_size=32).digest()


class Nonces:
    """The nonces of the last while; when full the oldest goes, and a credential with it then counts as *unknown*.

    That the PBX gives one nonce to all is learned: a guard that has just started must not take it for a proof.
    """

    __slots__ = ("_noted", "_notes", "_shared", "_table")

    learns: ClassVar[str] = "nonces"

    def __init__(self, most: int, notes: Notes) -> None:
        self._table: Table[bytes, Nonce] = Table(most, most // 8)
        self._notes = notes
        self._shared: Instant | None = None
        self._noted: Instant | None = None

    def sent(self, at: Instant, nonce: bytes, address: Address, *, registers: bool = True) -> None:
        """Note that the PBX challenged `address` with this nonce. Sent to a second address, it proves nothing.

        `registers`: it answers a REGISTER. A PBX sends on what other servers ask its phones for: that two phones are
        given the same there, which one account suffices to bring about, says nothing of its own nonces.
        """
        key = bounded(nonce)
        known = self._table.get(key)
        if known is None:
            self._table.put(key, Nonce(at, address), address)
        elif known.address != address:
            known.address = None
            if registers:
                self._shared = at
                if self._noted is None or at - self._noted >= HOUR:
                    self._noted = at
                    self._notes.note(self.learns, SITE)

    def bound(self, at: Instant) -> bool:
        """Tell whether a nonce is had by nobody but whom it was seen to be sent to, as far as one can know.

        Kamailio's default one is everybody's within a second: who gets it where nobody listens (TLS) can use it in the
        name of another, whom the PBX was made to challenge in that second.
        """
        return self._shared is None or at - self._shared > SHARED

    def accepted(self, nonce: bytes) -> None:
        """Note that a credential with this nonce was accepted; the nonce stays known longer than unused ones."""
        key = bounded(nonce)
        known = self._table.get(key)
        if known is not None:
            known.accepted = True
            self._table.touch(key)

    def proves(self, nonce: bytes, address: Address) -> bool:
        """Tell whether using the nonce shows that `address` received it: sent there, and to nobody else."""
        known = self._table.get(bounded(nonce))
        return known is not None and known.address == address

    def excuse(self, at: Instant, nonce: bytes) -> Excuse:
        """Say why a credential with this nonce may be rejected, whatever the password in it."""
        known = self._table.get(bounded(nonce))
        if known is None:
            return Excuse.UNKNOWN
        if known.accepted:
            return Excuse.ACCEPTED
        if at - known.at > FRESH:
            return Excuse.AGED
        return Excuse.NONE

    # --- What is kept -------------------------------------------------------------------------------------------------

    def known(self) -> Iterator[About]:
        """Give the house, where it is known of it that its nonces are shared."""
        if self._shared is not None:
            yield SITE, ""

    def taught(self, at: Instant, account: Account, topic: str) -> str:
        """Write how long ago a nonce was last seen to go to two addresses."""
        return "" if self._shared is None or account != SITE or topic else str(at - self._shared)

    def learn(self, at: Instant, account: Account, topic: str, text: str) -> None:
        """Take up what `taught` wrote. Raises ValueError."""
        ago = int(text)
        if ago < 0 or account != SITE or topic:
            raise ValueError("nothing of nonces")
        self._shared = max(at - ago, self._shared) if self._shared is not None else at - ago

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"nonces": len(self._table), "nonces_evicted": self._table.evicted}
