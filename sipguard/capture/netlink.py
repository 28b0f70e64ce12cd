"""A netlink socket opened for a source of frames or of addresses. Errors of the machine become `AdapterError` here."""

from __future__ import annotations

import socket
import struct

from sipguard.errors import AdapterError

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
