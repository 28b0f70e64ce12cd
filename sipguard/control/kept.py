"""What was kept of an earlier life, gathered piece by piece as the keeper tells it. Pure.

Promises: a ban that is like most costs its network and some bytes while it waits, however many there are. Objects that
are given back one by one, between others that stay, leave holes that the system never gets back.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from sipguard.address import Network
from sipguard.model import Decision, Held, SetName
from sipguard.report import lean

_BITS = 63  # what an entry of the array holds


class Kept:
    """Nouns in the order they came, as often as they are gone through."""

    __slots__ = ("_nouns", "_until")

    def __init__(self, nouns: Iterable[Any] = ()) -> None:
        """Begin with these nouns."""
        self._nouns: list[Any] = []
        self._until = array("q")
        for noun in nouns:
            self.add(noun)

    def __len__(self) -> int:
        return len(self._nouns)

    def __iter__(self) -> Iterator[Any]:
        for noun, until in zip(self._nouns, self._until, strict=True):
            yield Held(SetName.BLOCKED, noun, until) if type(noun) is Network else noun

    def add(self, noun: Any) -> None:
        """Take one more, without what nobody needs of it after a restart."""
        least = lean(noun)
        if type(least) is Held and least.set is SetName.BLOCKED and least.until.bit_length() <= _BITS:
            self._nouns.append(least.network)
            self._until.append(least.until)
        else:
            self._nouns.append(least)
            self._until.append(0)

    def decisions(self) -> Kept:
        """Give those that are decisions, or what such a one holds."""
        chosen = Kept()
        for noun, until in zip(self._nouns, self._until, strict=True):
            if isinstance(noun, Decision | Held | Network):
                chosen._nouns.append(noun)
                chosen._until.append(until)
        return chosen

    def of(self, kind: type[Any]) -> list[Any]:
        """Give those of one kind, none of which is a ban."""
        return [noun for noun in self._nouns if type(noun) is kind]
