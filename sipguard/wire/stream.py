"""Follows TCP flows from SYN to the end, and says what their acknowledgements prove. Raises nothing.

Nothing that one side sends can end our view: a reset is believed only at exactly the next sequence number, and even
then, as after a FIN, the flow only goes first when room is needed; bytes that still come in order are still read. A SYN
on a live flow changes nothing until it is answered. Checksums, timestamps and windows are not looked at; on the live
path the kernel's connection tracking has. How bytes are put in order stands in `reassembly.py`.

A flow's proof rests on what the server is seen to send. Whoever feeds this from a live host must not feed packets that
come in from outside with the host's own address as their source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sipguard.model import HOUR, MINUTE, SECOND, Instant, Span
from sipguard.wire.flow import MASK, NOTHING, OVERHEAD, Delivery, Flow, ahead
from sipguard.wire.flowtable import TOUCH, Entry, FlowTable
from sipguard.wire.fragments import network_of
from sipguard.wire.l4 import ACK, FIN, RST, SYN, URG, Segment
from sipguard.wire.reassembly import Reassembly

__all__ = ["Delivery", "Flow", "Streams", "StreamsConfig"]

SIP_PORTS = frozenset({5060, 5061, 5080, 50600})
MAX_SYN_DATA = 65535
_PLAIN = FIN | SYN | RST | ACK | URG


@dataclass(frozen=True, slots=True)
class StreamsConfig:
    """The budget. Bytes are those beyond a hole and those not yet acknowledged, each piece with 128 more.

    As many again may be half messages, which the caller keeps and tells of (`Streams.amid`, `Streams.relieve`).

    One network (/24, /48) may hold one in `share` of flows and of bytes. A hole is given up when the other side
    acknowledges what lies beyond, at a budget's end, and after `patience` where no acknowledgement is ever seen. Flows
    are forgotten when silent for `idle`, or for `linger` if closed or never confirmed.
    """

    max_flows: int = 8192
    max_pending_bytes_per_flow: int = 128 * 1024
    max_pending_bytes: int = 16 * 1024 * 1024
    share: int = 8
    idle: Span = 2 * HOUR
    linger: Span = 5 * MINUTE
    patience: Span = 10 * SECOND


class Streams:
    """All TCP flows. `server_ports` tell which side is the server; else the SYN does, else who was spoken to first."""

    def __init__(self, config: StreamsConfig = StreamsConfig(), server_ports: frozenset[int] = SIP_PORTS) -> None:
        self.config = config
        self._ports = server_ports
        self._window = config.max_pending_bytes_per_flow
        self._max_held = config.max_pending_bytes
        self._max_share = config.max_pending_bytes // config.share
        self._table = FlowTable(config.max_flows, config.share, config.idle, config.linger)
        self._bytes = Reassembly(self._table, self._window, self._max_held, self._max_share, config.patience)
        self._entries = self._table.entries
        self._everything = self._table.everything
        self.ended = self._table.ended  # flows closed or given up since the caller last emptied it

    def __len__(self) -> int:
        return self._everything.count

    @property
    def held_bytes(self) -> int:
        """Bytes held now, as the budget counts them."""
        return self._everything.held

    @property
    def half_bytes(self) -> int:
        """Bytes of half messages that the caller keeps, as he told."""
        return self._everything.half

    @property
    def evicted(self) -> int:
        """Flows that had to go for want of room, since the start."""
        return self._table.evicted

    @property
    def expired(self) -> int:
        """Flows forgotten after long silence, since the start."""
        return self._table.expired

    @property
    def gaps(self) -> int:
        """Times that bytes were given up for lost, since the start."""
        return self._bytes.gaps

    @property
    def retransmitted(self) -> int:
        """Segments that said the same again, since the start."""
        return self._bytes.retransmitted

    @property
    def overlapped(self) -> int:
        """Segments that said something else than was said before of the same bytes, since the start."""
        return self._bytes.conflicts

    @property
    def strays(self) -> int:
        """Segments that fit nowhere, since the start."""
        return self._bytes.strays

    @property
    def yielded(self) -> int:
        """Pieces that a budget made a flow give up, since the start."""
        return self._bytes.yielded

    def amid(self, flow: Flow, count: int) -> None:
        """Take note that `count` bytes of a flow's half messages are kept; of a forgotten flow it changes nothing."""
        self._table.keep(flow, count)

    def relieve(self, flow: Flow) -> bool:
        """Forget one other flow where half messages are over the budget since this one grew; False when they are not.

        To be asked until it is False, and `ended` emptied each time.
        """
        return self._table.relieve(flow, self._max_held, self._max_share)

    def listen(self, server_ports: frozenset[int]) -> None:
        """Take these for the server's ports from now on; flows already known keep their sides."""
        self._ports = server_ports

    def feed(self, at: Instant, segment: Segment) -> Sequence[Delivery]:
        """Add one segment; give what can now be read, in order. Never raises on any input.

        Deliveries are of the segment's own flow first; where a budget makes another flow give up a hole, of that too.
        """
        entry = self._entries.get((segment.src, segment.sport, segment.dst, segment.dport))
        if entry is None:
            return self._open(at, segment)
        if segment.flags & _PLAIN != ACK:
            return self._special(at, entry, segment)
        flow, half, peer, share = entry
        if at - flow.moved_at > TOUCH:
            self._table.touch(at, flow)
        if segment.ack != peer.acked:
            freed = self._bytes.acknowledged(at, flow, peer, segment.ack)
            if freed:
                return [*freed, *self._bytes.data(at, entry, segment.seq, segment.payload)]
        data = segment.payload
        if not data:
            return NOTHING
        seq = segment.seq
        if seq != half.next or not half.smooth:
            return self._bytes.data(at, entry, seq, data)
        half.next = (seq + len(data)) & MASK
        half.recent.append((seq, data))
        cost = len(data) + OVERHEAD
        half.held += cost
        share.held += cost
        self._everything.held += cost
        if not flow.waits:
            self._table.queue(flow, share)
        found = Delivery(flow, half.to_server, data, False)
        if half.held > self._window or share.held > self._max_share or self._everything.held > self._max_held:
            return [found, *self._bytes.relieve(flow, half, share)]
        return (found,)

    # --- For who holds segments back ----------------------------------------------------------------------------------

    def find(self, segment: Segment) -> Entry | None:
        """Give the flow that a segment belongs to, if it is known."""
        return self._entries.get((segment.src, segment.sport, segment.dst, segment.dport))

    def take_back(self, entry: Entry, count: int) -> None:
        """Unread the last `count` bytes that were delivered of a half: they will come again."""
        flow, half, _, _ = entry
        half.next = (half.next - count) & MASK
        half.fin = False
        while count > 0 and half.recent:
            seq, piece = half.recent.pop()
            freed = len(piece) + OVERHEAD
            if len(piece) > count:
                half.recent.append((seq, piece[:-count]))
                freed = count
            self._table.hold(flow, half, -freed)
            count -= len(piece)

    # ------------------------------------------------------------------------------------------------------------------

    def _open(self, at: Instant, segment: Segment) -> Sequence[Delivery]:
        """Begin a flow with a SYN, a SYN-ACK or data; nothing else is worth a place in the table."""
        flags = segment.flags
        if flags & RST or flags & (SYN | FIN) == SYN | FIN or not flags & (SYN | ACK):
            self._bytes.strays += 1
            return NOTHING
        if not flags & SYN and not segment.payload:
            return NOTHING
        source, target = (segment.src, segment.sport), (segment.dst, segment.dport)
        opener, other = (target, source) if flags & SYN and flags & ACK else (source, target)
        client, server = opener, other
        if (source[1] in self._ports) != (target[1] in self._ports):
            client, server = (target, source) if source[1] in self._ports else (source, target)
        flow = Flow(at, client, server, network_of(opener[0]))
        self._table.add(at, flow)
        entry = self._entries[(segment.src, segment.sport, segment.dst, segment.dport)]
        return self._special(at, entry, segment)

    def _special(self, at: Instant, entry: Entry, segment: Segment) -> Sequence[Delivery]:
        """Take a segment with any flag but ACK and PSH, or the first of a flow."""
        flow, half, peer, _ = entry
        flags = segment.flags
        if flags & RST:
            self._reset(at, entry, segment)
            return NOTHING
        if flags & SYN and not flags & FIN:
            return self._answer(at, entry, segment) if flags & ACK else self._syn(at, entry, segment)
        if flags & SYN or not flags & ACK:  # Linux drops both, with all that they carry
            self._bytes.strays += 1
            return NOTHING
        found = [*self._bytes.acknowledged(at, flow, peer, segment.ack)]
        if flags & URG and segment.payload:
            # The byte before the pointer, or for 0 the first, is taken out of the stream (tcp_check_urg, tcp_recvmsg).
            half.urgent = (segment.seq + max(segment.urgent - 1, 0)) & MASK
            half.smooth = False
        found += self._bytes.data(at, entry, segment.seq, segment.payload)
        if flags & FIN and (segment.seq + len(segment.payload)) & MASK == half.next:
            half.fin = True
            if peer.fin:
                self._close(at, flow)
        return found

    def _syn(self, at: Instant, entry: Entry, segment: Segment) -> Sequence[Delivery]:
        """Take a SYN: the first, the same again, or one that wants to begin a new connection between the same ports."""
        flow, half, peer, _ = entry
        first = (segment.seq + 1) & MASK
        if half.next < 0 and peer.next < 0:
            half.next = half.first = first
            half.smooth = True
            flow.handshake = True
            flow.syn_length = len(segment.payload)
            if segment.payload:  # read only if the answer takes it (RFC 7413)
                return self._bytes.behind_hole(at, entry, first, segment.payload)
        elif first == half.first:
            self._bytes.retransmitted += 1
        elif flow.closed or (half.acked < 0 and peer.next < 0):
            self._table.drop(flow)
            return self._open(at, segment)
        else:
            bare = Segment(segment.src, segment.sport, segment.dst, segment.dport, segment.seq, 0, SYN, b"")
            flow.fresh = bare  # without what it may carry: nobody is to fill memory with those
        return NOTHING

    def _answer(self, at: Instant, entry: Entry, segment: Segment) -> Sequence[Delivery]:
        """Take a SYN-ACK: believed once, or again if it answers a SYN seen since, or if the flow was closed."""
        flow, half, peer, _ = entry
        first = (segment.seq + 1) & MASK
        fresh = flow.fresh
        names_it = fresh is not None and (fresh.src, fresh.sport) == (segment.dst, segment.dport)
        if fresh is not None and names_it and 1 <= ahead(segment.ack, fresh.seq) <= MAX_SYN_DATA:
            self._table.drop(flow)
            return [*self._open(at, fresh), *self.feed(at, segment)]
        if half.next >= 0:
            if flow.closed and first != half.first:
                self._table.drop(flow)
                return self._open(at, segment)
            self._bytes.strays += first != half.first
            return NOTHING
        half.next = half.first = first
        half.smooth = True
        flow.handshake = True
        return self._bytes.agree(flow, peer, segment.ack)

    def _reset(self, at: Instant, entry: Entry, segment: Segment) -> None:
        """Believe a reset at exactly the next number (RFC 5961 section 3), or one that refuses the SYN it names."""
        flow, half, peer, _ = entry
        exact = half.next >= 0 and (segment.seq == half.next or (half.fin and segment.seq == (half.next + 1) & MASK))
        named = (peer.first, (peer.first + flow.syn_length) & MASK)
        refused = half.next < 0 and peer.first >= 0 and segment.flags & ACK and segment.ack in named
        if exact or refused:
            self._close(at, flow)
        else:
            self._bytes.strays += 1

    def _close(self, at: Instant, flow: Flow) -> None:
        if not flow.closed:
            self.ended.append(flow)
        flow.closed = True
        flow.inward.smooth = flow.outward.smooth = False
        self._table.touch(at, flow)
