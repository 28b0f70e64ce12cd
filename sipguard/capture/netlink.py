"""A netlink socket opened for a source of frames or of addresses. Errors of the machine become `AdapterError` here."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable

from sipguard.errors import AdapterError
from sipguard.netfilter import nfnetlink

NETFILTER = 12  # NETLINK_NETFILTER
_SOL_NETLINK = 270
_CAP_ACK = 10  # answers do not repeat the request
_RCVBUFFORCE = 33  # SO_RCVBUFFORCE: CAP_NET_ADMIN may go beyond net.core.rmem_max
_PATIENCE = struct.pack("@qq", 5, 0)  # the kernel answers before send() returns; 5 s is for one that never will


def opened(protocol: int, groups: int, adapter: str) -> socket.socket:
    """Open and bind a netlink socket that waits up to 5 s for answers. Raises AdapterError."""
    try:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise AdapterError(adapter, f"no netlink socket: {error.strerror}") from error
    try:
        made.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        made.bind((0, groups))
    except OSError as error:
        made.close()
        raise AdapterError(adapter, f"no netlink socket: {error.strerror}") from error
    return made


def grow(made: socket.socket, size_bytes: int) -> int:
    """Make the receive buffer as large as allowed and return its size; without the capability it stays smaller."""
    try:
        made.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, size_bytes)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)
    return made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def agreed(made: socket.socket, requests: Iterable[bytes], size_bytes: int, heard: Callable[[bytes], object]) -> None:
    """Send requests numbered from 1, each after the one before is acknowledged. Raises OSError for what is refused.

    All that is received meanwhile goes to `heard` too: packets may come before the acknowledgement.
    """
    for number, request in enumerate(requests, start=1):
        made.send(request)
        while not _acknowledged(made.recv(size_bytes), number, heard):
            pass


def _acknowledged(data: bytes, number: int, heard: Callable[[bytes], object]) -> bool:
    heard(data)
    for reply in nfnetlink.messages(data)[0]:
        if reply.kind == nfnetlink.REPLY and reply.sequence == number:
            code = nfnetlink.errno_of(reply)
            if code:
                raise OSError(code, _refusal(code))
            return True
    return False


def _refusal(code: int) -> str:
    """Say what a refusal to bind means: the kernel answers EBUSY or EPERM for a group or a queue that is taken."""
    taken = "taken by another process, or not permitted (CAP_NET_ADMIN)"
    return taken if code in {errno.EPERM, errno.EBUSY} else os.strerror(code)
