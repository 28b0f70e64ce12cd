"""Reads IPv4 and IPv6 headers down to the upper layer, through extension headers and fragments. Raises nothing.

What Linux would not deliver is not read: wrong version or lengths, an IPv6 routing header with segments left, a
hop-by-hop header that is not the first, an IPv4-mapped source in an IPv6 header. Header checksums are not verified: a
capture on the sending host has them before the network card fills them in. A packet cut short by the capture is read as
far as it goes, and says so; the kernel never hands such a packet to anyone.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

from sipguard.address import Address
from sipguard.model import Instant
from sipguard.wire.fragments import Fragments

TCP = 6
UDP = 17

Content: TypeAlias = tuple[int, Address, Address, bytes, bool]
"""Upper-layer protocol, source, destination, payload, and whether the capture cut the payload short."""

HOP_BY_HOP = 0
ROUTING = 43
FRAGMENT = 44
AUTHENTICATION = 51
MAX_EXTENSIONS = 256
"""More 8-byte headers than fit into an Ethernet frame (Linux sets no limit of its own); bounds the work on a packet."""
OFFLOADED = 1500
"""A length field of 0 is believed only in packets above this size: segmentation offload leaves it so on the sender."""

_EXTENSIONS = frozenset({HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, 60, 135, 139, 140})
_MAPPED = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"
_V4 = Struct("!BxHxxHxB2x4s4s")
_V6 = Struct("!4xHBx16s16s")


def read_ipv4(at: Instant, packet: bytes, fragments: Fragments) -> Content | None:
    """Give the upper layer of an IPv4 packet (RFC 791 section 3.1), or None for a fragment that completes nothing."""
    size = len(packet)
    if size < 20:
        return None
    first, total, offset, protocol, source, destination = _V4.unpack_from(packet)
    start = (first & 15) * 4
    if total == 0 and size > OFFLOADED and protocol == TCP:
        total = size
    if start < 20 or total < start or first >> 4 != 4:
        return None
    short = total > size
    payload = packet[start:total]
    if not offset & 0x3FFF:
        return protocol, source, destination, payload, short
    if short:
        return None
    ident = int.from_bytes(packet[4:6])
    whole = fragments.feed(
        at, source, destination, ident, protocol, (offset & 0x1FFF) * 8, payload, more=bool(offset & 0x2000)
    )
    return None if whole is None else (whole[0], source, destination, whole[1], False)


def read_ipv6(at: Instant, packet: bytes, fragments: Fragments) -> Content | None:
    """Give the upper layer of an IPv6 packet (RFC 8200 section 3), or None."""
    size = len(packet)
    if size < 40 or packet[0] >> 4 != 6:
        return None
    length, protocol, source, destination = _V6.unpack_from(packet)
    if length == 0 and size - 40 > OFFLOADED:
        length = size - 40
    if source.startswith(_MAPPED):  # Linux drops it too (ip6_rcv_core): it could pass for any IPv4 address
        return None
    if destination.startswith(_MAPPED):
        destination = destination[12:]
    short = length > size - 40
    payload = packet[40 : 40 + length]
    if protocol not in _EXTENSIONS:
        return protocol, source, destination, payload, short
    return _extended(at, (protocol, source, destination, payload, short), fragments)


def is_extended(packet: bytes) -> bool:
    """Tell whether a packet is IPv6 with extension headers, be they readable or not."""
    return len(packet) >= 40 and packet[0] >> 4 == 6 and packet[6] in _EXTENSIONS


def _extended(at: Instant, content: Content, fragments: Fragments) -> Content | None:
    """Walk the extension headers (RFC 8200 section 4), once through a fragment header at most."""
    protocol, source, destination, payload, short = content
    start = 0
    first = True
    reassembled = False
    for _ in range(MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS:
            return protocol, source, destination, payload[start:], short
        if len(payload) < start + 8 or (protocol == HOP_BY_HOP and not first):
            return None
        first = False
        if protocol == FRAGMENT:
            whole = None if reassembled else _fragment(at, source, destination, payload[start:], fragments, short=short)
            if whole is None:
                return None
            protocol, payload = whole
            start = 0
            reassembled = True
            continue
        if protocol == ROUTING and payload[start + 3]:
            return None
        length = (payload[start + 1] + 2) * 4 if protocol == AUTHENTICATION else (payload[start + 1] + 1) * 8
        protocol = payload[start]
        start += length
    return None


def _fragment(
    at: Instant, source: Address, destination: Address, data: bytes, fragments: Fragments, *, short: bool
) -> tuple[int, bytes] | None:
    """RFC 8200 section 4.5. A fragment that is the whole (RFC 6946) is read alone, whatever else bears its number."""
    protocol = data[0]
    offset = int.from_bytes(data[2:4])
    if not offset & 0xFFF9:
        return protocol, data[8:]
    body = data[8:]
    more = bool(offset & 1)
    if short or (more and len(body) & 7):
        return None
    ident = int.from_bytes(data[4:8])
    return fragments.feed(at, source, destination, ident, protocol, offset & 0xFFF8, body, more=more)
