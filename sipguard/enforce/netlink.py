"""A netlink socket to nf_tables: one request, one answer, never more than one under way.

Every error of the machine becomes an `AdapterError` here, once. Nothing of sets or rules stands here.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable

from sipguard.errors import AdapterError
from sipguard.netfilter import nfnetlink

ADAPTER = "nftables"
_NETFILTER = 12  # NETLINK_NETFILTER
_SOL_NETLINK = 270
_CAP_ACK = 10  # answers do not repeat the request
_SNDBUFFORCE = 32  # SO_SNDBUFFORCE: CAP_NET_ADMIN may go beyond net.core.wmem_max
_RECEIVE_BYTES = 131_072
_PATIENCE = struct.pack("@qq", 5, 0)  # the kernel answers before send() returns; 5 s is for one that never will

_WORDS = {
    errno.ENOENT: "the table is missing",
    errno.ENFILE: "the set is full",
    errno.EEXIST: "it overlaps with what is there",
    errno.EPERM: "not permitted (CAP_NET_ADMIN)",
    errno.ERESTART: "somebody else kept changing the rules",
}


def words(code: int) -> str:
    """Say what an errno of nf_tables means for an element that was to be put in."""
    return _WORDS.get(code) or os.strerror(code)


class Netlink:
    """An open socket in the network namespace it was made in."""

    __slots__ = ("_sequence", "_socket")

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
            self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
            self._socket.bind((0, 0))
        except OSError as error:
            raise AdapterError(ADAPTER, f"no netlink socket: {error.strerror}") from error
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; done twice it is the same."""
        self._socket.close()

    @property
    def port(self) -> int:
        """The port id by which the kernel tells others who made a change (netlink(7))."""
        return int(self._socket.getsockname()[0])

    def next_sequence(self) -> int:
        """Give the number by which the next request's answer is known: 1 to 2^31 - 1, around and around."""
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def change(self, request: bytes, sequence: int) -> int:
        """Send one batch and return the kernel's errno, 0 when all of it was done. Raises AdapterError."""
        self._send(request)
        while True:
            for reply in self._receive():
                # What is left of an earlier batch's answers has its number, and is passed over.
                if reply.sequence == sequence and reply.kind == nfnetlink.REPLY:
                    return nfnetlink.errno_of(reply)

    def ask(self, request: bytes, sequence: int) -> tuple[list[nfnetlink.Message], int]:
        """Send one question and return all its answers and an errno, as `stream` does. Raises AdapterError."""
        answers: list[nfnetlink.Message] = []
        code = self.stream(request, sequence, answers.append)
        return answers, code

    def stream(self, request: bytes, sequence: int, each: Callable[[nfnetlink.Message], None]) -> int:
        """Send one question, hand over its answers as they come, and return an errno.

        The errno is EINTR where the kernel says that what it listed changed meanwhile. Raises AdapterError.
        """
        self._send(request)
        code = 0
        while True:
            for reply in self._receive():
                if reply.sequence != sequence:
                    continue
                if reply.flags & nfnetlink.INTERRUPTED:
                    code = errno.EINTR
                if reply.kind == nfnetlink.REPLY:
                    return nfnetlink.errno_of(reply) or code
                if reply.kind == nfnetlink.DONE:
                    return (nfnetlink.errno_of(reply) if reply.body else 0) or code
                each(reply)
                if not reply.flags & nfnetlink.MULTI:
                    return code

    def begin(self, request: bytes) -> None:
        """Ask a question whose answers are read with `more`, and nothing else meanwhile. Raises AdapterError."""
        self._send(request)

    def more(self, sequence: int) -> tuple[list[nfnetlink.Message], int | None]:
        """Give some of the answers; the errno comes with the last of them, as in `stream`. Raises AdapterError."""
        answers: list[nfnetlink.Message] = []
        for reply in self._receive():
            if reply.sequence != sequence:
                continue
            if reply.kind == nfnetlink.REPLY:
                return answers, nfnetlink.errno_of(reply)
            if reply.kind == nfnetlink.DONE:
                return answers, nfnetlink.errno_of(reply) if reply.body else 0
            answers.append(reply)
        return answers, None

    def _send(self, request: bytes) -> None:
        try:
            self._socket.send(request)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise AdapterError(ADAPTER, f"request not taken: {error.strerror}") from error
            self._send_large(request)

    def _send_large(self, request: bytes) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, 2 * len(request))
            self._socket.send(request)
        except OSError as error:
            raise AdapterError(ADAPTER, f"request of {len(request)} bytes not taken: {error.strerror}") from error

    def _receive(self) -> list[nfnetlink.Message]:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError as error:
            raise AdapterError(ADAPTER, "the kernel did not answer within 5 s") from error
        except OSError as error:
            raise AdapterError(ADAPTER, f"no answer: {os.strerror(error.errno or 0)}") from error
        # A piece that cannot be read is no answer: waiting for one ends by itself.
        return nfnetlink.messages(data)[0]
