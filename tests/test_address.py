"""Addresses and networks read and written: the fast way says what the library says."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_address, parse_network, sender_key, show, subject_of


@given(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)))
def test_what_is_written_is_what_the_library_writes_and_reads_back(address: bytes) -> None:
    text = show(address)
    assert text == str(ipaddress.ip_address(address))
    mapped = len(address) == 16 and address.startswith(b"\0" * 10 + b"\xff\xff")
    assert parse_address(text) == (address[12:] if mapped else address)


@given(st.one_of(st.text(alphabet="0123456789./: ab\u0663", max_size=20), st.ip_addresses().map(str)))
def test_whatever_the_library_refuses_is_refused(text: str) -> None:
    try:
        expected = ipaddress.ip_address(text)
    except ValueError:
        with pytest.raises(ValueError, match=r".+"):
            parse_address(text)
    else:
        assert len(parse_address(text)) in (4, 16)
        assert parse_address(text)[-4:] == expected.packed[-4:]


@pytest.mark.parametrize(
    "text", ["01.2.3.4", "1.2.3.04", "+1.2.3.4", "1.2.3.4 ", "1_0.2.3.4", "\u0661.2.3.4", "256.1.1.1"]
)
def test_loose_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_address(text)
    with pytest.raises(ValueError, match=r".+"):
        parse_network(text)


def test_networks_cover_their_own_family_only() -> None:
    network = parse_network("203.0.113.0/24")
    assert network.covers(parse_address("203.0.113.255"))
    assert not network.covers(parse_address("203.0.114.0"))
    assert not network.covers(parse_address("2001:db8::1"))
    assert parse_network("::ffff:203.0.113.0/120") == network
    assert str(network) == "203.0.113.0/24"
    with pytest.raises(ValueError, match="host bits"):
        parse_network("203.0.113.1/24")


def test_a_v6_sender_stands_for_its_64() -> None:
    assert str(subject_of(parse_address("2001:db8::1:2:3:4"))) == "2001:db8::/64"
    assert subject_of(parse_address("192.0.2.1")) == Network(b"\xc0\0\2\1", 32)


def test_a_sender_s_key_is_its_address_or_its_64() -> None:
    assert sender_key(parse_address("192.0.2.1")) == bytes([192, 0, 2, 1])
    assert sender_key(parse_address("2001:db8:1:2::5")) == parse_address("2001:db8:1:2::")[:8]
