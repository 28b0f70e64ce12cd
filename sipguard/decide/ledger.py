"""What is in force: every element that should be in a kernel set, with its end. The reconciler's *wanted*.

An end that has passed is forgotten without a word: the kernel lets its own element go at the same instant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sipguard.address import Address, Network, sender_key, subject_of
from sipguard.decide.ends import Ends
from sipguard.model import Held, Instant, SetName


def is_host(network: Network) -> bool:
    """Tell whether a network is one sender's: an IPv4 address or an IPv6 /64. Only those live in hash sets."""
    return network.prefix == (32 if network.version == 4 else 64)


def _span(network: Network) -> tuple[int, int]:
    shift = len(network.address) * 8 - network.prefix
    return shift, int.from_bytes(network.address, "big") >> shift


class Ledger:
    """The holds in force, by set and network; at most `most`, of which those with the nearest end go first."""

    __slots__ = ("_blocked", "_due", "_ends", "_most", "_spans", "_trusted", "_wide", "evicted")

    def __init__(self, most: int) -> None:
        self._ends: dict[SetName, dict[Network, Instant]] = {name: {} for name in SetName}
        self._blocked: set[bytes] = set()  # the senders in these sets: each packet is looked up in them
        self._trusted: set[bytes] = set()
        self._due = Ends(self.until)
        self._wide: dict[Network, None] = {}  # the blocked networks that are no hosts
        # The same by family and length of prefix, as numbers: each packet is looked up, beside a hundred thousand.
        self._spans: dict[int, dict[int, set[int]]] = {4: {}, 16: {}}
        self._most = most
        self.evicted = 0

    def hold(self, held: Held) -> list[Held]:
        """Put an element in force, or move its end; gives what had to go for it."""
        ends = self._ends[held.set]
        new = held.network not in ends
        ends[held.network] = held.until
        if held.until:
            self._due.add(held)
        if new:
            self._enter(held.set, held.network)
        gone = self._make_room() if new else []
        self._due.tidy(sum(map(len, self._ends.values())), self.wanted)
        return gone

    def release(self, name: SetName, network: Network) -> bool:
        """Take an element out of force; False when it was not in it."""
        if self._ends[name].pop(network, None) is None:
            return False
        senders = self._senders(name)
        if senders is not None and is_host(network):
            senders.discard(sender_key(network.address))
        elif name is SetName.BLOCKED:
            del self._wide[network]
            shift, number = _span(network)
            spans = self._spans[len(network.address)]
            spans[shift].discard(number)
            if not spans[shift]:
                del spans[shift]
        return True

    def _senders(self, name: SetName) -> set[bytes] | None:
        return self._blocked if name is SetName.BLOCKED else self._trusted if name is SetName.TRUSTED else None

    def _enter(self, name: SetName, network: Network) -> None:
        senders = self._senders(name)
        if senders is not None and is_host(network):
            senders.add(sender_key(network.address))
        elif name is SetName.BLOCKED:
            self._wide[network] = None
            shift, number = _span(network)
            self._spans[len(network.address)].setdefault(shift, set()).add(number)

    def until(self, name: SetName, network: Network) -> Instant | None:
        """Give an element's end (0: none), None when it is not in force."""
        return self._ends[name].get(network)

    def blocked(self, address: Address) -> bool:
        """Tell whether a packet from this address would meet a ban."""
        if (address if len(address) == 4 else address[:8]) in self._blocked:  # `sender_key`, without the call
            return True
        if not self._wide:
            return False
        number = int.from_bytes(address, "big")
        return any(number >> shift in there for shift, there in self._spans[len(address)].items())

    def trusts(self, address: Address) -> bool:
        """Tell whether the sender of a packet from this address is in the set of the trusted."""
        return (address if len(address) == 4 else address[:8]) in self._trusted

    def free(self, address: Address) -> bool:
        """Tell whether calls may be sent to this address unlooked at: it is trusted, and nothing charged for there."""
        return self.trusts(address) and subject_of(address) not in self._ends[SetName.CHARGED]

    def size(self, name: SetName) -> int:
        """Count the elements of one set."""
        return len(self._ends[name])

    def ends(self, name: SetName) -> Mapping[Network, Instant]:
        """Give the elements of one set with their ends, in the order they came; it goes on changing."""
        return self._ends[name]

    def networks(self) -> Collection[Network]:
        """Give the banned networks that are no hosts; it goes on changing."""
        return self._wide.keys()

    def held(self, name: SetName) -> Iterable[Network]:
        """Go through the elements of one set, in the order they came."""
        return self._ends[name].keys()

    def overlapping(self, name: SetName, network: Network) -> list[Network]:
        """List the elements of a set that share an address with a network."""
        if name is SetName.BLOCKED and network.prefix >= (32 if network.version == 4 else 64):
            sender = subject_of(network.address)
            found = [sender] if sender in self._ends[name] else []
            return found + [held for held in self._wide if held.covers(network.address)]
        return [held for held in self._ends[name] if held.covers(network.address) or network.covers(held.address)]

    def wanted(self) -> Iterator[Held]:
        """Go through all that is in force, set by set, in the order it came."""
        for name, ends in self._ends.items():
            for network, until in ends.items():
                yield Held(name, network, until)

    def next_deadline(self) -> Instant | None:
        """Give the next instant at which something may end."""
        return self._due.first()

    def advance(self, now: Instant) -> None:
        """Forget what has ended by now."""
        for held in self._due.ended(now):
            self.release(held.set, held.network)

    def counters(self) -> dict[str, int]:
        """Give how much is in force, by set."""
        return {
            **{f"held_{name}": len(ends) for name, ends in self._ends.items()},
            "held_evicted": self.evicted,
        }

    def _make_room(self) -> list[Held]:
        gone: list[Held] = []
        while sum(map(len, self._ends.values())) > self._most and (first := self._due.next()) is not None:
            self.release(first.set, first.network)
            self.evicted += 1
            gone.append(first)
        return gone
