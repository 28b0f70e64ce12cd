"""Netlink messages and attributes, written and read. Reading never raises: what is broken is skipped and counted.

Pure bytes: the sockets are in `capture/` and `enforce/`. Numbers are from linux/netlink.h and
linux/netfilter/nfnetlink.h; netlink is in host byte order but for what netfilter marks as big-endian (netlink(7)).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeVar

HEADER = struct.Struct("=IHHII")  # length, kind, flags, sequence, port
GENERIC = struct.Struct("=BBH")  # struct nfgenmsg: family, version 0, resource id (big-endian, swapped by us)
ATTRIBUTE: struct.Struct = struct.Struct("=HH")  # length with this header, kind
ERROR = struct.Struct("=i")

NOOP = 1
REPLY = 2  # NLMSG_ERROR; errno 0 is an acknowledgement
DONE = 3
OVERRUN = 4

REQUEST = 0x1
MULTI = 0x2
ACKNOWLEDGE = 0x4
INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: what was dumped changed meanwhile
DUMP = 0x300
CREATE = 0x400

NESTED = 0x8000
KIND_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

SUBSYSTEM_LOG = 4
SUBSYSTEM_TABLES = 10

BATCH_BEGIN = 16
BATCH_END = 17
BATCH_GENERATION = 1  # NFNL_BATCH_GENID: the batch holds only for this generation of the ruleset


T = TypeVar("T")


class Message(NamedTuple):
    """One netlink message; `body` is what follows the 16 bytes of header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Write one message, its length filled in and padded to four bytes."""
    return HEADER.pack(16 + len(body), kind, flags, sequence, 0) + body + b"\0" * (-len(body) & 3)


def generic(family: int, resource: int = 0) -> bytes:
    """Write the four bytes that begin the body of every netfilter message."""
    return struct.pack("=BB", family, 0) + resource.to_bytes(2, "big")


def attribute(kind: int, payload: bytes) -> bytes:
    """Write one attribute, padded to four bytes. Raises struct.error above 65,531 bytes of payload."""
    return ATTRIBUTE.pack(4 + len(payload), kind) + payload + b"\0" * (-len(payload) & 3)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Write an attribute that holds attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """Write a name as netfilter wants it: ASCII with a closing NUL."""
    return attribute(kind, value.encode("ascii") + b"\0")


def messages(data: bytes) -> tuple[list[Message], int]:
    """Read all messages of a buffer; the number is how many pieces were unreadable. Never raises."""
    found: list[Message] = []
    offset, end = 0, len(data)
    while end - offset >= 16:
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < 16 or length > end - offset:
            return found, 1
        found.append(Message(kind, flags, sequence, data[offset + 16 : offset + length]))
        offset += (length + 3) & ~3
    return found, int(offset < end)


def gathered(
    data: bytes,
    wanted: int,
    read: Callable[[bytes, int, int], T | None],
    found: list[T],
    fine: AbstractSet[int] = frozenset({0}),
) -> int:
    """Append what `read` makes of each message of one kind, and give how many pieces were unreadable. Never raises.

    `read` gets the buffer and where a message begins, past the header of netfilter, and ends. A refused request counts
    as one piece, but for errors that are `fine`; other kinds are passed over. On the path of each packet, so no message
    is copied.
    """
    faults = 0
    offset, total = 0, len(data)
    read_header = HEADER.unpack_from
    while total - offset >= 16:
        length, kind, _flags, _sequence, _port = read_header(data, offset)
        if length < 16 or length > total - offset:
            return faults + 1
        if kind == wanted:
            one = read(data, offset + 20, offset + length)
            if one is None:
                faults += 1
            else:
                found.append(one)
        elif kind == REPLY:
            faults += errno_of(Message(kind, 0, 0, data[offset + 16 : offset + 20])) not in fine
        offset += (length + 3) & ~3
    return faults + (offset < total)


def attribute_list(data: bytes, offset: int = 0) -> tuple[list[tuple[int, bytes]], int]:
    """Read attributes in their order; the number is how many pieces were unreadable. Never raises."""
    found: list[tuple[int, bytes]] = []
    end = len(data)
    while end - offset >= 4:
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or length > end - offset:
            return found, 1
        found.append((kind & KIND_MASK, data[offset + 4 : offset + length]))
        offset += (length + 3) & ~3
    return found, int(offset < end)


def attributes(data: bytes, offset: int = 0) -> tuple[dict[int, bytes], int]:
    """Read attributes by kind, the last of a kind standing. Never raises."""
    found, faults = attribute_list(data, offset)
    return dict(found), faults


def errno_of(reply: Message) -> int:
    """Give the positive errno of a reply, 0 for an acknowledgement, 71 (EPROTO) for one too short to tell."""
    if len(reply.body) < 4:
        return 71
    code: int = ERROR.unpack_from(reply.body)[0]
    return -code


def number(payload: bytes | None) -> int:
    """Read a big-endian number of any length; what is absent counts as 0."""
    return int.from_bytes(payload, "big") if payload else 0


def batch(body: bytes, sequence: int, generation: int | None = None) -> bytes:
    """Wrap written nf_tables messages so that the kernel takes all or none.

    With `generation`, the kernel refuses (ERESTART) when anybody changed the ruleset since that generation was read.
    """
    begin = generic(0, SUBSYSTEM_TABLES)
    if generation is not None:
        begin += attribute(BATCH_GENERATION, generation.to_bytes(4, "big"))
    return (
        message(BATCH_BEGIN, REQUEST, sequence, begin)
        + body
        + message(BATCH_END, REQUEST, sequence, generic(0, SUBSYSTEM_TABLES))
    )
