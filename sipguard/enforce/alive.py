"""Keeps the gate shut: without this, nothing waits for a verdict. Never raises; decides nothing."""

from __future__ import annotations

import errno

from sipguard.address import Network
from sipguard.enforce.netlink import Netlink
from sipguard.enforce.ruleparts import PREFIX
from sipguard.enforce.ruletext import TABLE
from sipguard.errors import AdapterError
from sipguard.model import MILLISECOND, SECOND, Instant, Span
from sipguard.netfilter import ipset, nfnetlink, sets

LASTS: Span = SECOND
"""For how long the gate stays shut after somebody has last said that he judges."""
EVERY: Span = 250 * MILLISECOND
"""How often that is said."""

HALVES = {
    4: (Network(bytes(4), 1), Network(b"\x80" + bytes(3), 1)),
    6: (Network(bytes(16), 1), Network(b"\x80" + bytes(15), 1)),
}
"""All addresses of a family: a set of ipset holds no /0."""

_PROTOCOLS = (b"\x02", b"\x0a")  # what `meta nfproto` says of IPv4 and IPv6 (linux/netfilter.h)


class Alive:
    """The elements of the set `alive`. `failed` counts the times that the kernel did not take them."""

    def __init__(self) -> None:
        """Open the socket. Raises AdapterError."""
        self._netlink = Netlink()
        self.failed = 0
        self.due: Instant = 0

    def close(self) -> None:
        """Close the socket; the gate opens by itself."""
        self._netlink.close()

    @property
    def port(self) -> int:
        """By this number the kernel tells others that a change was ours."""
        return self._netlink.port

    def say(self, now: Instant) -> None:
        """Put the elements in for another second, unless that was done a moment ago."""
        if now < self.due:
            return
        self.due = now + EVERY
        self._change(LASTS // MILLISECOND)

    def unsay(self) -> None:
        """Open the gate at once."""
        self._change(0)
        self.due = 0

    def _change(self, milliseconds: int) -> None:
        try:
            code = self._written(milliseconds)
        except AdapterError:
            code = -1
        self.failed += code != 0

    def _written(self, milliseconds: int) -> int:
        """Write the elements with this timeout, or take them out; gives the kernel's code. Raises AdapterError."""
        sequence = self._netlink.next_sequence()
        new = [sets.single(protocol, max(milliseconds, 1)) for protocol in _PROTOCOLS]
        old = [sets.single(protocol) for protocol in _PROTOCOLS]
        # NEW, DELETE, NEW: see sets.Stencil. Without the last, nothing is left of it.
        body = sets.change(sets.NEW_ELEMENT, TABLE, "alive", new, sequence, acknowledge=False)
        body += sets.change(sets.DELETE_ELEMENT, TABLE, "alive", old, sequence, acknowledge=not milliseconds)
        if milliseconds:
            body += sets.change(sets.NEW_ELEMENT, TABLE, "alive", new, sequence, acknowledge=True)
        return self._netlink.change(nfnetlink.batch(body, sequence), sequence)


class AliveInIpset(Alive):
    """The same for rules of iptables: sets of ipset in which an element that is put in again lasts a second anew."""

    def _written(self, milliseconds: int) -> int:
        first = 0
        for version, halves in HALVES.items():
            sequence = self._netlink.next_sequence()
            listed = [ipset.single(half.address, milliseconds // 1_000, half.prefix) for half in halves]
            change = ipset.add if milliseconds else ipset.delete
            code = self._netlink.change(change(f"{PREFIX}alive{version}", listed, sequence), sequence)
            first = first or (code if milliseconds or code != errno.ENOENT else 0)
        return first
