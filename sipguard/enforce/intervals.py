"""Reads sets from the kernel, and changes interval sets by what was just read.

A batch worked out from what was just read names the generation of the ruleset: when anybody changed anything meanwhile,
or an element ran out, the kernel refuses it whole, and it is worked out anew. Between such readings a set is mirrored;
a batch worked out from the mirror is refused by the kernel when the mirror is wrong (an absent element, an overlap),
and the set is read. A set of endless elements (allowed) is always read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping

from sipguard.address import Network
from sipguard.enforce import elements
from sipguard.enforce.mirror import Mirror
from sipguard.enforce.netlink import ADAPTER, Netlink, words
from sipguard.enforce.ruletext import TABLE
from sipguard.errors import AdapterError
from sipguard.model import Held, Instant, SetName
from sipguard.netfilter import nfnetlink, sets

_TRIES = 8


def renews(release: str) -> bool:
    """Tell whether this kernel takes a new end for an element that is there: from Linux 6.12 on, by its own number."""
    parts = release.split("-", maxsplit=1)[0].split(".")[:2]
    return len(parts) == 2 and all(part.isdecimal() for part in parts) and tuple(map(int, parts)) >= (6, 12)


class Intervals:
    """Reader of all sets, writer of interval sets, over one netlink socket."""

    __slots__ = ("_mirrors", "_netlink", "_now", "renews")

    def __init__(self, netlink: Netlink, now: Callable[[], Instant]) -> None:
        self._netlink = netlink
        self._now = now
        self._mirrors: dict[str, Mirror] = {}
        self.renews = renews(os.uname().release)

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
        """Make a change, all of it or nothing; return the kernel's errno. Raises AdapterError.

        Where it is known what the set holds, only what the change touches is looked at: milliseconds beside 100,000.
        """
        if name in self._mirrors and self._change_known(name, wish) == 0:
            return 0
        self.forget(name)
        return self._change_read(name, wish)

    def moved(self, name: str, wish: elements.Wish) -> tuple[Held, ...]:
        """Give what a change of bans puts in where it takes others out; nothing where it takes none.

        While the kernel commits a batch it may find neither: see `sides.py`. Raises AdapterError.
        """
        mirror, now = self._mirrors.get(name), self._now()
        if mirror is None:
            mirror = Mirror({network: until for network, (until, _element) in self.read(name).items()})
        listed = (*(held.network for held in wish.put), *wish.take, *wish.cut)
        touched = {network: until for network, until in mirror.touching(listed).items() if until == 0 or until > now}
        wanted = elements.target(touched, wish, lasting=False) if touched else {}
        differ = {network for network, until in touched.items() if abs(wanted.get(network, 0) - until) > elements.SAME}
        if not any(network not in wanted or not self.renews for network in differ):
            return ()
        new = ((network, until) for network, until in wanted.items() if network in differ or network not in touched)
        return tuple(Held(SetName.BLOCKED, network, until) for network, until in new if until > now)

    def forget(self, name: str = "") -> None:
        """Take nothing for granted about a set, or any: somebody else may have changed it."""
        for each in [name] if name else list(self._mirrors):
            self._mirrors.pop(each, None)

    def known(self, name: str) -> Mapping[Network, Instant] | None:
        """Give what a set should hold, None where that is not known."""
        mirror = self._mirrors.get(name)
        if mirror is None:
            return None
        mirror.prune(self._now())
        return mirror.ends()

    def begin(self, name: str) -> None:
        """Take a set for empty: its table was just made."""
        if not name.startswith("allowed"):
            self._mirrors[name] = Mirror({})

    def touching(self, name: str, networks: Iterable[Network]) -> Mapping[Network, Instant] | None:
        """Give what a set should hold that shares an address with one of these; None where that is not known."""
        mirror = self._mirrors.get(name)
        return None if mirror is None else mirror.touching(networks)

    def _change_known(self, name: str, wish: elements.Wish) -> int:
        mirror, now = self._mirrors[name], self._now()
        touched = mirror.touching((*(held.network for held in wish.put), *wish.take, *wish.cut))
        over = [network for network, until in touched.items() if until <= now]
        for network in over:
            del touched[network]
        mirror.replace(over, {})
        wanted = elements.target(touched, wish, lasting=False)
        present = {network: (until, sets.Element(*elements.keys(network))) for network, until in touched.items()}
        code = self._write(name, elements.steps(present, wanted, now, renews=self.renews), None)
        if code == 0:
            mirror.replace(touched, {network: until for network, until in wanted.items() if until > now})
        return code

    def _change_read(self, name: str, wish: elements.Wish) -> int:
        code = 0
        for _attempt in range(_TRIES):
            generation = self._generation()
            present = self.read(name)
            ends = {network: until for network, (until, _element) in present.items()}
            lasting = name.startswith("allowed")
            wanted = elements.target(ends, wish, lasting=lasting)
            code = self._write(name, elements.steps(present, wanted, self._now(), renews=self.renews), generation)
            # A foreign element without an end keeps a set from being known: it is read each time.
            if code == 0 and not lasting and all(wanted.values()):
                self._mirrors[name] = Mirror(wanted)
            if code not in {errno.ERESTART, errno.ENOENT}:
                break
        return code

    def _write(self, name: str, steps: tuple[list[bytes], list[bytes]], generation: int | None) -> int:
        delete, add = steps
        if not delete and not add:
            return 0
        sequence = self._netlink.next_sequence()
        body = sets.change(sets.DELETE_ELEMENT, TABLE, name, delete, sequence, acknowledge=not add)
        body += sets.change(sets.NEW_ELEMENT, TABLE, name, add, sequence, acknowledge=True)
        return self._netlink.change(nfnetlink.batch(body, sequence, generation), sequence)

    def _generation(self) -> int | None:
        sequence = self._netlink.next_sequence()
        answers, _code = self._netlink.ask(sets.ask_generation(sequence), sequence)
        return sets.generation(answers[0].body) if answers else None
