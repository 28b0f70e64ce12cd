"""Puts fragments of IPv4 and IPv6 datagrams together, within a stated budget, as Linux does.

As in Linux (inet_frag_queue_insert, 5.0 and later, both families; RFC 8200 section 4.5 for IPv6): a fragment that lies
wholly inside a run of bytes already received is a duplicate and is ignored, whatever it holds; any other overlap throws
the whole datagram away. So there is one reading or none, and no way to show the PBX another text than us.

What traffic can grow here: datagrams in the making, and the bytes in them. Both are capped, in all and per network of
the sender (/24, /48); at a cap the oldest goes, of that network or of all, and is counted in `evicted`. Nothing else
is to be put here: no headers are read, no time but the one passed in is known.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TypeAlias

from sipguard.address import Address
from sipguard.model import SECOND, Instant, Span

MAX_PAYLOAD_IPV4 = 65535 - 20
MAX_PAYLOAD_IPV6 = 65535
OVERHEAD = 128
"""What one kept fragment costs beside its bytes: the object headers and its place in two lists."""

Key: TypeAlias = tuple[Address, Address, int, int]


@dataclass(frozen=True, slots=True)
class FragmentsConfig:
    """The budget. Ages are Linux's: net.ipv4.ipfrag_time and net.ipv6.ip6frag_time, counted from the first fragment.

    A network may hold one in `share` of datagrams and of bytes. Bytes include 128 for each fragment.
    """

    max_datagrams: int = 1024
    max_bytes: int = 4 * 1024 * 1024
    share: int = 8
    age_ipv4: Span = 30 * SECOND
    age_ipv6: Span = 60 * SECOND


def network_of(address: Address) -> bytes:
    """Give the /24 or /48 of an address as its leading bytes, 3 or 6 of them: who shares a budget."""
    return address[:3] if len(address) == 4 else address[:6]


class _Partial:
    """A datagram in the making: runs of bytes, each with its start, in order; `size` is the end of the last byte."""

    __slots__ = ("complete", "cost", "key", "limit", "network", "protocol", "received", "runs", "size", "starts")

    def __init__(self, key: Key, limit: Instant) -> None:
        self.key = key
        self.limit = limit  # forgotten after this instant
        self.network = network_of(key[0])
        self.protocol = -1  # known with the fragment at offset 0
        self.starts: list[int] = []
        self.runs: list[bytearray] = []
        self.size = 0
        self.received = 0
        self.complete = False  # the last fragment was seen, `size` is final
        self.cost = 0

    def insert(self, start: int, data: bytes) -> bool | None:
        """Add a fragment: True, or None if it is a duplicate, or False if it overlaps otherwise."""
        end = start + len(data)
        if not self.runs:
            self.starts.append(start)
            self.runs.append(bytearray(data))
            return True
        tail = self.starts[-1] + len(self.runs[-1])
        if tail < end:
            if start < tail:
                return False
            if start == tail:
                self.runs[-1] += data
            else:
                self.starts.append(start)
                self.runs.append(bytearray(data))
            return True
        return self._between(start, end, data)

    def _between(self, start: int, end: int, data: bytes) -> bool | None:
        """Add a fragment that does not reach past what is there; runs are not merged, as Linux does not merge them."""
        place = bisect_right(self.starts, start)
        if place:
            run_end = self.starts[place - 1] + len(self.runs[place - 1])
            if end <= run_end:
                return None
            if start < run_end:
                return False
        if place < len(self.starts) and end > self.starts[place]:
            return False
        self.starts.insert(place, start)
        self.runs.insert(place, bytearray(data))
        return True

    def joined(self) -> bytes | None:
        """Give the whole payload once no byte is missing."""
        return b"".join(self.runs) if self.complete and self.received == self.size else None


class _Share:
    """What one network holds, oldest first."""

    __slots__ = ("cost", "partials")

    def __init__(self) -> None:
        self.cost = 0
        self.partials: dict[Key, _Partial] = {}


class Fragments:
    """Datagrams in the making.

    Counters, all since the start: `evicted` for want of room, `expired` by age, `overlapped` and `malformed` thrown
    away whole, `duplicates` ignored, `reassembled`.
    """

    def __init__(self, config: FragmentsConfig = FragmentsConfig()) -> None:
        self.config = config
        self.evicted = 0
        self.expired = 0
        self.overlapped = 0
        self.malformed = 0
        self.duplicates = 0
        self.reassembled = 0
        self.held_bytes = 0
        self._partials: dict[Key, _Partial] = {}
        self._shares: dict[bytes, _Share] = {}

    def __len__(self) -> int:
        return len(self._partials)

    def feed(
        self,
        at: Instant,
        source: Address,
        destination: Address,
        ident: int,
        protocol: int,
        offset: int,
        data: bytes,
        *,
        more: bool,
    ) -> tuple[int, bytes] | None:
        """Add one fragment; give (protocol, payload) when it completes a datagram. Never raises on any input.

        `offset` is in bytes, `more` is the header's flag. IPv6 datagrams are told apart without the protocol, which is
        taken from the first fragment (RFC 8200 section 4.5).
        """
        key = (source, destination, ident, protocol if len(source) == 4 else -1)
        partial = self._find(at, key)
        if not self._measure(partial, offset, data, more=more):
            self._drop(partial)
            self.malformed += 1
            return None
        if more:
            data = data[: len(data) & ~7]
        added = partial.insert(offset, data)
        if added is False:
            self._drop(partial)
            self.overlapped += 1
            return None
        if offset == 0 and partial.protocol < 0:
            partial.protocol = protocol
        if added is None:
            self.duplicates += 1
            return None
        return self._grown(partial, len(data))

    def _find(self, at: Instant, key: Key) -> _Partial:
        """Give the datagram in the making, a new one if there is none or if it is too old."""
        partial = self._partials.get(key)
        if partial is not None:
            if at <= partial.limit:
                return partial
            self._expire(partial)
        self._sweep(at)
        partial = _Partial(key, at + (self.config.age_ipv4 if len(key[0]) == 4 else self.config.age_ipv6))
        share = self._shares.setdefault(partial.network, _Share())
        self._partials[key] = share.partials[key] = partial
        return partial

    def _measure(self, partial: _Partial, offset: int, data: bytes, *, more: bool) -> bool:
        """Check a fragment's extent against what is known of the whole (ip_frag_queue); False: throw all away."""
        end = offset + (len(data) & ~7 if more else len(data))
        if end <= offset or end > (MAX_PAYLOAD_IPV4 if len(partial.key[0]) == 4 else MAX_PAYLOAD_IPV6):
            return False
        if more:
            if end > partial.size:
                if partial.complete:
                    return False
                partial.size = end
            return True
        if end < partial.size or (partial.complete and end != partial.size):
            return False
        partial.complete = True
        partial.size = end
        return True

    def _grown(self, partial: _Partial, length: int) -> tuple[int, bytes] | None:
        """Give the whole if it is complete, else book the bytes and make room for them."""
        partial.received += length
        payload = partial.joined()
        if payload is not None:
            self._drop(partial)
            self.reassembled += 1
            return partial.protocol, payload
        cost = length + OVERHEAD
        share = self._shares[partial.network]
        partial.cost += cost
        share.cost += cost
        self.held_bytes += cost
        config = self.config
        while (
            share.cost > config.max_bytes // config.share or len(share.partials) > config.max_datagrams // config.share
        ):
            self._evict(next(iter(share.partials.values())))
        while self.held_bytes > config.max_bytes or len(self._partials) > config.max_datagrams:
            self._evict(next(iter(self._partials.values())))
        return None

    def _sweep(self, at: Instant) -> None:
        """Forget what has run out, at most two for each new one: a quiet table empties, and the work is bounded."""
        for _ in range(2):
            oldest = next(iter(self._partials.values()), None)
            if oldest is None or at <= oldest.limit:
                return
            self._expire(oldest)

    def _evict(self, partial: _Partial) -> None:
        self._drop(partial)
        self.evicted += 1

    def _expire(self, partial: _Partial) -> None:
        self._drop(partial)
        self.expired += 1

    def _drop(self, partial: _Partial) -> None:
        share = self._shares[partial.network]
        del self._partials[partial.key], share.partials[partial.key]
        share.cost -= partial.cost
        self.held_bytes -= partial.cost
        if not share.partials:
            del self._shares[partial.network]
