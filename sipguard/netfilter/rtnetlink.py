"""Addresses and gateways of a host, asked for and read as rtnetlink(7) messages. Reading never raises.

Pure bytes; `capture/host.py` holds the socket. Numbers are from linux/rtnetlink.h and linux/if_addr.h.
"""

from __future__ import annotations

import struct

from sipguard.address import Network
from sipguard.netfilter import nfnetlink

NEW_ADDRESS = 20
DELETE_ADDRESS = 21
GET_ADDRESS = 22
NEW_ROUTE = 24
GET_ROUTE = 26

WATCH_ADDRESSES = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR

_ADDRESS, _LOCAL = 1, 2  # IFA_*; on a point-to-point link the first is the far end
_GATEWAY, _MULTIPATH, _VIA = 5, 9, 18  # RTA_*
_LENGTHS = frozenset({4, 16})


def ask(kind: int, sequence: int) -> bytes:
    """Ask for all addresses (GET_ADDRESS) or routes (GET_ROUTE) of both families."""
    return nfnetlink.message(kind, nfnetlink.REQUEST | nfnetlink.DUMP, sequence, bytes(12))


def address(message: nfnetlink.Message) -> Network | None:
    """Read an own address as a network of one; None from any other or broken message."""
    if message.kind != NEW_ADDRESS:
        return None
    read, _faults = nfnetlink.attributes(message.body, 8)
    return _one(read.get(_LOCAL) or read.get(_ADDRESS))


def gateways(message: nfnetlink.Message) -> list[Network]:
    """Read the gateways of a route, each as a network of one; none from a route without, or any other message."""
    if message.kind != NEW_ROUTE:
        return []
    read, _faults = nfnetlink.attributes(message.body, 12)
    found = [_one(read.get(_GATEWAY)), _one(read.get(_VIA, b"")[2:])]
    hops = read.get(_MULTIPATH, b"")
    while len(hops) >= 8:  # struct rtnexthop: its length with what follows, then attributes
        length = max(8, struct.unpack_from("=H", hops)[0])
        inner, _faults = nfnetlink.attributes(hops[8:length])
        found += [_one(inner.get(_GATEWAY)), _one(inner.get(_VIA, b"")[2:])]
        hops = hops[(length + 3) & ~3 :]
    return [one for one in found if one is not None]


def _one(packed: bytes | None) -> Network | None:
    if packed is None or len(packed) not in _LENGTHS:
        return None
    return Network(packed, len(packed) * 8)
