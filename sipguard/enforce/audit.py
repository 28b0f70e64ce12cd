"""Compares what the kernel holds with what is decided, in slices, over a socket of its own. Takes out what is too much.

What is decided may change meanwhile: then a little may seem to be missing that is not, and is put in once more.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Mapping

from sipguard.address import Network
from sipguard.enforce import elements
from sipguard.enforce.netlink import Netlink
from sipguard.enforce.nft import LARGE, Nft
from sipguard.enforce.reconcile import is_host
from sipguard.enforce.ruletext import TABLE
from sipguard.enforce.sides import FEW
from sipguard.model import MILLISECOND, SECOND, Held, Instant, SetName, Span
from sipguard.netfilter import sets
from sipguard.netset import NetSet

LONGEST: Span = 5 * MILLISECOND  # of a slice; the kernel may take longer for one answer
LATE: Span = 2 * SECOND  # an end that is further off than this was set by somebody else
SURPLUS_MOST = 10_000  # elements taken out or corrected at one time; the rest is found at the next look


class Auditor:
    """`wanted` and `held`: elements that should be there, and those of them that are, when last looked at."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        self.now = now
        self.wanted = self.held = 0
        self.suspicious = False  # changes were missed: what is there must be read, whatever it takes
        self.doubting = False  # what was written may not be what is decided: networks are compared with that
        self._netlink = Netlink()
        self._summing = [0, 0]

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def begin(self) -> None:
        """Begin to compare all sets; an earlier comparison may have been broken off."""
        self._summing = [0, 0]

    def done(self) -> None:
        """All sets have been compared: the sums stand."""
        self.wanted, self.held = self._summing
        self.suspicious = self.doubting = False

    def mended(self, count: int) -> None:
        """So many that were missing in the comparison under way are there now."""
        self._summing[1] += count

    def compare(
        self, kernel: Nft, name: SetName, ends: Mapping[Network, Instant], networks: int, *, removing: bool
    ) -> Generator[None, None, int]:
        """Compare one set; returns how many elements are missing. `networks`: so many of `ends` are no hosts.

        With `removing`, what nobody wants is taken out. Raises AdapterError.
        """
        before, right = len(ends) - networks, 0
        wrong: list[Held] = []
        counted = self._counted(kernel, name) if before > LARGE and not self.suspicious else None
        if counted is not None and counted >= before:
            right = before
        for version in (4, 6) if counted is None or counted < before else ():
            right += yield from self._hosts(f"{name}{version}", name, ends, wrong)
        late = 0
        for held in wrong:
            until = ends.get(held.network)
            if until is None and removing:
                kernel.release(held)
            elif until is not None:
                late += 1
                kernel.hold(Held(name, held.network, until))
        wanted = min(before, len(ends) - networks)
        missing = max(0, wanted - right - late)
        lacking = 0
        if name is SetName.BLOCKED:
            for version in (4, 6):
                lacking += yield from self._networks(kernel, kernel.sides.home(version), ends, removing=removing)
        self._summing[0] += len(ends)
        self._summing[1] += len(ends) - missing - min(lacking, networks)
        return missing + lacking

    def _counted(self, kernel: Nft, name: SetName) -> int | None:
        both = [kernel.count(f"{name}{version}") for version in (4, 6)]
        return None if None in both else sum(one for one in both if one is not None)

    def _slices(self, name: str) -> Generator[list[sets.Element] | None, None, None]:
        """Give a set's elements, some at a time."""
        sequence = self._netlink.next_sequence()
        self._netlink.begin(sets.dump(TABLE, name, sequence))
        code = None
        while code is None:
            found: list[sets.Element] = []
            began = self.now()
            while self.now() - began < LONGEST:
                answers, code = self._netlink.more(sequence)
                for answer in answers:
                    sets.elements(answer.body, found)
                if code is not None:
                    break
            yield found if code in {None, 0, errno.EINTR} else None

    def _hosts(
        self, kernel_name: str, name: SetName, ends: Mapping[Network, Instant], wrong: list[Held]
    ) -> Generator[None, None, int]:
        right = 0
        for part in self._slices(kernel_name):
            now = self.now()
            for element in part or ():
                host = elements.host_of(element.key)
                until = ends.get(host)
                if until is not None and abs(elements.end_of(element, now) - until) <= LATE:
                    right += 1
                elif until is not None and until > now + LATE and elements.milliseconds(until, now) == element.timeout:
                    right += 1  # an end beyond the kernel's own limit
                elif len(wrong) < SURPLUS_MOST and (until is None or until > now + LATE):
                    wrong.append(Held(name, host))
            yield
        return right

    def _networks(
        self, kernel: Nft, kernel_name: str, ends: Mapping[Network, Instant], *, removing: bool
    ) -> Generator[None, None, int]:
        """Compare a set of networks with what we wrote there; where that is not known, with what is decided."""
        present: list[tuple[Instant, sets.Element]] = []
        known = None if self.doubting else kernel.known(kernel_name)
        expected = None if known is None else dict(known)
        for part in self._slices(kernel_name):
            now = self.now()
            present += [(now, element) for element in part or ()]
            yield
        pieces = elements.pieces(present)
        soon = self.now() + LATE
        if expected is None:
            version = int(kernel_name[-1])
            decided = NetSet(net for net in ends if net.version == version and not is_host(net))
            extra = [piece for piece in pieces if decided.subtract_from(piece)]
            there = NetSet(pieces)
            lacking = sum(1 for net in decided.networks() if there.subtract_from(net))
        else:
            current = kernel.known(kernel_name) or {}
            extra = [piece for piece in pieces if piece not in expected and piece not in current]
            lacking = sum(1 for net, until in expected.items() if until > soon and net not in pieces and net in current)
        if extra or lacking:
            kernel.forget()
        if len(extra) > FEW and removing:
            kernel.sides.overdue = self.now()
        elif extra and removing:
            kernel.cut(kernel_name, extra)
        return lacking or len(extra)
