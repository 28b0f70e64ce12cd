"""Sends what ends calls, as from one end of them to the other: datagrams, and the next bytes of TCP connections.

Limited, so that no fault of ours becomes a flood. Never raises; what cannot be sent is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sipguard.enforce.raw import SEGMENT, Raw, datagram, segment
from sipguard.model import SECOND, HangUp, Injection, Instant, Transport

MOST = 500
"""Packets a second; each call that is hung up takes from 2 to 14."""
_BURST = 2 * SECOND
_CIRCLE = 0xFFFFFFFF


class Injections:
    """Performs `HangUp`s, in the network namespace that the object was made in. `fault` says why none is sent."""

    def __init__(self, mark: int, now: Callable[[], Instant]) -> None:
        self._now = now
        self._raw = Raw(mark)
        self._due: Instant = 0
        self.sent = 0
        self.unsent = 0
        self.fault = self._raw.fault

    def close(self) -> None:
        """Close the sockets."""
        self._raw.close()

    def perform(self, order: HangUp) -> int:
        """Send the injections of an order; gives how many packets of it could not be sent."""
        before = self.unsent
        for each in order.injections:
            for packet in packets(each):
                if self._allowed() and self._raw.send(packet):
                    self.sent += 1
                else:
                    self.unsent += 1
        return self.unsent - before

    def _allowed(self) -> bool:
        """Tell whether one more fits into this second's share; a burst of two seconds' is free."""
        now, each = self._now(), SECOND // MOST
        due = max(self._due, now) + each
        if due - now > _BURST:
            return False
        self._due = due
        return True

    def counters(self) -> dict[str, int]:
        """Give how many packets were sent, and how many were not."""
        return {"injections_sent": self.sent, "injections_unsent": self.unsent}


def packets(said: Injection) -> Iterator[bytes]:
    """Write the IP packets of an injection."""
    ends = said.source, said.source_port, said.target, said.target_port
    if said.transport is Transport.UDP:
        yield datagram(*ends, said.payload)
    elif not said.payload:
        yield segment(*ends, b"", (said.sequence, said.acknowledged))
    for start in range(0, len(said.payload), SEGMENT) if said.transport is Transport.TCP else ():
        numbers = said.sequence + start & _CIRCLE, said.acknowledged
        yield segment(*ends, said.payload[start : start + SEGMENT], numbers)
