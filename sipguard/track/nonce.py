"""Which nonces the PBX sent, to whom, and what became of them. A nonce is what ties a credential to an address.

RFC 7616 section 3.3. Only challenges that the PBX itself sent are put in here.
"""

from __future__ import annotations

import hashlib

from sipguard.address import Address
from sipguard.model import DAY, SECOND, Excuse, Instant, Span
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
    """The nonces of the last while; when full the oldest goes, and a credential with it then counts as *unknown*."""

    __slots__ = ("_shared", "_table")

    def __init__(self, most: int) -> None:
        self._table: Table[bytes, Nonce] = Table(most, most // 8)
        self._shared: Instant | None = None

    def sent(self, at: Instant, nonce: bytes, address: Address) -> None:
        """Note that the PBX challenged `address` with this nonce. Sent to a second address, it proves nothing."""
        key = bounded(nonce)
        known = self._table.get(key)
        if known is None:
            self._table.put(key, Nonce(at, address), address)
        elif known.address != address:
            known.address = None
            self._shared = at

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

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"nonces": len(self._table), "nonces_evicted": self._table.evicted}
