"""Keeps the TCP flows within their budgets: how many, how many bytes, and what share of both one network may hold.

Eviction, of a network over its share (/24, /48) or of all: closed flows first, then those that a blind spoofer could
have made, then those whose client is real, then the proven; among equals the one longest without traffic. Flows without
traffic are forgotten when new ones come, so that a quiet table shrinks. What is done with a flow's bytes is not here.

Half messages, which the caller keeps, have a budget of their own: past it, or past a network's share of it, flows are
forgotten with what they hold, and first the one whose message has been half for the longest.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TypeAlias

from sipguard.address import Address
from sipguard.model import SECOND, Instant, Span
from sipguard.wire.flow import CONFIRMED, Flow, Half

TOUCH: Span = SECOND
"""How exact "longest without traffic" is; moving a flow with each segment would cost more than reading it."""

ENDED = 64
"""How many flows that ended are kept for the caller; one segment ends fewer, and he takes them out after each."""

Key: TypeAlias = tuple[Address, int, Address, int]


class Share:
    """The flows of one network, or of all: by rank, each with the longest silent first, and the bytes they hold."""

    __slots__ = ("amid", "count", "half", "held", "ranks", "waiting")

    def __init__(self, make: type[dict[Flow, None]] = dict) -> None:
        self.count = 0
        self.held = 0
        self.ranks: tuple[dict[Flow, None], ...] = (make(), make(), make(), make())
        self.waiting: dict[Flow, None] = make()  # who may hold bytes, in the order in which they began to
        self.half = 0
        self.amid: dict[Flow, None] = make()  # who is in the midst of a message, in the order in which they began to be

    def oldest(self) -> Flow:
        """Give the flow that goes next; there must be one."""
        for rank in self.ranks:
            for flow in rank:
                return flow
        raise LookupError("an empty share")  # pragma: no cover


Entry: TypeAlias = tuple[Flow, Half, Half, Share]
"""A flow, the half that the sender fills, the other half, and the sender's network's share."""


class FlowTable:
    """All flows, by the ports and addresses of a segment of either direction."""

    def __init__(self, max_flows: int, share: int, idle: Span, linger: Span) -> None:
        self.entries: dict[Key, Entry] = {}
        self.everything = Share(OrderedDict)  # finds its first at once, where a dict steps over all that has left
        self.evicted = 0
        self.expired = 0
        self.ended: deque[Flow] = deque(maxlen=ENDED)
        self._shares: dict[bytes, Share] = {}
        self._max_flows = max_flows
        self._max_share = max(1, max_flows // share)
        self._idle = idle
        self._linger = linger

    def add(self, at: Instant, flow: Flow) -> None:
        """Take a new flow in, after making room for it."""
        self._sweep(at)
        share = self._shares.get(flow.network)
        if share is not None and share.count >= self._max_share:
            self._evict(share.oldest())
        elif self.everything.count >= self._max_flows:
            self._evict(self.everything.oldest())
        share = self._shares.setdefault(flow.network, Share())
        for kept in (share, self.everything):
            kept.count += 1
            kept.ranks[flow.rank][flow] = None
        from_client, from_server = flow.keys()
        self.entries[from_client] = (flow, flow.inward, flow.outward, share)
        self.entries[from_server] = (flow, flow.outward, flow.inward, share)

    def drop(self, flow: Flow) -> None:
        """Forget a flow and all it holds."""
        if not flow.closed:
            self.ended.append(flow)
        share = self._shares[flow.network]
        held = flow.inward.held + flow.outward.held
        for kept in (share, self.everything):
            kept.count -= 1
            kept.held -= held
            del kept.ranks[flow.rank][flow]
            kept.waiting.pop(flow, None)
            kept.half -= flow.amid
            kept.amid.pop(flow, None)
        from_client, from_server = flow.keys()
        del self.entries[from_client], self.entries[from_server]
        if not share.count:
            del self._shares[flow.network]

    def touch(self, at: Instant, flow: Flow) -> None:
        """Put a flow behind all others of the rank that its flags now say."""
        rank = flow.worth()
        for kept in (self._shares[flow.network], self.everything):
            del kept.ranks[flow.rank][flow]
            kept.ranks[rank][flow] = None
        flow.rank = rank
        flow.moved_at = at

    def hold(self, flow: Flow, half: Half, cost: int) -> None:
        """Book bytes that a half now holds; less than nothing when it gives some back."""
        half.held += cost
        share = self._shares[flow.network]
        share.held += cost
        self.everything.held += cost
        if not flow.waits:
            self.queue(flow, share)

    def keep(self, flow: Flow, count: int) -> None:
        """Book that `count` bytes of a flow's half messages are kept; nothing for one that is forgotten already."""
        share = self._shares.get(flow.network)
        if share is None or flow not in share.ranks[flow.rank]:
            return
        for kept in (share, self.everything):
            kept.half += count - flow.amid
            if not count:
                kept.amid.pop(flow, None)
            elif flow not in kept.amid:
                kept.amid[flow] = None
        flow.amid = count

    def relieve(self, flow: Flow, most: int, most_each: int) -> bool:
        """Forget one flow where there are more half messages than that, of this flow's network or of all; else False.

        Never this flow itself: what it brings is being read, and would pass unjudged.
        """
        share = self._shares.get(flow.network)
        for kept, limit in ((share, most_each), (self.everything, most)):
            if kept is not None and kept.half > limit:
                oldest = next((each for each in kept.amid if each is not flow), None)
                if oldest is not None:
                    self._evict(oldest)
                    return True
        return False

    def queue(self, flow: Flow, share: Share) -> None:
        """Let a flow stand among those whose bytes can be given up."""
        flow.waits = True
        share.waiting[flow] = self.everything.waiting[flow] = None

    def next_to_yield(self, share: Share) -> Flow | None:
        """Give the flow that has held bytes the longest, taken out of the queue; None when nobody holds any."""
        while share.waiting:
            flow = next(iter(share.waiting))
            flow.waits = False
            del self._shares[flow.network].waiting[flow]
            del self.everything.waiting[flow]
            if flow.inward.held or flow.outward.held:
                return flow
        return None

    def _evict(self, flow: Flow) -> None:
        self.drop(flow)
        self.evicted += 1

    def _sweep(self, at: Instant) -> None:
        """Forget what has long been silent, at most two of each rank for each new flow."""
        for rank, flows in enumerate(self.everything.ranks):
            limit = self._idle if rank >= CONFIRMED else self._linger
            for _ in range(2):
                flow = next(iter(flows), None)
                if flow is None or at - flow.moved_at <= limit:
                    break
                self.drop(flow)
                self.expired += 1
