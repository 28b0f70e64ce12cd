"""An IP packet gives its datagram or segment, as scapy built it and as Linux would deliver it, or None."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.gtp import GTP_U_Header
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import GRE, GRE_PPTP, Ether
from scapy.layers.ppp import PPP
from scapy.packet import Packet, Raw

from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Datagram, Segment, decode

V4: dict[str, Any] = {"src": "203.0.113.9", "dst": "192.0.2.5"}
V6: dict[str, Any] = {"src": "2001:db8::9", "dst": "2001:db8::5"}
SIP = UDP(sport=5070, dport=5060) / Raw(b"OPTIONS sip:a@b SIP/2.0")


def read(packet: Packet | bytes, *, tunnels: bool = True) -> Datagram | Segment | None:
    """Decode with nothing seen before."""
    return decode(0, bytes(packet), Fragments(), tunnels=tunnels)


def text(packet: Packet | bytes, *, tunnels: bool = True) -> bytes | None:
    """Give the payload, or None."""
    found = read(packet, tunnels=tunnels)
    return None if found is None else found.payload


@pytest.mark.parametrize("head", [IP(**V4), IPv6(**V6), IP(**V4, options=b"\x01" * 4)], ids=["v4", "v6", "options"])
def test_udp_gives_addresses_ports_and_payload(head: Packet) -> None:
    found = read(head / SIP)
    family = socket.AF_INET6 if isinstance(head, IPv6) else socket.AF_INET
    assert isinstance(found, Datagram)
    assert (found.sport, found.dport, found.payload) == (5070, 5060, b"OPTIONS sip:a@b SIP/2.0")
    assert (found.src, found.dst) == (socket.inet_pton(family, head.src), socket.inet_pton(family, head.dst))


@pytest.mark.parametrize("head", [IP(**V4), IPv6(**V6)], ids=["v4", "v6"])
def test_tcp_gives_numbers_flags_and_payload_past_its_options(head: Packet) -> None:
    options = [("MSS", 1460), ("Timestamp", (1, 2))]
    found = read(head / TCP(sport=1, dport=5060, seq=7, ack=8, flags="PAU", urgptr=3, options=options) / Raw(b"BYE"))
    assert isinstance(found, Segment)
    assert (found.sport, found.dport, found.seq, found.ack, found.payload) == (1, 5060, 7, 8, b"BYE")
    assert (found.flags, found.urgent) == (0x38, 3)


@pytest.mark.parametrize("head", [IP(**V4), IPv6(**V6)], ids=["v4", "v6"])
def test_padding_behind_the_packet_is_cut(head: Packet) -> None:
    assert text(bytes(head / UDP(dport=5060) / Raw(b"abc")) + b"\0" * 20) == b"abc"
    assert text(bytes(head / TCP(dport=5060) / Raw(b"abc")) + b"\0" * 20) == b"abc"
    assert text(head / UDP(dport=5060, len=10) / Raw(b"abcdef")) == b"ab"


def test_an_empty_datagram_is_one() -> None:
    assert text(IP(**V4) / UDP(dport=5060)) == b""


@pytest.mark.parametrize("length", [0, 1, 7, 32, 65535])
def test_a_udp_length_that_linux_refuses_is_refused(length: int) -> None:
    assert text(IP(**V4) / UDP(dport=5060, len=length) / Raw(b"x" * 20)) is None


def test_a_udp_length_of_zero_is_all_of_it_in_ipv6_as_linux_takes_it() -> None:
    assert text(IPv6(**V6) / UDP(dport=5060, len=0, chksum=1) / Raw(b"abc")) == b"abc"


@pytest.mark.parametrize("head", [IP(**V4), IPv6(**V6)], ids=["v4", "v6"])
def test_a_packet_that_the_capture_cut_is_read_as_far_as_it_goes(head: Packet) -> None:
    whole = bytes(head / UDP(dport=5060) / Raw(b"abcdef"))
    assert text(whole[:-4]) == b"ab"
    for end in range(len(whole) - 6):
        assert text(whole[:end]) is None


def test_what_linux_does_not_deliver_is_not_read() -> None:
    whole = bytes(IP(**V4) / SIP)
    assert text(IP(**V4, ihl=4) / SIP) is None
    assert text(IP(**V4, ihl=15) / UDP(dport=5060)) is None
    assert text(IP(**V4, len=19) / SIP) is None
    assert text(b"\x55" + whole[1:]) is None
    assert text(IP(**V4) / TCP(dport=5060, dataofs=4) / Raw(b"abc")) is None
    assert text(IP(**V4) / TCP(dport=5060, dataofs=15) / Raw(b"abc")) is None


def test_segmentation_offload_may_leave_the_length_at_zero_in_large_packets_only() -> None:
    large = IP(**V4, len=0) / TCP(dport=5060) / Raw(b"x" * 3000)
    assert text(large) == b"x" * 3000
    assert text(IP(**V4, len=0) / TCP(dport=5060) / Raw(b"x" * 300)) is None
    assert text(IPv6(**V6, plen=0) / TCP(dport=5060) / Raw(b"x" * 3000)) == b"x" * 3000


EXTENSIONS = [
    IPv6ExtHdrHopByHop(),
    IPv6ExtHdrDestOpt(),
    IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt(),
    IPv6ExtHdrRouting(segleft=0, addresses=["2001:db8::7"]),
    IPv6ExtHdrFragment(id=9),
    AH(nh=17, payloadlen=1),
]


@pytest.mark.parametrize("extension", EXTENSIONS, ids=lambda head: head.summary())
def test_extension_headers_are_read_through(extension: Packet) -> None:
    assert text(IPv6(**V6) / extension / SIP) == SIP.load


def test_many_extension_headers_hide_nothing_that_fits_into_a_frame() -> None:
    head = b"\x3c\0\x01\x04\0\0\0\0"
    sip = bytes(SIP)
    body = head * 170 + b"\x11\0\x01\x04\0\0\0\0" + sip
    assert text(bytes(IPv6(**V6, nh=60, plen=len(body))) + body) == SIP.load
    body = head * 8000
    assert text(bytes(IPv6(**V6, nh=60, plen=len(body))) + body) is None


def test_extension_headers_that_linux_refuses_are_refused() -> None:
    assert text(IPv6(**V6) / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / SIP) is None
    assert text(IPv6(**V6) / IPv6ExtHdrRouting(segleft=1, addresses=["2001:db8::7"]) / SIP) is None
    assert text(IPv6(**V6, nh=59) / SIP) is None


def test_an_ipv4_mapped_source_on_the_wire_frames_nobody() -> None:
    assert text(IPv6(src="::ffff:198.51.100.7", dst="2001:db8::5") / SIP) is None
    found = read(IPv6(src="2001:db8::5", dst="::ffff:198.51.100.7") / SIP)
    assert found is not None
    assert found.dst == bytes([198, 51, 100, 7])


INNER = IP(**V4) / SIP
INNER6 = IPv6(**V6) / SIP
OUTER = IP(src="198.51.100.1", dst="198.51.100.2")
OUTER6 = IPv6(src="2001:db8:1::1", dst="2001:db8:1::2")
ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # left out, scapy would ask the network for them
PPTP = GRE_PPTP(call_id=5, sequence_number=1, acknum_present=1, ack_number=2)


@pytest.mark.parametrize(
    "packet",
    [
        OUTER / INNER,
        OUTER / INNER6,
        OUTER6 / INNER,
        OUTER6 / INNER6,
        OUTER / GRE() / INNER,
        OUTER / GRE() / INNER6,
        OUTER / GRE(key_present=1, key=7) / INNER,
        OUTER / GRE(chksum_present=1, key_present=1, seqnum_present=1, key=7, sequence_number=1) / INNER,
        OUTER / GRE(proto=0x6558) / ETHERNET / INNER,
        OUTER / PPTP / PPP() / INNER,
        OUTER / GRE() / OUTER6 / INNER,
    ],
    ids=lambda packet: packet.summary(),
)
def test_tunnels_are_taken_apart_unless_told_not_to(packet: Packet) -> None:
    assert text(packet) == SIP.load
    assert text(packet, tunnels=False) is None


def test_tunnels_too_deep_or_of_unknown_kind_are_not_followed() -> None:
    assert text(OUTER / OUTER / OUTER / INNER) == SIP.load
    assert text(OUTER / OUTER / OUTER / OUTER / INNER) is None
    assert text(OUTER / GRE(routing_present=1) / INNER) is None
    assert text(OUTER / GRE(version=2) / INNER) is None
    assert text(OUTER / UDP(dport=2152) / GTP_U_Header() / INNER) != SIP.load


def test_sip_quoted_in_an_icmp_error_is_no_packet() -> None:
    assert text(OUTER / ICMP(type=3, code=3) / INNER) is None
    assert text(OUTER6 / ICMPv6DestUnreach(code=4) / INNER6) is None


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x45", b"\x60", b"\x46"]))
def test_any_bytes_give_something_or_none(data: bytes, start: bytes) -> None:
    read(start + data)


WHOLE = [
    bytes(each) for each in (INNER, OUTER / INNER6, OUTER6 / IPv6ExtHdrDestOpt() / INNER, OUTER / PPTP / PPP() / INNER)
]


@given(st.sampled_from(WHOLE), st.dictionaries(st.integers(0, 90), st.integers(0, 255), max_size=6), st.integers(0, 99))
def test_damaged_packets_never_raise(whole: bytes, damage: dict[int, int], end: int) -> None:
    packet = bytearray(whole)
    for place, value in damage.items():
        packet[place % len(packet)] = value
    read(bytes(packet[:end]))


def test_payloads_too_short_for_their_own_header_are_none() -> None:
    assert text(b"") is None
    assert text(IP(**V4, proto=17) / Raw(b"1234567")) is None
    assert text(IP(**V4, proto=6) / Raw(b"x" * 19)) is None
    assert text(IP(**V4, proto=47) / Raw(b"xxx")) is None
    assert text(IP(**V4, proto=4) / Raw(bytes(INNER6))) is None
