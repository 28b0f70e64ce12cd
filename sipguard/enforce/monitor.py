"""Hears what others do to our table: `nft flush ruleset`, a firewall's reload, an element deleted by hand.

Told from our own changes by the port id of the socket that made them. Reading never raises and never waits.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Collection
from contextlib import ExitStack

from sipguard.enforce.netlink import ADAPTER
from sipguard.enforce.ruletext import TABLE
from sipguard.errors import AdapterError
from sipguard.netfilter import notices

_NETFILTER = 12  # NETLINK_NETFILTER
_SOL_NETLINK = 270
_ADD_MEMBERSHIP = 1
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_RCVBUFFORCE = 33
_BUFFER_BYTES = 2 << 20
_READ_BYTES = 131_072
_AT_ONCE = 64  # datagrams; what is beyond waits for the next turn
CHANGES_MOST = 1_000
"""Changed elements that are told one by one; beyond that, all that is said is that they are too many."""


class Monitor:
    """A listening socket in the network namespace that the object was made in. Raises AdapterError.

    What has the word `beside` in it is heeded, too, whatever table it is of.
    """

    __slots__ = ("_beside", "_ours", "_said", "_socket", "overruns")

    def __init__(self, beside: bytes = b"") -> None:
        self._beside = beside
        self._said = False
        self._ours: frozenset[int] = frozenset()
        self.overruns = 0
        try:
            with ExitStack() as on_failure:
                self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
                on_failure.callback(self._socket.close)
                self._socket.setblocking(False)
                self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER_BYTES)
                self._socket.bind((0, 0))
                self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, notices.GROUP)
                on_failure.pop_all()
        except OSError as error:
            raise AdapterError(ADAPTER, f"nobody tells us of changes: {error.strerror}") from error

    def fileno(self) -> int:
        """Give the descriptor to poll: readable when somebody may have changed something."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening; done twice it is the same."""
        self._socket.close()

    def ignore(self, ports: Collection[int]) -> None:
        """Name the port ids that are our own. Raises AdapterError."""
        self._ours = frozenset(ports)
        program = notices.deaf_to(self._ours)
        held = ctypes.create_string_buffer(program, len(program))
        try:
            self._socket.setsockopt(
                socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
            )
        except OSError as error:
            raise AdapterError(ADAPTER, f"no filter on what we hear: {error.strerror}") from error

    def forget(self) -> None:
        """Drop what has been heard and not read: what is looked at now is looked at anew anyway."""
        while self._read() is not None:
            pass

    def news(self) -> notices.News:
        """Tell what others have done to our table since last asked."""
        rules = lost = False
        changes: list[notices.Change] = []
        for _datagram in range(_AT_ONCE):
            data = self._read()
            if data is None:
                break
            if not data:
                lost = True
                continue
            found = notices.read(data, TABLE, self._ours)
            rules, lost = rules or found.rules, lost or found.lost
            changes += found.changes
        if len(changes) > CHANGES_MOST:
            return notices.News(rules, (), lost=True)
        return notices.News(rules, tuple(changes), lost)

    def said_beside(self) -> bool:
        """Tell whether anything read or forgotten since last asked had the word, or something was lost."""
        said, self._said = self._said, False
        return said

    def mentioned(self, word: bytes) -> bool:
        """Tell whether anything heard since last asked has this word in it, or something was lost."""
        found = False
        for _datagram in range(_AT_ONCE):
            data = self._read()
            if data is None:
                break
            found = found or not data or word in data
        return found

    def _read(self) -> bytes | None:
        """Read one datagram; None when there is none, empty when some were lost."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # EAGAIN: there is nothing; any other: there never will be
                return None
            self.overruns += 1
            data = b""
        self._said = self._said or not data or (bool(self._beside) and self._beside in data)
        return data
