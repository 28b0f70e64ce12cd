"""Takes the link layer off a captured frame. Reads one frame, keeps nothing, raises nothing.

What stands here is only framing: numbers are those of the tcpdump.org link-type registry and of IEEE 802. No IP header
is read beyond its version nibble, which must agree with what the link layer announces, as Linux demands (ip_rcv).
IP in 802.3/SNAP is not read: Linux does not deliver it.
"""

from __future__ import annotations

from collections.abc import Callable

ETHERNET = 1
PPP = 9
RAW = 101
LINUX_SLL = 113
LINUX_SLL2 = 276

IPV4_TYPE = 0x0800
IPV6_TYPE = 0x86DD
PPPOE_SESSION = 0x8864
PPP_IPV4 = 0x0021
PPP_IPV6 = 0x0057
TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
"""802.1Q, 802.1ad, and the two QinQ types that came before it and are still met in captures."""
MAX_TAGS = 8
"""More tags than any network stacks; bounds the work on one frame."""
FAMILY_IPV4 = 2
FAMILIES_IPV6 = frozenset({10, 24, 28, 30})
"""AF_INET6 of Linux, of NetBSD and OpenBSD, of FreeBSD, and of macOS: the host that captured wrote its own number."""


def strip(linktype: int, data: bytes) -> bytes | None:
    """Give the IP packet in a link-layer frame, from its version nibble on, or None. Never raises on any input.

    Padding after the packet is left in place; `ip.py` cuts by the packet's own length.
    """
    if linktype == ETHERNET:
        if data[12:14] == b"\x08\x00":
            packet = data[14:]
            return packet if packet and packet[0] >> 4 == 4 else None
        return by_ethertype(int.from_bytes(data[12:14]), data, 14)
    reader = _READERS.get(linktype)
    return reader(data) if reader is not None else None


def by_ethertype(ethertype: int, data: bytes, start: int) -> bytes | None:
    """Give the IP packet at `start`, behind up to `MAX_TAGS` VLAN tags, if the Ethernet type says there is one."""
    for _ in range(MAX_TAGS):
        if ethertype not in TAGS:
            break
        ethertype = int.from_bytes(data[start + 2 : start + 4])
        start += 4
    if ethertype == IPV4_TYPE:
        return _packet(data, start, 4)
    if ethertype == IPV6_TYPE:
        return _packet(data, start, 6)
    if ethertype == PPPOE_SESSION:
        return _pppoe(data[start:])
    return None


def by_ppp(data: bytes) -> bytes | None:
    """Give the IP packet in a PPP frame, with or without HDLC address, with the protocol in one byte or two (RFC 1661).

    The protocol's last byte is odd and its others are even, which is how the short form is told.
    """
    start = 2 if data[:2] == b"\xff\x03" else 0
    if data[start : start + 1] and data[start] & 1:
        protocol = data[start]
        start += 1
    else:
        protocol = int.from_bytes(data[start : start + 2])
        start += 2
    if protocol == PPP_IPV4:
        return _packet(data, start, 4)
    if protocol == PPP_IPV6:
        return _packet(data, start, 6)
    return None


def _packet(data: bytes, start: int, version: int) -> bytes | None:
    """Give what begins at `start` if its first nibble is `version`."""
    return data[start:] if start < len(data) and data[start] >> 4 == version else None


def _pppoe(data: bytes) -> bytes | None:
    """RFC 2516 section 4: version and type 1, code 0 for session data, session, length."""
    return by_ppp(data[6:]) if data[:2] == b"\x11\x00" else None


def _raw(data: bytes) -> bytes | None:
    return data if data and data[0] >> 4 in {4, 6} else None


def _raw_ipv4(data: bytes) -> bytes | None:
    return _packet(data, 0, 4)


def _raw_ipv6(data: bytes) -> bytes | None:
    return _packet(data, 0, 6)


def _null(data: bytes) -> bytes | None:
    """LINKTYPE_NULL has the family in the byte order of the capturing host, LINKTYPE_LOOP in network order."""
    for family in (int.from_bytes(data[:4]), int.from_bytes(data[:4], "little")):
        if family == FAMILY_IPV4:
            return _packet(data, 4, 4)
        if family in FAMILIES_IPV6:
            return _packet(data, 4, 6)
    return None


def _sll(data: bytes) -> bytes | None:
    return by_ethertype(int.from_bytes(data[14:16]), data, 16)


def _sll2(data: bytes) -> bytes | None:
    return by_ethertype(int.from_bytes(data[:2]), data, 20)


_READERS: dict[int, Callable[[bytes], bytes | None]] = {
    0: _null,
    PPP: by_ppp,
    12: _raw,  # DLT_RAW, as most systems number it
    14: _raw,  # DLT_RAW on OpenBSD
    50: by_ppp,  # LINKTYPE_PPP_HDLC
    51: _pppoe,  # LINKTYPE_PPP_ETHER: no Ethernet header before it
    RAW: _raw,
    108: _null,
    LINUX_SLL: _sll,
    228: _raw_ipv4,
    229: _raw_ipv6,
    LINUX_SLL2: _sll2,
}
