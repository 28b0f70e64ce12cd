"""TCP connections to events: that one was opened to the PBX, and how it ended. Nothing of what was said on it.

Two tell of them: the segments themselves, and the kernel, where it keeps account of what we do not see. A connection
that the PBX opened, or that two others have between them, is no event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipguard import model
from sipguard.address import Address
from sipguard.event import Event, FlowEnded, FlowOpened, Standing
from sipguard.intake import Passage
from sipguard.model import Instant
from sipguard.table import Table
from sipguard.track.sides import Sides

_NOTHING: tuple[Event, ...] = ()
_MOST = 50_000


class Passages:
    """Makes the events; remembers when the connections that only the kernel told of were opened."""

    __slots__ = ("_open", "_sides", "_standing")

    def __init__(self, sides: Sides, standing: Callable[[Instant, Address], Standing]) -> None:
        self._sides = sides
        self._standing = standing
        self._open: Table[tuple[Address, int, int], Instant] = Table(_MOST, _MOST // 8)

    def passed(self, at: Instant, passage: Passage) -> Sequence[Event]:
        """Give the event of a connection that was read."""
        flow = passage.flow
        source, port = flow.client
        if not self._sides.serves_to(source, flow.server[0]):
            return _NOTHING
        standing, server_port = self._standing(at, source), flow.server[1]
        if passage.opened:
            return (FlowOpened(at, source, port, server_port, standing, proven=flow.proven, tls=passage.tls),)
        lasted, received = at - flow.opened_at, flow.received
        return (
            FlowEnded(at, source, port, server_port, standing, lasted, received, proven=flow.proven, tls=passage.tls),
        )

    def told(self, at: Instant, flow: model.Flow) -> Sequence[Event]:
        """Give the event of a connection that the kernel told of; its handshake proves the client."""
        key = (flow.source, flow.port, flow.server_port)
        standing = self._standing(at, flow.source)
        if flow.opened:
            self._open.renew(key, at, flow.source)
            return (FlowOpened(at, flow.source, flow.port, flow.server_port, standing, proven=True, tls=True),)
        opened_at = self._open.pop(key)
        if opened_at is None:
            return _NOTHING
        lasted = at - opened_at
        return (
            FlowEnded(
                at, flow.source, flow.port, flow.server_port, standing, lasted, flow.received, proven=True, tls=True
            ),
        )

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"flows_open": len(self._open), "flows_open_evicted": self._open.evicted}
