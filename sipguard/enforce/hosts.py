"""Writes hash sets (hosts and IPv6 /64s): one element in microseconds, many in batches.

A batch that the kernel refuses is halved until the bad element stands alone; all others land.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from sipguard.address import Network
from sipguard.enforce.elements import milliseconds
from sipguard.enforce.netlink import Netlink, words
from sipguard.enforce.ruletext import TABLE
from sipguard.model import Enforced, Held, Instant, SetName
from sipguard.netfilter import nfnetlink, sets

OVER = "its end has passed"
ENDLESS = "it needs an end"

_CHUNK = 1_000  # elements in a batch: three messages of some 30 bytes an element, below the socket's buffer
# What halving a batch does not help against.
HOPELESS = frozenset({errno.ENOENT, errno.ENFILE, errno.EPERM, errno.ENOMEM})


class Hosts:
    """Writer of all hash sets over one netlink socket."""

    __slots__ = ("_netlink", "_now", "_stencils")

    def __init__(self, netlink: Netlink, now: Callable[[], Instant]) -> None:
        self._netlink = netlink
        self._now = now
        self._stencils: dict[tuple[SetName, int], sets.Stencil] = {
            (name, length): sets.Stencil(TABLE, f"{name}{version}", length)
            for name in SetName
            if name is not SetName.ALLOWED
            for version, length in ((4, 4), (6, 16))
        }

    def hold(self, name: SetName, network: Network, until: Instant) -> str:
        """Put one element in, or move its end. Return what is wrong, nothing when it holds. Raises AdapterError."""
        timeout = milliseconds(until, self._now())
        if not timeout:
            return OVER if until else ENDLESS
        sequence = self._netlink.next_sequence()
        request = self._stencils[name, len(network.address)].refresh(network.address, timeout, sequence)
        code = self._netlink.change(request, sequence)
        return words(code) if code else ""

    def release(self, name: SetName, network: Network) -> int:
        """Take one element out and return the kernel's errno: ENOENT where it was not there. Raises AdapterError."""
        sequence = self._netlink.next_sequence()
        request = self._stencils[name, len(network.address)].remove(network.address, sequence)
        return self._netlink.change(request, sequence)

    def put(self, kernel_name: str, holds: Sequence[Held], *, absent: bool = False) -> list[Enforced]:
        """Put many elements of one set in, each once. Raises AdapterError.

        With `absent` they are known not to be there, which saves two thirds of the work; one that is there after all
        keeps its old end before Linux 6.12.
        """
        answers: list[Enforced] = []
        for start in range(0, len(holds), _CHUNK):
            live, now = [], self._now()
            for held in holds[start : start + _CHUNK]:
                name, network, until = held
                timeout = milliseconds(until, now)
                if timeout:
                    live.append((held, self._stencils[name, len(network.address)].element(network.address, timeout)))
                else:
                    answers.append(Enforced(held, ok=False, why=OVER if until else ENDLESS))
            if live:
                answers += self._put(kernel_name, live, absent=absent)
        return answers

    def _put(self, kernel_name: str, chunk: list[tuple[Held, bytes]], *, absent: bool) -> list[Enforced]:
        sequence = self._netlink.next_sequence()
        new = [element for _held, element in chunk]
        body = b""
        if not absent:  # NEW, DELETE, NEW: see sets.Stencil
            old = [sets.single(held.network.address) for held, _element in chunk]
            body = sets.change(sets.NEW_ELEMENT, TABLE, kernel_name, new, sequence, acknowledge=False)
            body += sets.change(sets.DELETE_ELEMENT, TABLE, kernel_name, old, sequence, acknowledge=False)
        body += sets.change(sets.NEW_ELEMENT, TABLE, kernel_name, new, sequence, acknowledge=True)
        code = self._netlink.change(nfnetlink.batch(body, sequence), sequence)
        if code == 0:
            return [Enforced(held, ok=True) for held, _element in chunk]
        if len(chunk) == 1 or code in HOPELESS:
            return [Enforced(held, ok=False, why=words(code)) for held, _element in chunk]
        half = len(chunk) // 2
        first = self._put(kernel_name, chunk[:half], absent=absent)
        return first + self._put(kernel_name, chunk[half:], absent=absent)

    def take(self, kernel_name: str, holds: Sequence[Held]) -> tuple[list[Enforced], list[Held]]:
        """Take many elements of one set out; the second list are those that were not there. Raises AdapterError."""
        answers: list[Enforced] = []
        absent: list[Held] = []
        for start in range(0, len(holds), _CHUNK):
            self._take(kernel_name, holds[start : start + _CHUNK], answers, absent)
        return answers, absent

    def _take(self, kernel_name: str, chunk: Sequence[Held], answers: list[Enforced], absent: list[Held]) -> None:
        sequence = self._netlink.next_sequence()
        old = [sets.single(held.network.address) for held in chunk]
        body = sets.change(sets.DELETE_ELEMENT, TABLE, kernel_name, old, sequence, acknowledge=True)
        code = self._netlink.change(nfnetlink.batch(body, sequence), sequence)
        if len(chunk) == 1 and code == errno.ENOENT:
            absent.append(chunk[0])
            answers.append(Enforced(chunk[0], ok=True))
        elif code == 0 or len(chunk) == 1 or code in HOPELESS - {errno.ENOENT}:
            answers += [Enforced(held, ok=not code, why=words(code) if code else "") for held in chunk]
        else:
            half = len(chunk) // 2
            self._take(kernel_name, chunk[:half], answers, absent)
            self._take(kernel_name, chunk[half:], answers, absent)
