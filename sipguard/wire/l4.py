"""Gives the UDP datagram or TCP segment in an IP packet, through fragments and tunnels. Raises nothing.

Checksums are not verified: offloading leaves them empty in captures on the sending host, and on the live path the
kernel's connection tracking has judged them before us. ICMP is never read: SIP that an ICMP error quotes is no packet.

Tunnels (IPIP, 6in4, GRE, PPTP) are for captures taken in a network. On the live path the kernel takes tunnels apart
before the tap; there `tunnels=False` belongs, for whoever can send one packet to the host could otherwise forge both
sides of a conversation inside it.
"""

from __future__ import annotations

from struct import Struct

from sipguard.address import Address
from sipguard.model import Instant
from sipguard.wire import link
from sipguard.wire.fragments import Fragments
from sipguard.wire.ip import TCP, UDP, read_ipv4, read_ipv6

FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10
URG = 0x20

IPV4_IN_IP = 4
IPV6_IN_IP = 41
GRE = 47
GRE_ETHERNET = 0x6558
GRE_PPP = 0x880B
MAX_DEPTH = 4
"""IP headers inside each other: an IP packet in two tunnels is already rare."""

_UDP = Struct("!HHH")
_PLAIN = Struct("!BxHxxHxB2x4s4sHHH")
"""An IPv4 header without options, and a UDP header: nearly every packet here."""
_TCP = Struct("!HHIIBBxxxxH")


class Datagram:
    """A UDP payload and between whom it went; addresses are 4 or 16 bytes, IPv4-mapped ones never 16."""

    __slots__ = ("dport", "dst", "payload", "sport", "src")

    def __init__(self, src: Address, sport: int, dst: Address, dport: int, payload: bytes) -> None:
        self.src = src
        self.sport = sport
        self.dst = dst
        self.dport = dport
        self.payload = payload


class Segment:
    """A TCP segment. `urgent` is the header's pointer, of meaning only with URG in `flags`."""

    __slots__ = ("ack", "dport", "dst", "flags", "payload", "seq", "sport", "src", "urgent")

    def __init__(
        self,
        src: Address,
        sport: int,
        dst: Address,
        dport: int,
        seq: int,
        ack: int,
        flags: int,
        payload: bytes,
        urgent: int = 0,
    ) -> None:
        self.src = src
        self.sport = sport
        self.dst = dst
        self.dport = dport
        self.seq = seq
        self.ack = ack
        self.flags = flags
        self.payload = payload
        self.urgent = urgent


def decode(at: Instant, packet: bytes, fragments: Fragments, *, tunnels: bool = True) -> Datagram | Segment | None:
    """Give what an IP packet carries, or None: another protocol, damaged, or a fragment that completes nothing.

    `at` only ages the fragments. Never raises on any input. Without `tunnels` nothing is read inside IPIP and GRE.
    """
    if len(packet) >= 28:  # the short way; what does not fit here is read with care, to the same result
        first, total, offset, protocol, source, destination, sport, dport, length = _PLAIN.unpack_from(packet)
        if first == 0x45 and protocol == UDP and not offset & 0x3FFF and 8 <= length <= total - 20 <= len(packet) - 20:
            return Datagram(source, sport, destination, dport, packet[28 : 20 + length])
    return _decode_carefully(at, packet, fragments, tunnels=tunnels)


def _decode_carefully(at: Instant, packet: bytes, fragments: Fragments, *, tunnels: bool) -> Datagram | Segment | None:
    for _ in range(MAX_DEPTH):
        version = packet[0] >> 4 if packet else 0
        if version == 4:
            content = read_ipv4(at, packet, fragments)
        elif version == 6:
            content = read_ipv6(at, packet, fragments)
        else:
            return None
        if content is None:
            return None
        protocol, source, destination, payload, short = content
        if protocol == UDP:
            return _datagram(source, destination, payload, short=short)
        if protocol == TCP:
            return _segment(source, destination, payload)
        inner = _tunnelled(protocol, payload) if tunnels else None
        if inner is None:
            return None
        packet = inner
    return None


def _datagram(source: Address, destination: Address, payload: bytes, *, short: bool) -> Datagram | None:
    """RFC 768. A length of 0 is all there is in IPv6 (RFC 2675 section 4; Linux takes it so) and nothing in IPv4."""
    size = len(payload)
    if size < 8:
        return None
    sport, dport, length = _UDP.unpack_from(payload)
    if length == 0 and len(source) == 16:
        length = size
    if length < 8 or (length > size and not short):
        return None
    return Datagram(source, sport, destination, dport, payload[8:length])


def _segment(source: Address, destination: Address, payload: bytes) -> Segment | None:
    """RFC 9293 section 3.1. Options are not read."""
    size = len(payload)
    if size < 20:
        return None
    sport, dport, seq, ack, words, flags, urgent = _TCP.unpack_from(payload)
    start = (words >> 4) * 4
    if start < 20 or start > size:
        return None
    return Segment(source, sport, destination, dport, seq, ack, flags, payload[start:], urgent)


def _tunnelled(protocol: int, payload: bytes) -> bytes | None:
    """Give the IP packet inside another, or None."""
    if protocol == GRE:
        return _gre(payload)
    version = {IPV4_IN_IP: 4, IPV6_IN_IP: 6}.get(protocol)
    return payload if payload and payload[0] >> 4 == version else None


def _gre(data: bytes) -> bytes | None:
    """Read GRE with checksum, key and sequence number (RFC 2784, RFC 2890) and PPTP's kind (RFC 2637 section 4.1)."""
    if len(data) < 4:
        return None
    flags = int.from_bytes(data[:2])
    protocol = int.from_bytes(data[2:4])
    start = 4 + 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    if flags & 0x4007 == 1 and flags & 0x2000 and protocol == GRE_PPP:
        start += 4 * bool(flags & 0x0080)
        return link.by_ppp(data[start : start + int.from_bytes(data[4:6])])
    if flags & 0x4007:  # source routing, or a version not known; Linux refuses both
        return None
    if protocol == GRE_ETHERNET:
        return link.strip(link.ETHERNET, data[start:])
    return link.by_ethertype(protocol, data, start)
