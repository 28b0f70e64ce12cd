"""Where the first media go is read as the whole description is read, from whatever bytes, only faster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.sdp import first_media, parse_sdp

ADDRESSES = st.sampled_from([b"192.0.2.1", b"2001:db8::1", b"media.example", b"0.0.0.0", b"224.2.1.1/127"])
MEDIA = st.tuples(
    st.sampled_from([b"0", b"9", b"40000", b"40000/2", b"65535", b"65536", b"x", b"-1", b""]), st.none() | ADDRESSES
)


def named(address: bytes) -> bytes:
    return b"c=IN IP4 " + address + b"\r\n"


@given(st.none() | ADDRESSES, st.lists(MEDIA, max_size=7))
def test_it_is_what_the_whole_description_says(general: bytes | None, media: list[tuple[bytes, bytes | None]]) -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n" + (named(general) if general else b"") + b"t=0 0\r\n"
    for port, address in media:
        body += b"m=audio " + port + b" RTP/AVP 0\r\n" + (named(address) if address else b"") + b"a=sendrecv\r\n"
    first = next((each for each in parse_sdp(body).media if each.port), None)
    expected = (first.address, first.port) if first is not None and first.address else (b"", 0)
    assert first_media(body) == expected


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_no_bytes_raise(one: bytes, two: bytes) -> None:
    for body in (one, b"v=0\nm=" + one + b"\nc=IN IP" + two, b"v=0\nc=IN IP" + two + b"\nm=audio 9 x"):
        _, port = first_media(body)
        assert 0 <= port < 1 << 16


def test_what_comes_after_many_refused_media_is_not_read() -> None:
    refused = b"v=0\nc=IN IP4 192.0.2.1" + b"\nm=audio 0 RTP/AVP 0" * 8
    assert first_media(refused + b"\nm=audio 9 RTP/AVP 0") == (b"", 0)
