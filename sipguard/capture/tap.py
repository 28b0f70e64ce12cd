"""The tap: copies of SIP packets from the kernel's log (NFLOG), in the order in which the kernel saw them.

Reading never ends by what arrives: lost packets, full buffers, truncated and malformed netlink are counted and told as
`Sensor` inputs. The rules that choose what is copied are in `enforce/skeleton.py`.
"""

from __future__ import annotations

import errno

from sipguard.capture import netlink
from sipguard.errors import AdapterError
from sipguard.model import Frame, Hook, Origin, Sensor, SensorKind
from sipguard.netfilter import nflog

ADAPTER = "tap"

_GATHER_BYTES = 131_072  # the kernel's largest gathering buffer (NFULNL_NLBUFSIZ_MAX)
_READ_BYTES = 262_144  # above what one wake-up can bring, so that nothing is cut off
_RECEIVE_BUFFER_BYTES = 64 * 1024 * 1024  # some 60,000 copies: a second of a flood

# Threshold 1 wakes us for each packet, 0.1 ms after it came; 64 saves three quarters of the cost, but a lone packet
# then waits for the kernel's timer: 1 s unless told otherwise, 10 ms at best. So 64 only while packets queue up anyway.
_CALM, _BUSY = 1, 64
_TIMER_CENTISECONDS = 1
_RAISE_AFTER = 4  # reads in a row that brought as many frames as were asked for
_LOWER_AFTER = 16  # reads in a row that brought next to nothing

_HOOKS = {hook.value: hook for hook in Hook}
_UNKNOWN = Hook.UNKNOWN  # bound once: look-ups of members are slow in Python 3.11


class Tap:
    """A bound log group, in the network namespace that the object was made in.

    Raises AdapterError where the group is taken by another process, or the capability CAP_NET_ADMIN is missing. Frames
    are given as of `origin`.
    """

    def __init__(self, group: int, receive_buffer_bytes: int = _RECEIVE_BUFFER_BYTES) -> None:
        self.group = group
        self.origin = Origin.TAP
        self.lost = 0  # all counts are since the start
        self.malformed = 0
        self.truncated = 0
        self.overruns = 0  # how often the kernel said that its buffer was full
        self.threshold = _CALM
        self._told = (0, 0)
        self._next = -1
        self._busy = self._quiet = 0
        self._pending: list[nflog.Packet] = []
        self._socket = netlink.opened(netlink.NETFILTER, 0, ADAPTER)
        try:
            self.buffer_bytes = netlink.grow(self._socket, receive_buffer_bytes)
            self._bind()
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise AdapterError(ADAPTER, f"log group {group}: {error.strerror}") from error

    def _bind(self) -> None:
        requests = (
            nflog.command(self.group, nflog.BIND, 1),
            nflog.settings(self.group, 2, buffer_bytes=_GATHER_BYTES, flags=nflog.NUMBERED),
            nflog.copy_whole(self.group, 3),
        )
        netlink.agreed(self._socket, requests, _READ_BYTES, self._heard)
        self._tune(_CALM)

    def _heard(self, data: bytes) -> None:
        self.malformed += nflog.packets(data, self._pending)

    def _tune(self, threshold: int) -> None:
        """Ask for a wake-up every so many packets. Not waited for: a refusal is read, and counted, with the packets."""
        self.threshold = threshold
        request = nflog.tune(self.group, 4, threshold=threshold, timeout_centiseconds=_TIMER_CENTISECONDS)
        try:
            self._socket.send(request)
        except OSError:
            self.malformed += 1

    def fileno(self) -> int:
        """Give the descriptor to poll: readable when packets wait."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the group back; done twice it is the same."""
        self._socket.close()

    def read(self, limit: int) -> list[Frame]:
        """Give the frames that wait, in the kernel's order, and return at once. Never raises for what arrives.

        Ends when `limit` frames are there or none wait. A wake-up is never cut, so some more than `limit` may come.
        """
        packets, self._pending = self._pending, []
        for _attempt in range(limit):
            if len(packets) >= limit or not self._read_once(packets):
                break
        self._count_lost(packets)
        self._adapt(len(packets), limit)
        origin = self.origin
        return [Frame(packet.payload, _HOOKS.get(packet.hook, _UNKNOWN), origin) for packet in packets]

    def _read_once(self, packets: list[nflog.Packet]) -> bool:
        """Read one wake-up; False when none waits."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise AdapterError(ADAPTER, f"cannot be read: {error.strerror}") from error
            self.overruns += 1
            return True
        self._understand(data, packets)
        return True

    def _understand(self, data: bytes, packets: list[nflog.Packet]) -> None:
        """Read a received buffer; one that fills our own to the brim was cut off. Never raises."""
        self.truncated += len(data) >= _READ_BYTES
        self.malformed += nflog.packets(data, packets)

    def _count_lost(self, packets: list[nflog.Packet]) -> None:
        """Count the gaps in the kernel's own numbering: exactly what was logged and never reached us."""
        expected = self._next
        for packet in packets:
            number = packet.number
            if number != expected and expected >= 0 <= number:
                gap = (number - expected) & 0xFFFFFFFF
                self.lost += gap if gap < 1 << 31 else 0
            expected = (number + 1) & 0xFFFFFFFF
        self._next = expected

    def _adapt(self, count: int, limit: int) -> None:
        """Gather wake-ups while packets queue up, and stop when they no longer do."""
        if count >= min(limit, _BUSY):
            self._busy, self._quiet = self._busy + 1, 0
        elif count < _BUSY // 4:
            self._busy, self._quiet = 0, self._quiet + 1
        if self._busy >= _RAISE_AFTER and self.threshold == _CALM:
            self._tune(_BUSY)
        elif self._quiet >= _LOWER_AFTER and self.threshold == _BUSY:
            self._tune(_CALM)

    def sensors(self) -> list[Sensor]:
        """Tell what was lost and what was unreadable since the last time this was asked."""
        lost, unreadable = self.lost, self.malformed + self.truncated
        told, self._told = self._told, (lost, unreadable)
        news = ((SensorKind.TAP_LOST, lost - told[0]), (SensorKind.TAP_MALFORMED, unreadable - told[1]))
        return [Sensor(kind, count) for kind, count in news if count]
