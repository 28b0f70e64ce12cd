"""What the kernel's connection tracking knows of one connection: the question and the answer, as bytes. Never raises.

Numbers are from linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h. Asked is for one connection by both
its ends, whichever of them began it: the kernel finds it by either direction, in one step however many there are
(tried, Linux 6.18). The socket is in `capture/connections.py`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from sipguard.address import Address
from sipguard.netfilter import nfnetlink

_SUBSYSTEM = 1 << 8
NEW = _SUBSYSTEM
"""IPCTNL_MSG_CT_NEW: an answer is such a message, as if it were news."""
GET = _SUBSYSTEM | 1

_TUPLE, _STATUS, _TIMEOUT = 1, 3, 7  # CTA_TUPLE_ORIG, CTA_STATUS, CTA_TIMEOUT
_IP, _PROTOCOL = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_NUMBER, _SOURCE_PORT, _TARGET_PORT = 1, 2, 3  # CTA_PROTO_NUM and so on
_UDP = b"\x11"
_FAMILIES = {4: (2, 1, 2), 16: (10, 3, 4)}  # AF_INET, CTA_IP_V4_SRC, CTA_IP_V4_DST; AF_INET6, CTA_IP_V6_...
_ASSURED = 4  # IPS_ASSURED: packets went both ways, for longer than a question and its answer
_PORT = struct.Struct(">H")
_NUMBER32 = struct.Struct(">I")


class Entry(NamedTuple):
    """A connection: `assured` when both its ends have been heard; the kernel forgets it `timeout_seconds` from now.

    Each packet of it sets the time anew, so it ends later than it did before only if there was one.
    """

    assured: bool
    timeout_seconds: int


class Reply(NamedTuple):
    """An answer to the question of a number: an entry, or none and the reason (errno(3), 0 for what says nothing)."""

    sequence: int
    entry: Entry | None
    error: int


def question(source: Address, source_port: int, target: Address, target_port: int, sequence: int) -> bytes:
    """Ask for the UDP connection between two ends; empty for ends that are not of one family."""
    if len(source) != len(target) or len(source) not in _FAMILIES:
        return b""
    family, of_source, of_target = _FAMILIES[len(source)]
    ends = nfnetlink.attribute(of_source, source) + nfnetlink.attribute(of_target, target)
    ports = nfnetlink.attribute(_NUMBER, _UDP)
    ports += nfnetlink.attribute(_SOURCE_PORT, _PORT.pack(source_port & 0xFFFF))
    ports += nfnetlink.attribute(_TARGET_PORT, _PORT.pack(target_port & 0xFFFF))
    asked = nfnetlink.nested(_TUPLE, nfnetlink.nested(_IP, ends), nfnetlink.nested(_PROTOCOL, ports))
    return nfnetlink.message(GET, nfnetlink.REQUEST, sequence, nfnetlink.generic(family) + asked)


def replies(data: bytes) -> list[Reply]:
    """Read the answers in a datagram; what is none is left out."""
    found: list[Reply] = []
    for each in nfnetlink.messages(data)[0]:
        if each.kind == nfnetlink.REPLY:
            found.append(Reply(each.sequence, None, nfnetlink.errno_of(each)))
        elif each.kind == NEW:
            found.append(Reply(each.sequence, _entry(each.body), 0))
    return found


def _entry(body: bytes) -> Entry | None:
    about, _faults = nfnetlink.attributes(body, 4)
    status, timeout = about.get(_STATUS, b""), about.get(_TIMEOUT, b"")
    if len(status) != 4 or len(timeout) != 4:
        return None
    flags: int = _NUMBER32.unpack(status)[0]
    left: int = _NUMBER32.unpack(timeout)[0]
    return Entry(bool(flags & _ASSURED), left)
