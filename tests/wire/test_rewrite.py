"""Packets with another payload are whole packets, and an independent reader finds their checksums right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from sipguard.wire.rewrite import blanked, checksum, with_payload

FIN = 1


def made(version: int, payload: bytes, flags: str = "PA", *, options: bool = False) -> bytes:
    network = IP(src="203.0.113.1", dst="192.0.2.1") if version == 4 else IPv6(src="2001:db8::1", dst="2001:db8::2")
    segment = TCP(sport=1, dport=5060, seq=7, flags=flags, options=[("Timestamp", (1, 2))] if options else [])
    return bytes(network / segment / payload)


@given(st.sampled_from([4, 6]), st.binary(min_size=1, max_size=200), st.binary(max_size=200), st.booleans())
def test_another_payload_makes_a_right_packet(
    version: int,
    old: bytes,
    new: bytes,
    options: bool,  # noqa: FBT001 - hypothesis
) -> None:
    changed = with_payload(made(version, old, "FPA", options=options), len(old), new)
    assert changed is not None
    assert changed == made(version, new, "PA" if len(new) < len(old) else "FPA", options=options)


@given(st.binary(max_size=120), st.integers(-5, 130), st.binary(max_size=20))
def test_what_is_no_plain_tcp_packet_gives_nothing_and_never_raises(data: bytes, old: int, new: bytes) -> None:
    for packet in (data, b"\x45" + data, b"\x60" + data, made(4, data)[:-1], made(6, data) + b"x"):
        changed = with_payload(packet, old, new)
        assert changed is None or changed.endswith(new)


@given(st.binary(max_size=60), st.integers(-70, 70), st.integers(-70, 70))
def test_blanking_keeps_length_and_whatever_lies_outside(payload: bytes, start: int, end: int) -> None:
    found = blanked(payload, start, end)
    assert len(found) == len(payload)
    low, high = max(start, 0), min(end, len(payload))
    assert found[:low] == payload[:low]
    if low < high:
        assert found[high:] == payload[high:]
        assert set(found[low:high]) == {10}, "a pair of CRLF is a ping, which a PBX answers"


@given(st.binary(max_size=99))
def test_a_checksum_over_what_it_is_in_is_zero(data: bytes) -> None:
    data += b"\0" * (len(data) % 2)
    assert checksum(data + checksum(data).to_bytes(2, "big")) == 0
