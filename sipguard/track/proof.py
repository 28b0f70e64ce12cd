"""Which addresses were shown to be held by whoever sends from them. One spoofed datagram proves nothing.

Three things prove an address: a nonce that the PBX sent to it and to no other
(`nonce.py`), the To-tag of the PBX's 101 to 2xx answer to its INVITE, repeated in a later request, and a TCP handshake
whose data the PBX acknowledged (`wire/stream.py`).
"""

from __future__ import annotations

from sipguard.address import Address, sender_key, subject_of
from sipguard.model import HOUR, Instant, Span
from sipguard.table import Table, neighbourhood

LASTS: Span = HOUR
"""A proof is believed this long after it was last given: addresses change hands."""

_LONGEST = 128
_UNPROVING = b"\0"  # behind an address: one of odd length is nobody's


class Proofs:
    """Proven addresses (an IPv6 one stands for its /64), and the tags of dialogs: some of them prove an address."""

    __slots__ = ("_proven", "_tags")

    def __init__(self, proven: int, dialogs: int) -> None:
        self._proven: Table[bytes, Instant] = Table(proven, proven // 4, neighbourhood)
        self._tags: Table[tuple[bytes, bytes], Address] = Table(dialogs, dialogs // 8)

    def prove(self, at: Instant, address: Address) -> None:
        """Note a proof."""
        key = subject_of(address).address if len(address) == 16 else address
        self._proven.renew(key, at + LASTS, address)

    def proven(self, at: Instant, address: Address) -> bool:
        """Tell whether the address is proven now."""
        key = subject_of(address).address if len(address) == 16 else address
        until = self._proven.get(key)
        return until is not None and at < until

    def tagged(self, address: Address, call_id: bytes, tag: bytes) -> None:
        """Note that the PBX sent this To-tag, in an answer to an INVITE, to this address.

        A tag that the sender could have computed proves nothing: 4xx tags are a hash of the request in some PBXs, so
        only those of 101 to 2xx answers may be put in here.
        """
        if tag and len(tag) <= _LONGEST and len(call_id) <= _LONGEST:
            self._tags.put((call_id, tag), address, address)

    def given(self, address: Address, call_id: bytes, tag: bytes) -> None:
        """Note that the PBX has a dialog with this address in which it goes by this tag; proves nothing.

        What a proxy passes on was chosen by the other end.
        """
        if tag and len(tag) <= _LONGEST and len(call_id) <= _LONGEST and (call_id, tag) not in self._tags:
            self._tags.put((call_id, tag), address + _UNPROVING, address)

    def knows(self, address: Address, call_id: bytes, tag: bytes) -> bool:
        """Tell whether the PBX has, lately, given this tag to whoever sends from this address (any of its /64)."""
        found = self._tags.get((call_id, tag))
        return found is not None and sender_key(found[: len(found) & ~1]) == sender_key(address)

    def repeated(self, at: Instant, address: Address, call_id: bytes, tag: bytes) -> None:
        """Note that a request from this address carried this To-tag; a proof if it was sent there."""
        if self._tags.get((call_id, tag)) == address:
            self.prove(at, address)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {
            "proven": len(self._proven),
            "proven_evicted": self._proven.evicted,
            "dialogs": len(self._tags),
            "dialogs_evicted": self._tags.evicted,
        }
