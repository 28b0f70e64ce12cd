"""One TCP connection as both ends see it: the bytes in order, and what the acknowledgements prove. Raises nothing.

Sequence numbers are 32-bit circles (RFC 9293 section 3.4); "ahead" is the signed distance on the circle. A `Flow` has a
`Half` for each direction. What belongs to all flows together (budgets, eviction, who is the server) is not here.
"""

from __future__ import annotations

from bisect import bisect_right

from sipguard.address import Address
from sipguard.model import Instant
from sipguard.wire.l4 import Segment

MASK = 0xFFFFFFFF
OVERHEAD = 128
"""What one kept piece costs beside its bytes: the object headers and its place in a list."""
UNKNOWN = -1

CLOSED = 0
UNCONFIRMED = 1
CONFIRMED = 2
PROVEN = 3
"""Ranks, in the order in which flows go when room is needed."""


def ahead(left: int, right: int) -> int:
    """Tell how far `left` is ahead of `right` on the circle of sequence numbers; negative if it is behind."""
    return ((left - right + 0x80000000) & MASK) - 0x80000000


class Half:
    """One direction of a connection: what is expected next, what waits behind a hole, what is not yet acknowledged.

    `pending` holds (sequence number, bytes) beyond a hole, in order; `recent` holds what was delivered last and not yet
    acknowledged, without holes up to `next`. Both count into `held`.
    """

    __slots__ = (
        "acked",
        "fin",
        "first",
        "held",
        "hole_at",
        "lost",
        "next",
        "pending",
        "recent",
        "skipped",
        "smooth",
        "stray",
        "to_server",
        "urgent",
    )

    def __init__(self, *, to_server: bool) -> None:
        self.to_server = to_server
        self.next = UNKNOWN
        self.first = UNKNOWN  # the sequence number after the SYN, where the handshake was seen
        self.acked = UNKNOWN  # what the other side last acknowledged
        self.pending: list[tuple[int, bytes]] = []
        self.recent: list[tuple[int, bytes]] = []
        self.held = 0
        self.hole_at: Instant = 0
        self.stray = UNKNOWN  # where the last segment far outside the window ended
        self.skipped = UNKNOWN  # where reading went on behind a hole that the other side had not acknowledged
        self.urgent = UNKNOWN  # the byte that the receiver takes out of the stream
        self.fin = False
        self.lost = False  # the next delivery does not follow the last one
        self.smooth = False  # nothing is pending, urgent or lost: the fast path may be taken

    def settle(self) -> None:
        """Work out `smooth` anew."""
        self.smooth = self.next >= 0 and not self.pending and not self.lost and self.urgent < 0


class Flow:
    """A TCP connection, between `client` and `server` (address, port).

    `handshake`: its SYN or SYN-ACK was seen, and the numbers since follow from it. `confirmed`: the client acknowledged
    exactly what the server had sent, which a blind spoofer cannot. `proven`: handshake, and the server acknowledged at
    least one byte of client data beyond what the SYN carried; a reset proves nothing, nor does a flow picked up
    mid-stream. `conflicts` counts bytes sent anew with another content before they were acknowledged: no honest
    stack does so. `told`, `spoken`, `client_state` and `server_state` are the caller's: whether it has spoken of those
    conflicts, and of the client's first bytes, and what it makes of either side's bytes; they die with the flow.
    So are `stalled`, `awaited` and `masked`, for who holds segments back: nothing more of it goes on, the last segment
    that came before its turn, and what was overwritten (sequence number, length).
    """

    __slots__ = (
        "amid",
        "awaited",
        "client",
        "client_state",
        "closed",
        "confirmed",
        "conflicts",
        "fresh",
        "handshake",
        "inward",
        "masked",
        "moved_at",
        "network",
        "opened_at",
        "outward",
        "proven",
        "rank",
        "server",
        "server_state",
        "spoken",
        "stalled",
        "syn_length",
        "told",
        "waits",
    )

    def __init__(self, at: Instant, client: tuple[Address, int], server: tuple[Address, int], network: bytes) -> None:
        self.client = client
        self.server = server
        self.network = network  # whose share it counts into
        self.opened_at = at
        self.moved_at = at  # when it last went to the end of the queue of those to be evicted
        self.handshake = False
        self.confirmed = False
        self.proven = False
        self.closed = False
        self.rank = UNCONFIRMED
        self.conflicts = 0
        self.told = False
        self.spoken = False
        self.stalled = False
        self.awaited = UNKNOWN
        self.masked: tuple[tuple[int, int], ...] = ()
        self.inward = Half(to_server=True)
        self.outward = Half(to_server=False)
        self.syn_length = 0  # bytes that the SYN carried; that they are acknowledged proves nothing
        self.fresh: Segment | None = None  # a SYN for a new connection between the same ports, not yet answered
        self.amid = 0  # bytes of half messages that the caller keeps of it, as he last said
        self.waits = False  # stands in the queue of those whose bytes can be given up
        self.client_state: object | None = None
        self.server_state: object | None = None

    @property
    def received(self) -> int:
        """Bytes of the client's that came in order, or were given up; 0 where the handshake was not seen."""
        half = self.inward
        return ahead(half.next, half.first) & MASK if half.first >= 0 and half.next >= 0 else 0

    def worth(self) -> int:
        """Give the rank that its flags say."""
        if self.closed:
            return CLOSED
        if self.proven:
            return PROVEN
        return CONFIRMED if self.confirmed else UNCONFIRMED

    def keys(self) -> tuple[tuple[Address, int, Address, int], tuple[Address, int, Address, int]]:
        """Give the keys under which segments from the client and from the server find it."""
        return (*self.client, *self.server), (*self.server, *self.client)


class Delivery:
    """Bytes of one direction in order. `gap`: they do not follow those delivered before, so reading begins anew.

    A first delivery of a flow picked up mid-stream has a gap, although it may well begin with a message.
    """

    __slots__ = ("data", "flow", "gap", "to_server")

    def __init__(self, flow: Flow, to_server: bool, data: bytes, gap: bool) -> None:  # noqa: FBT001 - hot path
        self.flow = flow
        self.to_server = to_server
        self.data = data
        self.gap = gap


NOTHING: tuple[Delivery, ...] = ()


def insert(pending: list[tuple[int, bytes]], base: int, seq: int, data: bytes) -> tuple[int, bool]:
    """Put a piece among those beyond a hole at `base`, as Linux does (tcp_data_queue_ofo).

    A piece inside one already there is dropped, a piece that covers others replaces them, and of two that overlap in
    part the one that begins first is read first. Gives by how much the cost grew, and whether overlapping bytes differ.
    """
    start = ahead(seq, base)
    end = start + len(data)
    place = bisect_right(pending, start, key=lambda piece: ahead(piece[0], base))
    differs = False
    if place:
        before_seq, before = pending[place - 1]
        offset = start - ahead(before_seq, base)
        common = before[offset : offset + len(data)]
        differs = bool(common) and not data.startswith(common)
        if offset + len(data) <= len(before):
            return 0, differs
        if offset == 0:
            place -= 1  # it begins alike and reaches further: it replaces the shorter one
    stop = place
    cost = len(data) + OVERHEAD
    while stop < len(pending):
        other_seq, other = pending[stop]
        offset = ahead(other_seq, base) - start
        if offset >= end - start:
            break
        common = data[offset : offset + len(other)]
        differs = differs or not other.startswith(common)
        if offset + len(other) > end - start:
            break
        cost -= len(other) + OVERHEAD
        stop += 1
    pending[place:stop] = [(seq, data)]
    return cost, differs
