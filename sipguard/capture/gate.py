"""The gate: packets that the kernel holds in a queue (NFQUEUE) until each has its verdict.

Promises: reading never ends by what arrives; a full buffer, a packet gone meanwhile and a malformed message are counted
and told as `Sensor` inputs. A full queue lets packets pass, and so does a queue that nobody has bound (`bypass` in the
rules); for a reader that has stopped there is the set `alive` (`enforce/skeleton.py`). No verdict is thought of here.
"""

from __future__ import annotations

import errno

from sipguard.capture import netlink
from sipguard.errors import AdapterError
from sipguard.model import Frame, Hook, Origin, Sensor, SensorKind
from sipguard.netfilter import nfqueue

ADAPTER = "gate"

HELD_MOST = 4_096
"""Packets of one queue without a verdict; a further one passes unseen (and is copied to the tap by our last rule)."""

_READ_BYTES = 72_000  # one message is one packet, of at most 65,535 bytes, and some 100 bytes about it
_RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024  # 4,096 packets as they mostly are, with the kernel's overhead
_QUEUE_SHIFT = 32  # a ticket is the queue's number and the packet's

_HOOKS = {hook.value: hook for hook in Hook}
_UNKNOWN, _GATE = Hook.UNKNOWN, Origin.GATE  # bound once: look-ups of members are slow in Python 3.11


class Gate:
    """A bound queue, in the network namespace that the object was made in. `forget` are the bits of our own marks.

    Raises AdapterError where the queue is taken by another process, or the capability CAP_NET_ADMIN is missing.
    """

    def __init__(self, queue: int, forget: int = 0, receive_buffer_bytes: int = _RECEIVE_BUFFER_BYTES) -> None:
        self.queue = queue
        self.seen = 0  # all counts are since the start
        self.malformed = 0
        self.cut = 0
        self.overruns = 0  # how often the kernel said that its buffer was full; those packets passed
        self.unanswered = 0  # verdicts that the kernel did not take
        self._kept = ~forget & 0xFFFFFFFF
        self._marks: dict[int, int] = {}
        self._told = (0, 0)
        self._pending: list[nfqueue.Packet] = []
        self._buffer = memoryview(bytearray(_READ_BYTES))  # one for all reads: a new one each time costs as much again
        self._socket = netlink.opened(netlink.NETFILTER, 0, ADAPTER)
        try:
            self.buffer_bytes = netlink.grow(self._socket, receive_buffer_bytes)
            self._bind()
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise AdapterError(ADAPTER, f"queue {queue}: {error.strerror}") from error

    def _bind(self) -> None:
        # What it takes to hold packets comes first: from the first one on, a full queue must let others pass.
        requests = (
            nfqueue.command(self.queue, nfqueue.BIND, 1),
            nfqueue.flags(self.queue, 2, on=nfqueue.FAIL_OPEN, off=nfqueue.GSO | nfqueue.CONNTRACK),
            nfqueue.limit(self.queue, 3, most=HELD_MOST),
            nfqueue.copy_whole(self.queue, 4),
        )
        netlink.agreed(self._socket, requests, _READ_BYTES, lambda data: nfqueue.packets(data, self._pending))

    def fileno(self) -> int:
        """Give the descriptor to poll: readable when packets are held."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the queue back; the kernel drops what it holds. Done twice it is the same."""
        if self._socket.fileno() >= 0:
            for ticket in list(self._marks):
                self.answer(ticket, nfqueue.ACCEPT)
        self._socket.close()

    def read(self, limit: int) -> list[Frame]:
        """Give at most `limit` frames that are held, in the kernel's order, and return at once. Never raises for them.

        A packet of more than 65,531 bytes comes without its last four, and is judged by the rest.
        """
        packets, self._pending = self._pending, []
        for _attempt in range(limit - len(packets)):
            if not self._read_once(packets):
                break
        return [self._frame(packet) for packet in packets]

    def _read_once(self, packets: list[nfqueue.Packet]) -> bool:
        """Read one message; False when none waits."""
        try:
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise AdapterError(ADAPTER, f"cannot be read: {error.strerror}") from error
            self.overruns += 1
            return True
        self.malformed += nfqueue.packets(bytes(self._buffer[:size]), packets)
        return True

    def _frame(self, packet: nfqueue.Packet) -> Frame:
        self.seen += 1
        ticket = self.queue << _QUEUE_SHIFT | packet.number
        self._marks[ticket] = packet.mark
        self.cut += packet.cut
        return Frame(packet.payload, _HOOKS.get(packet.hook, _UNKNOWN), _GATE, ticket)

    def owns(self, ticket: int) -> bool:
        """Tell whether a frame with this ticket was read here."""
        return ticket >> _QUEUE_SHIFT == self.queue

    def answer(self, ticket: int, value: int, payload: bytes | None = None) -> None:
        """Give the verdict on a frame, once; a second one for the same ticket does nothing. Never raises.

        A packet that goes on has its mark as it was before our rules, and with `payload` another content.
        """
        mark = self._marks.pop(ticket, None)
        if mark is None:
            return
        number = ticket & 0xFFFFFFFF
        kept = mark & self._kept if value != nfqueue.DROP else None
        try:
            self._socket.send(nfqueue.verdict(self.queue, number, value, mark=kept, payload=payload))
        except OSError:
            self.unanswered += 1

    def sensors(self) -> list[Sensor]:
        """Tell what passed unseen for want of room, and what was unreadable, since the last time this was asked."""
        lost, unreadable = self.overruns, self.malformed + self.cut
        told, self._told = self._told, (lost, unreadable)
        news = ((SensorKind.GATE_LOST, lost - told[0]), (SensorKind.GATE_MALFORMED, unreadable - told[1]))
        return [Sensor(kind, count) for kind, count in news if count]

    def counters(self) -> dict[str, int]:
        """Give what was counted since the queue was bound."""
        return {
            "seen": self.seen,
            "overruns": self.overruns,
            "malformed": self.malformed,
            "cut": self.cut,
            "unanswered": self.unanswered,
        }
