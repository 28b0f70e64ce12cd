"""Puts the bytes of a TCP flow in order, within the budgets, as Linux does. Raises nothing.

What the PBX reads must be read here too, so overlaps are resolved as Linux resolves them: what was in order first
stays; beyond a hole, see `flow.insert`; a segment that fills the hole wins over what waits behind it.

A sender can show us bytes that the PBX never takes (an old timestamp, a wrong checksum in a file, a lifetime that ends
before a container), then send others in their place. Bytes are delivered at once, since the gate must judge at once,
and kept until they are acknowledged. When others come in their place, all that is not acknowledged is delivered again
as it now reads, with a gap, and the flow's `conflicts` says so: both texts are read, and no honest stack does that.
"""

from __future__ import annotations

from collections.abc import Sequence

from sipguard.model import Instant, Span
from sipguard.wire.flow import MASK, NOTHING, OVERHEAD, UNKNOWN, Delivery, Flow, Half, ahead, insert
from sipguard.wire.flowtable import Entry, FlowTable, Share

REREADS = 8
"""How often one flow is delivered anew as a whole: without a limit, one byte would buy the reading of 128 KiB."""


class Reassembly:
    """What all flows' bytes have in common: the budgets, and counters since the start (see `Streams`)."""

    def __init__(self, table: FlowTable, window: int, max_held: int, max_share: int, patience: Span) -> None:
        self.gaps = 0
        self.retransmitted = 0
        self.conflicts = 0
        self.strays = 0
        self.yielded = 0
        self._table = table
        self._window = window
        self._max_held = max_held
        self._max_share = max_share
        self._patience = patience

    def agree(self, flow: Flow, half: Half, ack: int) -> list[Delivery]:
        """Set where the opener's bytes begin, as the SYN-ACK says, and read what the SYN carried if it was taken."""
        half.acked = ack
        found: list[Delivery] = []
        if flow.syn_length and half.pending and ack == (half.first + flow.syn_length) & MASK:
            self._jump(flow, half, found, lost=False)
            return found
        flow.syn_length = 0
        if half.next < 0 or not 0 <= ahead(half.next, ack) <= self._window or half.pending:
            self._forget(flow, half)
            half.lost = half.next >= 0 and half.next != ack
            half.next = ack
        half.first = ack
        half.settle()
        return found

    def acknowledged(self, at: Instant, flow: Flow, half: Half, ack: int) -> Sequence[Delivery]:
        """Take what the other side says it has of this half: frees bytes, proves the client, ends a hole it is past."""
        if half.acked >= 0 and -self._window <= ahead(ack, half.acked) <= 0:
            return NOTHING
        half.acked = ack
        if half.recent:
            self._release(flow, half, ack)
        if half.to_server:
            if flow.handshake and not flow.proven and half.first >= 0 and self._takes_data(flow, half, ack):
                flow.proven = True
                self._table.touch(at, flow)
        elif not flow.confirmed and half.next >= 0 and ack in {half.next, (half.next + half.fin) & MASK}:
            flow.confirmed = True
            self._table.touch(at, flow)
        found: list[Delivery] = []
        if half.pending and ack != half.next and ahead(ack, half.pending[0][0]) >= 0:
            self._jump(flow, half, found)
        return found

    def _takes_data(self, flow: Flow, half: Half, ack: int) -> bool:
        """Tell whether `ack` covers a byte sent after the SYN and nothing that was never sent."""
        begin = half.first + flow.syn_length
        beyond = ahead(ack, half.next)
        return beyond <= half.fin and ahead(half.next if beyond > 0 else ack, begin & MASK) > 0

    def data(self, at: Instant, entry: Entry, seq: int, data: bytes) -> Sequence[Delivery]:
        """Take the bytes of a segment that the fast path could not."""
        flow, half, _, share = entry
        if not data:
            return NOTHING
        if half.next < 0:
            half.next = seq
            half.lost = True
        distance = ahead(seq, half.next)
        if not -self._window <= distance <= self._window:
            return self._far(at, entry, seq, data)
        if distance > 0:
            return self.behind_hole(at, entry, seq, data)
        found: list[Delivery] = []
        if distance < 0:
            self._again(flow, half, seq, data[:-distance], found)
            data = data[-distance:]
        if data:
            if flow.closed:
                flow.closed = False
                self._table.touch(at, flow)
            self._advance(flow, half, data, found)
        half.settle()
        found += self.relieve(flow, half, share)
        return found

    def behind_hole(self, at: Instant, entry: Entry, seq: int, data: bytes) -> list[Delivery]:
        """Keep what lies beyond a hole, unless nothing will fill the hole any more."""
        flow, half, _, share = entry
        found: list[Delivery] = []
        if not half.pending:
            half.hole_at = at
        cost, differs = insert(half.pending, half.next, seq, data)
        self._conflict(flow, differs=differs)
        self._table.hold(flow, half, cost)
        half.smooth = False
        begin = half.pending[0][0]
        one_way = half.acked < 0
        if begin != half.next and (
            (one_way and at - half.hole_at > self._patience) or (not one_way and ahead(half.acked, begin) >= 0)
        ):
            self._jump(flow, half, found)
        found += self.relieve(flow, half, share)
        return found

    def _far(self, at: Instant, entry: Entry, seq: int, data: bytes) -> Sequence[Delivery]:
        """Believe a segment far outside the window where the other side's acknowledgements do, or two that agree.

        The flow has then been picked up mid-stream: its handshake proves nothing any more.
        """
        flow, half, _, _ = entry
        near = abs(ahead(seq, half.acked)) <= self._window if half.acked >= 0 else seq == half.stray
        if not near:
            half.stray = (seq + len(data)) & MASK
            self.strays += 1
            return NOTHING
        self._forget(flow, half)
        flow.handshake = False
        half.next = seq
        half.lost = True
        half.stray = UNKNOWN
        self.gaps += 1
        return self.data(at, entry, seq, data)

    def _again(self, flow: Flow, half: Half, seq: int, data: bytes, found: list[Delivery]) -> None:
        """Take bytes from before the next: the same again, or others that the other side may take instead."""
        if half.acked >= 0:
            done = ahead(half.acked, seq)
            if done > 0:
                data = data[done:]
                seq = (seq + done) & MASK
        elif len(data) == 1 and (seq + 1) & MASK == half.next:
            data = b""  # a keep-alive's octet may be anything (RFC 9293 section 3.8.4)
        begin = half.recent[0][0] if half.recent else half.next
        offset = ahead(seq, begin)
        if offset < 0 and data:
            if half.acked >= 0:  # given up for lost, and now it comes
                self._deliver(flow, half, seq, data[:-offset], found, gap=True)
                half.lost = True
            data = data[-offset:]
            offset = 0
        known = b"".join([piece for _, piece in half.recent])
        if known.startswith(data, offset):
            self.retransmitted += 1
            return
        self._conflict(flow, differs=True)
        if flow.conflicts > REREADS:
            self._deliver(flow, half, (begin + offset) & MASK, data, found, gap=True)
            half.lost = True
            return
        renewed = known[:offset] + data + known[offset + len(data) :]
        self._table.hold(flow, half, -OVERHEAD * (len(half.recent) - 1))
        half.recent = [(begin, renewed)]
        self._deliver(flow, half, begin, renewed, found, gap=True)
        half.lost = True  # what follows was written for one of the two texts; it is not known for which

    def _advance(self, flow: Flow, half: Half, data: bytes, found: list[Delivery]) -> None:
        """Deliver bytes that begin at the next, with all that they join on to."""
        start = half.next
        if half.pending:
            data = self._joined(flow, half, data)
        half.next = (start + len(data)) & MASK
        half.recent.append((start, data))
        self._table.hold(flow, half, len(data) + OVERHEAD)
        self._deliver(flow, half, start, data, found, gap=half.lost)
        half.lost = False

    def _joined(self, flow: Flow, half: Half, data: bytes) -> bytes:
        """Take from beyond the hole what now follows; what the new bytes cover gives way to them."""
        pieces = bytearray(data)
        used = 0
        for seq, piece in half.pending:
            offset = (half.next + len(pieces) - seq) & MASK
            if offset > MASK // 2:  # the next hole
                break
            begin = len(pieces) - offset
            self._conflict(flow, differs=not piece.startswith(bytes(pieces[begin : begin + len(piece)])))
            pieces += piece[offset:]
            used += 1
            self._table.hold(flow, half, -len(piece) - OVERHEAD)
        del half.pending[:used]
        return bytes(pieces)

    def _deliver(self, flow: Flow, half: Half, seq: int, data: bytes, found: list[Delivery], *, gap: bool) -> None:
        """Hand bytes over, without the urgent one among them."""
        if half.urgent >= 0:
            offset = ahead(half.urgent, seq)
            if 0 <= offset < len(data):
                data = data[:offset] + data[offset + 1 :]
                half.urgent = -1
        if data:
            found.append(Delivery(flow, half.to_server, data, gap))

    # --- Budgets ------------------------------------------------------------------------------------------------------

    def _jump(self, flow: Flow, half: Half, found: list[Delivery], *, lost: bool = True) -> None:
        """Give a hole up, and deliver what lies beyond it."""
        self._drop_recent(flow, half)
        seq, piece = half.pending.pop(0)
        self._table.hold(flow, half, -len(piece) - OVERHEAD)
        half.next = seq
        half.lost = lost
        self.gaps += lost
        if lost and (half.acked < 0 or ahead(half.acked, seq) < 0):
            half.skipped = seq
        self._advance(flow, half, piece, found)
        half.settle()

    def _release(self, flow: Flow, half: Half, ack: int) -> None:
        """Let go of what is acknowledged."""
        recent = half.recent
        done = len(recent)
        if ahead(ack, half.next) < 0:
            done = 0
            while done < len(recent) and ahead(ack, recent[done][0] + len(recent[done][1]) & MASK) >= 0:
                done += 1
        self._table.hold(flow, half, -sum([len(piece) + OVERHEAD for _, piece in recent[:done]]))
        del recent[:done]

    def _drop_recent(self, flow: Flow, half: Half) -> None:
        self._table.hold(flow, half, -sum([len(piece) + OVERHEAD for _, piece in half.recent]))
        half.recent.clear()

    def _forget(self, flow: Flow, half: Half) -> None:
        """Let go of all that a half holds, unread."""
        self._table.hold(flow, half, -half.held)
        half.pending.clear()
        half.recent.clear()

    def _conflict(self, flow: Flow, *, differs: bool) -> None:
        if differs:
            flow.conflicts += 1
            self.conflicts += 1

    def relieve(self, flow: Flow, half: Half, share: Share) -> list[Delivery]:
        """Bring a half, its network and all within their budgets: first goes what was read, then a hole is given up."""
        found: list[Delivery] = []
        while half.held > self._window:
            self._give_up(flow, half, found)
        for kept, limit in ((share, self._max_share), (self._table.everything, self._max_held)):
            while kept.held > limit:
                oldest = self._table.next_to_yield(kept)
                if oldest is None:
                    break
                for each in (oldest.inward, oldest.outward):
                    while each.held:
                        self._give_up(oldest, each, found)
        return found

    def _give_up(self, flow: Flow, half: Half, found: list[Delivery]) -> None:
        self.yielded += half.acked >= 0  # where nothing is ever acknowledged, it is the ordinary course
        if half.recent:
            _, piece = half.recent.pop(0)
            self._table.hold(flow, half, -len(piece) - OVERHEAD)
        else:
            self._jump(flow, half, found)
