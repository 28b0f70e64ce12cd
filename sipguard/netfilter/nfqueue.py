"""NFQUEUE: what to ask of the kernel, packets read from what it sends, and the verdicts on them.

Pure bytes; `capture/gate.py` holds the socket. Reading never raises: what is broken is counted. Every packet that was
read wants exactly one verdict; what cannot be read has none, and stays with the kernel until the queue is unbound.
Numbers are from linux/netfilter/nfnetlink_queue.h and linux/netfilter.h.
"""

from __future__ import annotations

import struct

from sipguard.netfilter import nfnetlink

SUBSYSTEM = 3
PACKET = SUBSYSTEM << 8
VERDICT = SUBSYSTEM << 8 | 1
CONFIG = SUBSYSTEM << 8 | 2
BATCH = SUBSYSTEM << 8 | 3

BIND = 1
UNBIND = 2
COPY_PACKET = 2

DROP = 0
ACCEPT = 1
REPEAT = 4
"""NF_REPEAT: the hook is run through again, from its first rule on."""

FAIL_OPEN = 0x1
"""A full queue lets packets pass, instead of dropping them. It does not cover a reader that has stopped."""
CONNTRACK = 0x2
"""What connection tracking knows is told with each packet, which costs; we go by our own reading."""
GSO = 0x4
"""Large segments come as one packet with an empty checksum; without it the kernel cuts them up and fills it in."""

_COMMAND, _PARAMETERS, _MAXIMUM, _MASK, _FLAGS = 1, 2, 3, 4, 5
_HEADER, _VERDICT, _MARK, _IN, _OUT, _PAYLOAD, _CAPTURED, _INFO = 1, 2, 3, 4, 5, 10, 13, 14
_UNSURE = 0x1  # NFQA_SKB_CSUMNOTREADY

_read_attribute = nfnetlink.ATTRIBUTE.unpack_from
_read_header = struct.Struct(">IHB").unpack_from  # packet id, protocol, hook
_read_number = struct.Struct(">I").unpack_from
_PARAMETER = struct.Struct(">IB")
_VERDICT_HEAD = struct.Struct(">II")
_MARKED = struct.Struct("=IHHII BB2s HH4s4s HH4s")  # a verdict with a mark is always as long: 16 + 4 + 12 + 8
_BARE = struct.Struct("=IHHII BB2s HH4s4s")
_BIG = struct.Struct(">I")


class Packet:
    """One held IP packet. `number` is the kernel's name for it within its queue, `mark` the one it bears.

    `cut`: the payload is shorter than the packet is: the kernel gives 65,531 bytes at most (NFQNL_MAX_COPY_RANGE).
    """

    __slots__ = ("cut", "hook", "mark", "number", "payload")

    def __init__(self, number: int, hook: int, mark: int, payload: bytes, *, cut: bool) -> None:
        self.number = number
        self.hook = hook
        self.mark = mark
        self.payload = payload
        self.cut = cut


# --- Asking -----------------------------------------------------------------------------------------------------------


def command(queue: int, value: int, sequence: int) -> bytes:
    """Bind the socket to a queue (0 to 65535), or unbind it; the kernel acknowledges."""
    return _config(queue, sequence, nfnetlink.attribute(_COMMAND, struct.pack(">BxH", value, 0)))


def copy_whole(queue: int, sequence: int) -> bytes:
    """Ask for whole packets (up to 65,531 bytes); the kernel acknowledges."""
    return _config(queue, sequence, nfnetlink.attribute(_PARAMETERS, _PARAMETER.pack(0xFFFF, COPY_PACKET)))


def limit(queue: int, sequence: int, *, most: int) -> bytes:
    """Set how many packets are held at most without a verdict; the kernel acknowledges."""
    return _config(queue, sequence, nfnetlink.attribute(_MAXIMUM, most.to_bytes(4, "big")))


def flags(queue: int, sequence: int, *, on: int, off: int = 0) -> bytes:
    """Set some flags and clear others; the kernel acknowledges, or says EOPNOTSUPP to one it does not know."""
    body = nfnetlink.attribute(_FLAGS, on.to_bytes(4, "big"))
    body += nfnetlink.attribute(_MASK, (on | off).to_bytes(4, "big"))
    return _config(queue, sequence, body)


def _config(queue: int, sequence: int, attributes: bytes) -> bytes:
    return nfnetlink.message(
        CONFIG, nfnetlink.REQUEST | nfnetlink.ACKNOWLEDGE, sequence, nfnetlink.generic(0, queue) + attributes
    )


# --- Verdicts: none is acknowledged, the kernel answers only one that it refuses --------------------------------------


def verdict(queue: int, number: int, value: int, *, mark: int | None = None, payload: bytes | None = None) -> bytes:
    """Judge one packet, give it a mark, and another content in place of its own (a whole IP packet, checksums right).

    Raises struct.error for a payload beyond 65,531 bytes.
    """
    if payload is None:
        resource = queue.to_bytes(2, "big")
        judged = (12, _VERDICT, _BIG.pack(value), _BIG.pack(number))
        if mark is None:
            return _BARE.pack(32, VERDICT, nfnetlink.REQUEST, 0, 0, 0, 0, resource, *judged)
        return _MARKED.pack(40, VERDICT, nfnetlink.REQUEST, 0, 0, 0, 0, resource, *judged, 8, _MARK, _BIG.pack(mark))
    body = nfnetlink.generic(0, queue) + nfnetlink.attribute(_VERDICT, _VERDICT_HEAD.pack(value, number))
    if mark is not None:
        body += nfnetlink.attribute(_MARK, _BIG.pack(mark))
    return nfnetlink.message(VERDICT, nfnetlink.REQUEST, 0, body + nfnetlink.attribute(_PAYLOAD, payload))


def verdict_up_to(queue: int, number: int, value: int, *, mark: int | None = None) -> bytes:
    """Judge every packet still held up to and with this one alike."""
    body = nfnetlink.generic(0, queue) + nfnetlink.attribute(_VERDICT, _VERDICT_HEAD.pack(value, number))
    if mark is not None:
        body += nfnetlink.attribute(_MARK, _BIG.pack(mark))
    return nfnetlink.message(BATCH, nfnetlink.REQUEST, 0, body)


# --- Reading ----------------------------------------------------------------------------------------------------------


def packets(data: bytes, found: list[Packet]) -> int:
    """Append the packets of a received buffer to `found` and return how many pieces were unreadable. Never raises.

    A refused request counts as one piece, but for ENOENT: a verdict on a packet that has gone with its device or its
    flow. Acknowledgements and other kinds are passed over.
    """
    return nfnetlink.gathered(data, PACKET, _packet, found, _FINE)


_FINE = frozenset({0, 2})


def _packet(data: bytes, start: int, end: int) -> Packet | None:
    """Read one message's attributes; None when broken, or without a number or a payload."""
    offset, number, hook, mark, captured = start, -1, 0, 0, 0
    payload: bytes | None = None
    while end - offset >= 4:
        length, kind = _read_attribute(data, offset)
        if length < 4 or length > end - offset:
            return None
        kind &= nfnetlink.KIND_MASK
        if kind == _PAYLOAD:
            payload = data[offset + 4 : offset + length]
        elif kind == _HEADER and length >= 11:
            number, _protocol, hook = _read_header(data, offset + 4)
        elif kind == _MARK and length == 8:
            mark = _read_number(data, offset + 4)[0]
        elif kind == _CAPTURED and length == 8:
            captured = _read_number(data, offset + 4)[0]
        offset += (length + 3) & ~3
    if number < 0 or payload is None:
        return None
    return Packet(number, hook, mark, payload, cut=captured > len(payload))
