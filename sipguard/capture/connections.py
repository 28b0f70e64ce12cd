"""Asks the kernel whether the media of calls still flow: a bounded look every few seconds, at calls in doubt only.

Promises: a question waits for nobody: the kernel answers before it has been sent, or never. Where it cannot be asked
(no permission, no connection tracking) that is counted, tried again later, and changes nothing else. What an answer
means for a call is not said here.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Sequence

from sipguard.call import Doubt, Media
from sipguard.capture import netlink
from sipguard.errors import AdapterError
from sipguard.model import MINUTE, SECOND, Instant, Span
from sipguard.netfilter import conntrack

EVERY: Span = 10 * SECOND
MOST = 64
"""Calls in one look: two questions each, a few microseconds a question."""
AGAIN: Span = 10 * MINUTE
"""Where nobody answers it is tried again after so long: modules come, and go."""
_ROOM = 8192
_UNKNOWN = frozenset({0, errno.ENOENT})


class Connections:
    """A socket in the network namespace that it was first asked in."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._next: Instant = 0
        self._sequence = 0
        self._counts = dict.fromkeys(("media_asked", "media_found", "media_refused"), 0)

    def look(self, now: Instant, doubtful: Callable[[int], Sequence[Doubt]]) -> Iterable[Media]:
        """Give what is known of the calls in doubt, at most `MOST`; nothing where there are none, or it is not time."""
        if now < self._next:
            return ()
        self._next = now + EVERY
        doubts = doubtful(MOST)
        self._counts["media_asked"] += len(doubts)
        if not doubts:
            return ()
        try:
            found = {each.call: until for each in doubts if (until := self._until(now, each))}
        except (AdapterError, OSError):
            self._counts["media_refused"] += 1
            self._next = now + AGAIN
            self.close()
            return ()
        self._counts["media_found"] += len(found)
        return (Media(found),) if found else ()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def counters(self) -> dict[str, int]:
        """Give how many calls were asked for, how many of them were known, and how often nothing could be asked."""
        return dict(self._counts)

    def _until(self, now: Instant, doubt: Doubt) -> Instant:
        """Give until when the kernel remembers the latest of a call's connections; 0 where it knows none."""
        found = [self._asked(*near, *doubt.far) for near in doubt.near]
        left = max([each.timeout_seconds for each in found if each is not None and each.assured], default=0)
        return now + left * SECOND if left else 0

    def _asked(self, near: bytes, near_port: int, far: bytes, far_port: int) -> conntrack.Entry | None:
        """Ask for one connection. Raises AdapterError, OSError where that cannot be."""
        if self._socket is None:
            self._socket = netlink.opened(netlink.NETFILTER, 0, "conntrack")
        self._sequence = self._sequence + 1 & 0x7FFFFFFF
        request = conntrack.question(near, near_port, far, far_port, self._sequence)
        if not request:
            return None
        self._socket.send(request)
        while True:  # what is not there when the question has been sent will never come: the kernel answers within it
            for reply in conntrack.replies(self._socket.recv(_ROOM, socket.MSG_DONTWAIT)):
                if reply.sequence != self._sequence:
                    continue
                if reply.error not in _UNKNOWN:
                    raise OSError(reply.error, os.strerror(reply.error))
                return reply.entry
