"""NFLOG: what to ask of the kernel, and packets read from what it sends. Reading never raises; faults are counted.

Pure bytes; `capture/tap.py` holds the socket. Numbers are from linux/netfilter/nfnetlink_log.h.
"""

from __future__ import annotations

import struct

from sipguard.netfilter import nfnetlink

CONFIG = nfnetlink.SUBSYSTEM_LOG << 8 | 1
PACKET = nfnetlink.SUBSYSTEM_LOG << 8

BIND = 1
UNBIND = 2
COPY_PACKET = 2
NUMBERED = 1  # NFULNL_CFG_F_SEQ: number the packets, so that lost ones can be counted

_COMMAND, _MODE, _BUFFER, _TIMEOUT, _THRESHOLD, _FLAGS = 1, 2, 3, 4, 5, 6
_read_attribute = nfnetlink.ATTRIBUTE.unpack_from
_read_number = struct.Struct(">I").unpack_from

_HEADER, _MARK, _IN, _OUT, _PAYLOAD, _PREFIX, _SEQUENCE = 1, 2, 4, 5, 9, 10, 12


class Packet:
    """One logged IP packet. `number` is the kernel's count within the group, -1 where it does not count.

    Mark, devices and prefix are read on demand by `details`: most packets are never asked.
    """

    __slots__ = ("attributes", "hook", "number", "payload")

    def __init__(self, payload: bytes, hook: int, number: int, attributes: bytes) -> None:
        self.payload = payload
        self.hook = hook
        self.number = number
        self.attributes = attributes

    def details(self) -> tuple[int, int, int, str]:
        """Give mark, interface index in, interface index out (0 where absent), and the rule's prefix."""
        read, _faults = nfnetlink.attributes(self.attributes)
        name = read.get(_PREFIX, b"").rstrip(b"\0").decode("ascii", "replace")
        return (
            nfnetlink.number(read.get(_MARK)),
            nfnetlink.number(read.get(_IN)),
            nfnetlink.number(read.get(_OUT)),
            name,
        )


def command(group: int, value: int, sequence: int) -> bytes:
    """Bind the socket to a log group (0 to 65535), or unbind it; the kernel acknowledges."""
    return _config(group, sequence, nfnetlink.attribute(_COMMAND, bytes([value])), acknowledge=True)


def copy_whole(group: int, sequence: int) -> bytes:
    """Ask for whole packets (65,535 bytes); the kernel acknowledges."""
    payload = struct.pack(">IBx", 0xFFFF, COPY_PACKET)
    return _config(group, sequence, nfnetlink.attribute(_MODE, payload), acknowledge=True)


def tune(group: int, sequence: int, *, threshold: int, timeout_centiseconds: int) -> bytes:
    """Set how many packets, or hundredths of a second, are gathered before a wake-up. Answered only when refused."""
    body = nfnetlink.attribute(_THRESHOLD, threshold.to_bytes(4, "big"))
    body += nfnetlink.attribute(_TIMEOUT, timeout_centiseconds.to_bytes(4, "big"))
    return _config(group, sequence, body, acknowledge=False)


def settings(group: int, sequence: int, *, buffer_bytes: int, flags: int) -> bytes:
    """Set the kernel's gathering buffer (up to 131,072 bytes) and flags; the kernel acknowledges."""
    body = nfnetlink.attribute(_BUFFER, buffer_bytes.to_bytes(4, "big"))
    body += nfnetlink.attribute(_FLAGS, flags.to_bytes(2, "big"))
    return _config(group, sequence, body, acknowledge=True)


def _config(group: int, sequence: int, attributes: bytes, *, acknowledge: bool) -> bytes:
    flags = nfnetlink.REQUEST | (nfnetlink.ACKNOWLEDGE if acknowledge else 0)
    return nfnetlink.message(CONFIG, flags, sequence, nfnetlink.generic(0, group) + attributes)


def packets(data: bytes, found: list[Packet]) -> int:
    """Append the packets of a received buffer to `found` and return how many pieces were unreadable. Never raises.

    A refused request counts as one piece; acknowledgements and other kinds are passed over.
    """
    return nfnetlink.gathered(data, PACKET, _packet, found)


def _packet(data: bytes, start: int, end: int) -> Packet | None:
    """Read one message's attributes; None when broken, or without a payload or hook."""
    offset, hook, number = start, -1, -1
    while end - offset >= 4:
        length, kind = _read_attribute(data, offset)
        if length < 4 or length > end - offset:
            return None
        if kind == _PAYLOAD:
            if hook < 0:
                return None
            return Packet(data[offset + 4 : offset + length], hook, number, data[start:offset])
        if kind == _HEADER and length == 8:
            hook = data[offset + 6]
        elif kind == _SEQUENCE and length == 8:
            number = _read_number(data, offset + 4)[0]
        offset += (length + 3) & ~3
    return None
