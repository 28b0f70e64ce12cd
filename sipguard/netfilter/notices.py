"""What nf_tables tells its listeners: who changed what. Reading never raises.

Pure bytes; `enforce/monitor.py` holds the socket. A notice carries the port id of the socket that made the change
(netlink(7)); the kernel tells of an element that ran out to nobody (tried, Linux 6.18).
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import NamedTuple

from sipguard.netfilter import nfnetlink, sets

GROUP = 7  # NFNLGRP_NFTABLES
_TABLE, _SET = 1, 2  # the table stands first in every object; NFTA_SET_ELEM_LIST_SET
_BELONG = frozenset(sets.NEW_GENERATION & ~0xFF | kind for kind in range(26))
_ELEMENTS = {sets.NEW_ELEMENT: False, sets.DELETE_ELEMENT: True}
_PORT = struct.Struct("=I")
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter (linux/filter.h)


class Change(NamedTuple):
    """One element of ours that somebody else put in, or took out (`gone`)."""

    name: str
    element: sets.Element
    gone: bool


class News(NamedTuple):
    """What others did to our table. `rules`: to anything but elements; `lost`: nobody knows what."""

    rules: bool = False
    changes: tuple[Change, ...] = ()
    lost: bool = False

    def __bool__(self) -> bool:
        return self.rules or self.lost or bool(self.changes)


def read(data: bytes, table: str, ours: Collection[int]) -> News:
    """Read what one datagram says of a table, leaving out what the sockets `ours` have done. Never raises."""
    wanted = table.encode("ascii") + b"\0"
    if wanted not in data:
        return News()
    rules = False
    changes: list[Change] = []
    offset, end = 0, len(data)
    while end - offset >= 16:
        length, kind, _flags, _sequence, port = nfnetlink.HEADER.unpack_from(data, offset)
        if length < 16 or length > end - offset:
            return News(rules, tuple(changes), lost=True)
        body = data[offset + 16 : offset + length]
        offset += (length + 3) & ~3
        if port in ours or kind not in _BELONG:
            continue
        about, _faults = nfnetlink.attributes(body, 4)
        if about.get(_TABLE) != wanted or body[:1] != bytes((sets.INET,)):
            continue
        if kind in _ELEMENTS:
            found: list[sets.Element] = []
            sets.elements(body, found)
            name = about.get(_SET, b"").rstrip(b"\0").decode("ascii", "replace")
            changes += [Change(name, element, _ELEMENTS[kind]) for element in found]
        else:
            rules = True
    return News(rules, tuple(changes))


def deaf_to(ports: Collection[int]) -> bytes:
    """Write a socket filter (classic BPF) that keeps out what these port ids have done: our own work costs nothing.

    All notices of a datagram come from one transaction, and so from one port.
    """
    program = [_INSTRUCTION.pack(0x20, 0, 0, 12)]  # A = the first header's port id; the load takes it as big-endian
    last = len(ports)
    for place, port in enumerate(sorted(ports)):
        seen = int.from_bytes(_PORT.pack(port), "big")
        program.append(_INSTRUCTION.pack(0x15, last - place, 0, seen))  # equal: to the last instruction
    program.append(_INSTRUCTION.pack(0x06, 0, 0, 0xFFFFFFFF))
    program.append(_INSTRUCTION.pack(0x06, 0, 0, 0))
    return b"".join(program)
