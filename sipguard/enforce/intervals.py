"""Reads sets from the kernel, and changes interval sets by what was just read.

A batch names the generation of the ruleset it was worked out from: when anybody changed anything meanwhile, or an
element ran out, the kernel refuses it whole, and it is worked out anew.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from sipguard.address import Network
from sipguard.enforce import elements
from sipguard.enforce.netlink import ADAPTER, Netlink, words
from sipguard.enforce.ruletext import TABLE
from sipguard.errors import AdapterError
from sipguard.model import Instant
from sipguard.netfilter import nfnetlink, sets

_TRIES = 8


class Intervals:
    """Reader of all sets, writer of interval sets, over one netlink socket."""

    __slots__ = ("_netlink", "_now")

    def __init__(self, netlink: Netlink, now: Callable[[], Instant]) -> None:
        self._netlink = netlink
        self._now = now

    def dump(self, name: str, *, counted: bool = False) -> list[tuple[Instant, sets.Element]]:
        """Read a set, each element with when it was read; empty where there is no set. Raises AdapterError.

        When the set keeps changing while it is read, an element put in or taken out meanwhile may be missed or told.
        """
        found: list[tuple[Instant, sets.Element]] = []

        def each(message: nfnetlink.Message) -> None:
            part: list[sets.Element] = []
            sets.elements(message.body, part, counted=counted)
            now = self._now()
            found.extend((now, element) for element in part)

        for _attempt in range(_TRIES):
            found.clear()
            sequence = self._netlink.next_sequence()
            code = self._netlink.stream(sets.dump(TABLE, name, sequence), sequence, each)
            if code == errno.ENOENT:
                return []
            if code == 0:
                break
            if code != errno.EINTR:
                raise AdapterError(ADAPTER, f"set {name} cannot be read: {words(code)}")
        return found

    def read(self, name: str, *, counted: bool = False) -> dict[Network, tuple[Instant, sets.Element]]:
        """Read an interval set as networks, each with its end and the element it comes from. Raises AdapterError."""
        return elements.pieces(self.dump(name, counted=counted))

    def change(self, name: str, wish: elements.Wish) -> int:
        """Make a change, all of it or nothing; return the kernel's errno. Raises AdapterError."""
        code = 0
        for _attempt in range(_TRIES):
            generation = self._generation()
            present = self.read(name)
            ends = {network: until for network, (until, _element) in present.items()}
            wanted = elements.target(ends, wish, lasting=name.startswith("allowed"))
            delete, add = elements.steps(present, wanted, self._now())
            if not delete and not add:
                return 0
            sequence = self._netlink.next_sequence()
            body = sets.change(sets.DELETE_ELEMENT, TABLE, name, delete, sequence, acknowledge=not add)
            body += sets.change(sets.NEW_ELEMENT, TABLE, name, add, sequence, acknowledge=True)
            code = self._netlink.change(nfnetlink.batch(body, sequence, generation), sequence)
            if code not in {errno.ERESTART, errno.ENOENT}:
                break
        return code

    def _generation(self) -> int | None:
        sequence = self._netlink.next_sequence()
        answers, _code = self._netlink.ask(sets.ask_generation(sequence), sequence)
        return sets.generation(answers[0].body) if answers else None
