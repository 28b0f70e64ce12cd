"""Every link layer gives the same IP packet, and nothing that is no IP packet."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.packet import Packet, Raw

from sipguard.wire.link import MAX_TAGS, strip

V4 = bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=5060, dport=5060) / Raw(b"OPTIONS"))
V6 = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=5060, dport=5060) / Raw(b"OPTIONS"))
ADDRESSES: dict[str, Any] = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
"""Left out, scapy would ask the network for them."""
LINKTYPES = [0, 1, 9, 12, 14, 50, 51, 101, 108, 113, 228, 229, 276]


def ether(kind: int | None = None) -> Packet:
    """Give an Ethernet head, of the type of what will follow or of another."""
    return Ether(**ADDRESSES) if kind is None else Ether(**ADDRESSES, type=kind)


def over(head: Packet, packet: bytes) -> bytes:
    """Lay a packet on a head that has not been told what follows: scapy reads the packet to fill the type in."""
    return bytes(head / (IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)))


@pytest.mark.parametrize("packet", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize(
    ("linktype", "head"),
    [
        (1, ether()),
        (1, ether() / Dot1Q(vlan=7)),
        (1, ether() / Dot1AD(vlan=7) / Dot1Q(vlan=8)),
        (1, ether(0x9100) / Dot1Q(vlan=7) / Dot1Q(vlan=8) / Dot1Q(vlan=9)),
        (1, ether() / PPPoE(sessionid=5) / PPP()),
        (1, ether() / Dot1Q(vlan=7) / PPPoE(sessionid=5) / PPP()),
        (9, PPP()),
        (9, HDLC() / PPP()),
        (51, PPPoE(sessionid=5) / PPP()),
        (113, CookedLinux()),
        (113, CookedLinux(proto=0x8100) / Dot1Q(vlan=7)),
        (276, CookedLinuxV2()),
    ],
    ids=str,
)
def test_scapys_frames_give_their_packet(linktype: int, head: Packet, packet: bytes) -> None:
    assert strip(linktype, over(head, packet)) == packet


@pytest.mark.parametrize("linktype", [12, 14, 101])
def test_raw_links_give_either_version(linktype: int) -> None:
    assert strip(linktype, V4) == V4
    assert strip(linktype, V6) == V6


def test_raw_links_of_one_version_give_only_that() -> None:
    assert strip(228, V4) == V4
    assert strip(229, V6) == V6
    assert strip(228, V6) is None
    assert strip(229, V4) is None


@pytest.mark.parametrize("linktype", [0, 108])
@pytest.mark.parametrize("sign", ["little", "big"])
def test_null_links_are_read_in_either_byte_order_and_every_systems_number(
    linktype: int, sign: Literal["little", "big"]
) -> None:
    assert strip(linktype, (2).to_bytes(4, sign) + V4) == V4
    for family in (10, 24, 28, 30):
        assert strip(linktype, family.to_bytes(4, sign) + V6) == V6
    assert strip(linktype, (7).to_bytes(4, sign) + V4) is None


def test_ppp_protocol_may_be_one_byte() -> None:
    assert strip(9, b"\x21" + V4) == V4
    assert strip(9, b"\xff\x03\x57" + V6) == V6
    assert strip(9, b"\xc0\x21" + V4) is None


def test_padding_stays_for_the_ip_layer_to_cut() -> None:
    assert strip(1, over(ether(), V4) + b"\0" * 9) == V4 + b"\0" * 9


def test_a_frame_whose_type_and_version_disagree_is_no_packet() -> None:
    assert strip(1, bytes(ether(0x0800)) + V6) is None
    assert strip(1, bytes(ether(0x86DD)) + V4) is None
    assert strip(1, bytes(ether(0x0800))) is None


def test_other_types_and_links_are_no_packets() -> None:
    assert strip(1, bytes(ether(0x0806)) + V4) is None
    assert strip(1, bytes(12) + b"\x00\x2e\xaa\xaa\x03\0\0\0\x08\x00" + V4) is None  # SNAP: Linux neither
    assert strip(1, bytes(ether(0x8864)) + b"\x11\x09" + bytes(4) + b"\0\x21" + V4) is None  # PPPoE discovery code
    assert strip(147, V4) is None


def test_tags_beyond_the_bound_are_not_followed() -> None:
    tag = b"\x81\x00\x00\x07"
    frame = bytes(12) + tag * MAX_TAGS + b"\x08\x00" + V4
    assert strip(1, frame) == V4
    assert strip(1, bytes(12) + tag * (MAX_TAGS + 1) + b"\x08\x00" + V4) is None


@given(st.sampled_from(LINKTYPES), st.binary(max_size=80))
def test_any_bytes_give_a_packet_or_none(linktype: int, data: bytes) -> None:
    packet = strip(linktype, data)
    assert packet is None or (packet[0] >> 4 in {4, 6} and data.endswith(packet))


@pytest.mark.parametrize("linktype", LINKTYPES)
def test_frames_cut_anywhere_give_the_start_of_the_packet_or_none(linktype: int) -> None:
    frame = over(ether() / Dot1Q(vlan=7) / PPPoE(sessionid=5) / PPP(), V4)
    for end in range(len(frame)):
        packet = strip(linktype, frame[:end])
        assert packet is None or packet[0] >> 4 in {4, 6}
