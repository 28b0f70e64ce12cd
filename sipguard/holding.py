"""A held packet: what it completes, and what can still be made of it. Pure; it says nothing of right or wrong.

A datagram is let through or not. A TCP segment can be let through as it is, in part, or with a message in it
overwritten, for what is dropped of a stream comes again, and the PBX waits for it. So nothing may reach the PBX that
was not read here first: what comes before its turn waits for its turn, what was held back is read anew when it comes
again, and a connection on which that cannot be kept up stands still for good.
"""

from __future__ import annotations

from collections.abc import Sequence

from sipguard.intake import Heard, Intake, Passage
from sipguard.model import Frame, Hook, Instant, VerdictKind
from sipguard.sip.framing import Framer
from sipguard.wire.flow import MASK, Flow, Half, ahead
from sipguard.wire.flowtable import Entry
from sipguard.wire.l4 import Segment
from sipguard.wire.rewrite import blanked, with_payload
from sipguard.wire.stream import Streams

_MASKED_MOST = 8
_PREROUTING = Hook.PREROUTING


class Holding:
    """One held segment. `ready` is a verdict that stands before anything is judged: nothing of it was read then."""

    __slots__ = ("_before", "_begins", "_entry", "_segment", "_streams", "frame", "heard", "ready")

    def __init__(self, at: Instant, frame: Frame, segment: Segment, intake: Intake) -> None:
        self.frame = frame
        self.heard: Sequence[Heard | Passage] = ()
        self.ready: VerdictKind | None = None
        self._entry: Entry | None = None
        self._streams: Streams = intake.streams
        self._segment = segment
        self._before: Framer | None = None
        self._begins = 0
        self._take(at, segment, intake)

    def _take(self, at: Instant, segment: Segment, intake: Intake) -> None:
        entry = self._streams.find(segment)
        conflicts = 0
        if entry is None and segment.payload and self.frame.hook is _PREROUTING and intake.torn(segment.src):
            self.ready = VerdictKind.DROP
            return
        if entry is not None:
            flow, half, _, _ = entry
            if flow.stalled:
                self.ready = VerdictKind.DROP
                return
            if _comes_late(half, segment):
                self._entry = entry
                self.stall()
                self.ready = VerdictKind.DROP
                return
            if self._too_early(entry, segment):
                self.ready = VerdictKind.DEFER
                return
            conflicts = flow.conflicts
            state = flow.client_state if half.to_server else flow.server_state
            self._before = state.fork() if isinstance(state, Framer) else Framer() if state is None else None
            self._begins = half.next
        heard = intake.take(at, segment, self.frame.hook)
        entry = self._entry = self._streams.find(segment)
        if entry is None:
            self.heard = heard
            return
        if entry[0].conflicts > conflicts:  # other bytes in the place of some that the PBX may have, or have not
            self.stall()
        state = entry[0].client_state if entry[1].to_server else entry[0].server_state
        if isinstance(state, Framer) and state.doubts > (0 if self._before is None else self._before.doubts):
            self.stall()  # the PBX may find a message where we saw none
        self.heard = heard

    def _too_early(self, entry: Entry, segment: Segment) -> bool:
        """Tell whether a segment comes before its turn; the second time it is let through.

        Else bytes that passed us unread would end the connection. What fills the hole is judged for all it completes.
        """
        flow, half, _, _ = entry
        if not segment.payload or half.next < 0 or ahead(segment.seq, half.next) <= 0:
            return False
        if (half.acked >= 0 and ahead(segment.seq, half.acked) <= 0) or flow.awaited == segment.seq:
            return False
        flow.awaited = segment.seq
        return True

    # --- What becomes of it -------------------------------------------------------------------------------------------

    def judged(self) -> Sequence[Heard]:
        """Give the messages that this very packet completes, those that are to be judged."""
        if self._entry is None:
            return ()
        flow, half, _, _ = self._entry
        sender = flow.client if half.to_server else flow.server
        return [
            each
            for each in self.heard
            if isinstance(each, Heard) and each.flow is flow and (each.source, each.source_port) == sender
        ]

    def keep_before(self, number: int) -> tuple[VerdictKind, bytes | None]:
        """Let through what comes before the message with this number, of those to be judged; the rest comes again."""
        segment, entry = self._segment, self._entry
        if entry is None:
            return VerdictKind.DEFER, None
        flow, half, _, _ = entry
        fresh = self._fresh(segment)
        if fresh is None or self._before is None:
            self.stall()
            return VerdictKind.DROP, None
        keep = self._end_of(number - 1, fresh)
        framer = self._before.fork()
        framer.feed(fresh[:keep])
        self._streams.take_back(entry, len(fresh) - keep)
        if half.to_server:
            flow.client_state = framer
        else:
            flow.server_state = framer
        size = len(segment.payload)
        left = self._overwritten(segment, flow)[: size - len(fresh) + keep]
        packet = with_payload(self.frame.packet, size, left) if left else None
        return (VerdictKind.DEFER, None) if packet is None else (VerdictKind.ACCEPT, packet)

    def mask(self, number: int) -> bool:
        """Have the message with this number overwritten; False where a part of it has gone on already."""
        segment, entry = self._segment, self._entry
        fresh = self._fresh(segment)
        if entry is None or fresh is None or self._before is None:
            return False
        flow = entry[0]
        size, end = len(self.judged()[number].message.raw), self._end_of(number, fresh)
        if end < size or len(flow.masked) >= _MASKED_MOST:
            return False
        at = (self._begins + end - size) & MASK
        flow.masked = (*flow.masked, (at, size))
        return True

    def stall(self) -> None:
        """Let nothing more of this connection's client through, in either direction that is held."""
        if self._entry is not None:
            self._entry[0].stalled = True

    def outcome(self) -> tuple[VerdictKind, bytes | None]:
        """Give the verdict on a packet against which nothing stands: with what was to be overwritten, overwritten."""
        segment, entry = self._segment, self._entry
        if entry is None:
            return VerdictKind.ACCEPT, None
        flow, half, _, _ = entry
        if flow.stalled:
            return VerdictKind.DROP, None
        if not flow.masked:
            return VerdictKind.ACCEPT, None
        if half.acked >= 0:
            flow.masked = tuple(each for each in flow.masked if ahead((each[0] + each[1]) & MASK, half.acked) > 0)
        payload = self._overwritten(segment, flow)
        if payload == segment.payload:
            return VerdictKind.ACCEPT, None
        packet = with_payload(self.frame.packet, len(segment.payload), payload)
        if packet is None:
            self.stall()
            return VerdictKind.DROP, None
        return VerdictKind.MASK, packet

    def _overwritten(self, segment: Segment, flow: Flow) -> bytes:
        payload = segment.payload
        for at, size in flow.masked:
            start = ahead(at, segment.seq)
            payload = blanked(payload, start, start + size)
        return payload

    # --- Where messages end -------------------------------------------------------------------------------------------

    def _fresh(self, segment: Segment) -> bytes | None:
        """Give the bytes of the segment that were read now; None where others were read along with them."""
        if self._entry is None:
            return None
        half = self._entry[1]
        count = ahead(half.next, self._begins) if self._begins >= 0 else len(segment.payload)
        if not 0 < count <= len(segment.payload) or (segment.seq + len(segment.payload)) & MASK != half.next:
            return None
        return segment.payload[len(segment.payload) - count :]

    def _end_of(self, number: int, fresh: bytes) -> int:
        """Give how many of the bytes it takes for so many messages, the last included, to be complete."""
        if number < 0 or self._before is None:
            return 0
        low, high = 0, len(fresh)
        while low < high:
            middle = (low + high) // 2
            if len(self._before.fork().feed(fresh[:middle])) > number:
                high = middle
            else:
                low = middle + 1
        return low


def _comes_late(half: Half, segment: Segment) -> bool:
    """Tell whether a segment fills a hole that was given up: what stands behind it was read without it.

    The PBX reads both in one, so what it makes of them is not known here. What it has acknowledged is no hole of its.
    """
    if half.skipped < 0 or not segment.payload or ahead(segment.seq, half.skipped) >= 0:
        return False
    if half.acked < 0:
        return True
    return ahead(half.acked, half.skipped) < 0 < ahead((segment.seq + len(segment.payload)) & MASK, half.acked)
