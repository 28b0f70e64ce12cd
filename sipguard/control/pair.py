"""The socket pair between the packet process and the keeper: either end, never blocking, never raising.

Promises: `send`, `flush` and `receive` return at once and raise nothing, whatever the other side does or sends; what is
queued stays within `most` bytes; reports go before deltas when room is short, oldest first, and every loss is counted;
a delta is kept until the other side has acknowledged it, and is sent again to a keeper that was started anew. Nothing
here knows what a message means, but for its kind (`t`). No clock, no thread, no asyncio.

One `SOCK_SEQPACKET` pair (unix(7)). A message is a JSON object with a string `t`. Many small messages share a datagram,
as the kernel queues only `net.unix.max_dgram_qlen` of them (10 by default); a large message spans several. A datagram
is at most `DATAGRAM` bytes: one kind byte, then `=` whole messages parted by line feeds, `+` a piece of a large one,
`.` the last piece.

=============  =====================================================================================================
packet→keeper  fields besides `t`
=============  =====================================================================================================
hello          `offset` (wall clock minus BOOTTIME, ns), `mode`, `pid`; the first message; answered with the state
delta          `what` (`report.pack` of a `Delta`), `offset`; `n` is added here, for the `ack`
report         `line` (`report.line` with base minus offset, so that `at` counts seconds since 1970)
alert          `kind`, `subject`, `text`
reply          `id`, `ok` (true or false), `body` (any JSON), `error` (text, when not ok)
reload         SIGHUP arrived: read the policy again
bye            the packet process stops: write out what there is
=============  =====================================================================================================

=============  =====================================================================================================
keeper→packet  fields besides `t`
=============  =====================================================================================================
state          `items`: some packed Decisions, Offences, Trusts (in force or remembered); as many as it takes
state-end      `mode` ("observe", "enforce" or null: as the policy says), `off` (true: stay open until `on`), `complete`
               (false: the store could not be read), `count`, `lessons` (true: all Lessons that can be read were in it)
request        `id`, `verb`, `args`; verbs: ban, unban, release (`args.order`: packed Order), why (`args.network` or
               `args.account`), status, preview, observe, enforce, off, on
names          `what`: packed Names
feed           `name`, `block`, `networks` (some hundreds, as text), `first`, `last`: a piece of a list (`lists.py`)
policy         `text`: a policy that has been found valid
ack            `n`: all deltas up to this one are on disk (taken in here, `receive` does not give it)
=============  =====================================================================================================
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]

DATAGRAM = 60 * 1024
"""The most bytes in one datagram."""

MOST = 16 * 1024 * 1024
"""The most bytes queued or unacknowledged at one end."""

LARGEST = 4 * 1024 * 1024
"""The most bytes in one message; longer ones are refused by both ends."""

PER_RECEIVE = 64
"""Datagrams read in one call, so that a busy other side cannot hold the caller for ever."""

_WHOLE, _PIECE, _LAST = b"=", b"+", b"."


def open_pair() -> tuple[socket.socket, socket.socket]:
    """Make the two connected, non-blocking ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    return ours, theirs


class Pair:
    """One end. `attach` a socket, `send` to queue, `flush` when writable and `wanting`, `receive` when readable.

    Counters: `lost_reports`, `lost_deltas`, `lost_others` (dropped here for want of room), `faults` (what the other
    side sent and could not be read).
    """

    def __init__(self, sock: socket.socket | None = None, most: int = MOST) -> None:
        self.most = most
        self.held = 0
        self.lost_reports = 0
        self.lost_deltas = 0
        self.lost_others = 0
        self.faults = 0
        self.open = False
        self._deaf = False  # the other side takes nothing any more
        self._sock: socket.socket | None = None
        self._reports: deque[bytes] = deque()
        self._deltas: deque[tuple[int, bytes]] = deque()
        self._others: deque[bytes] = deque()
        self._unacked: deque[tuple[int, bytes]] = deque()
        self._number = 0
        self._outgoing: deque[bytes] = deque()  # datagrams ready to go, those of one message in a row
        self._pieces = bytearray()
        self._skipping = False
        if sock is not None:
            self.attach(sock)

    def attach(self, sock: socket.socket) -> None:
        """Go on over a new socket. What was half sent is forgotten; unacknowledged deltas go first, in order."""
        self.close()
        sock.setblocking(False)
        self._sock = sock
        self.open = True
        self._deaf = False
        self._deltas.extendleft(reversed(self._unacked))
        self._unacked.clear()

    def close(self) -> None:
        """Close the socket. What is queued is kept for the next one; replies and the like are not."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self.open = False
        self.held -= sum(map(len, self._outgoing)) + sum(map(len, self._others))
        self._outgoing.clear()
        self._others.clear()
        self._pieces.clear()
        self._skipping = False

    def fileno(self) -> int:
        """Give the socket's descriptor, -1 when there is none."""
        return -1 if self._sock is None else self._sock.fileno()

    @property
    def wanting(self) -> bool:
        """Tell whether something waits to be written: poll for POLLOUT, then `flush`."""
        return self.open and not self._deaf and bool(self._outgoing or self._others or self._deltas or self._reports)

    # --- Sending ------------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Queue a message; room is made from reports, then deltas, then others, oldest first.

        What is not JSON raises TypeError or ValueError: that is a bug of the caller's, not of the other side.
        """
        kind = message["t"]
        if kind == "delta":
            self._number += 1
            message = {**message, "n": self._number}
        data = json.dumps(message, separators=(",", ":")).encode()
        if len(data) > LARGEST:
            self._count(kind)
            return
        self.held += len(data)
        if kind == "report":
            self._reports.append(data)
        elif kind == "delta":
            self._deltas.append((self._number, data))
        else:
            self._others.append(data)
        while self.held > self.most:
            self._drop()

    def _count(self, kind: str) -> None:
        if kind == "report":
            self.lost_reports += 1
        elif kind == "delta":
            self.lost_deltas += 1
        else:
            self.lost_others += 1

    def _drop(self) -> None:
        """Give up the least of what is queued: the oldest report, else the oldest delta, else the oldest other."""
        if self._reports:
            self.held -= len(self._reports.popleft())
            self.lost_reports += 1
        elif self._unacked or self._deltas:
            _, data = (self._unacked or self._deltas).popleft()
            self.held -= len(data)
            self.lost_deltas += 1
        elif self._others:
            self.held -= len(self._others.popleft())
            self.lost_others += 1
        else:  # only datagrams half on their way are left
            self.held -= sum(map(len, self._outgoing))
            self._outgoing.clear()
            self.lost_others += 1

    def flush(self) -> bool:
        """Write what the socket takes now. True when nothing is left."""
        while self._sock is not None and not self._deaf:
            if not self._outgoing and not self._load():
                return True
            try:
                self._sock.send(self._outgoing[0])
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:  # EPIPE, ECONNRESET: the other side is gone, but may have left something to read
                self._deaf = True
                return False
            self.held -= len(self._outgoing.popleft())
        return False

    def _load(self) -> bool:
        """Move the next messages into datagrams: others first, then deltas, then reports."""
        batch: list[bytes] = []
        room = DATAGRAM
        while (data := self._next(room)) is not None:
            batch.append(data)
            room -= len(data) + 1
        if batch:
            datagram = _WHOLE + b"\n".join(batch)
            self.held += len(datagram) - sum(map(len, batch))
            self._outgoing.append(datagram)
            return True
        data = self._next(LARGEST + 1)
        if data is None:
            return False
        pieces = [data[start : start + DATAGRAM - 1] for start in range(0, len(data), DATAGRAM - 1)]
        self._outgoing.extend(_PIECE + piece for piece in pieces[:-1])
        self._outgoing.append(_LAST + pieces[-1])
        self.held += len(pieces)
        return True

    def _next(self, room: int) -> bytes | None:
        """Take the next message if it is shorter than `room`. A delta taken is unacknowledged, and counted again."""
        if self._others:
            return self._others.popleft() if len(self._others[0]) < room else None
        if self._deltas:
            if len(self._deltas[0][1]) >= room:
                return None
            taken = self._deltas.popleft()
            self._unacked.append(taken)
            self.held += len(taken[1])
            return taken[1]
        if self._reports and len(self._reports[0]) < room:
            return self._reports.popleft()
        return None

    # --- Receiving ----------------------------------------------------------------------------------------------------

    def receive(self) -> list[Message]:
        """Read what has come. When the other side is gone, `open` is False once all that it left has been read."""
        found: list[Message] = []
        for _ in range(PER_RECEIVE):
            datagram = self._read()
            if datagram is None:
                break
            for data in self._assemble(datagram):
                message = self._parse(data)
                if message is None:
                    self.faults += 1
                elif message["t"] == "ack":
                    self._acknowledge(message)
                else:
                    found.append(message)
        return found

    def _read(self) -> bytes | None:
        """Read one datagram; None when there is none now. A reset is told once, before what is still queued: go on."""
        if self._sock is None:
            return None
        for _ in range(2):
            try:
                data = self._sock.recv(DATAGRAM + 1)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError:
                continue
            if data:
                return data
            break
        self.open = False
        return None

    def _assemble(self, datagram: bytes) -> list[bytes]:
        kind, body = datagram[:1], datagram[1:]
        if kind == _WHOLE and len(datagram) <= DATAGRAM:
            self._pieces.clear()
            self._skipping = False
            return body.split(b"\n")
        if kind not in (_PIECE, _LAST):
            self.faults += 1
            return []
        if not self._skipping:
            self._pieces += body
            if len(self._pieces) > LARGEST:
                self._pieces.clear()
                self._skipping = True
                self.faults += 1
        if kind == _PIECE:
            return []
        whole, self._pieces = bytes(self._pieces), bytearray()
        skipped, self._skipping = self._skipping, False
        return [] if skipped else [whole]

    @staticmethod
    def _parse(data: bytes) -> Message | None:
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict) or not isinstance(message.get("t"), str):
            return None
        return message

    def _acknowledge(self, message: Mapping[str, Any]) -> None:
        number = message.get("n")
        if not isinstance(number, int):
            self.faults += 1
            return
        while self._unacked and self._unacked[0][0] <= number:
            self.held -= len(self._unacked.popleft()[1])
