"""Look-ups are total, lazy and kept; the session description and the odds and ends of a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.sip.parser import parse
from tests.fuzz.invariants import both_ways_agree, look_at_all
from tests.sip.build import build, read

SDP = (
    "v=0\r\no=sipcli-Session 1 2 IN IP4 192.0.2.9\r\ns=sipcli\r\nc=IN IP4 192.0.2.1/127\r\nt=0 0\r\n"
    "m=audio 4000/2 RTP/AVP 0 8\r\na=x\r\nm=video 0 RTP/SAVP 31\r\nc=IN IP6 2001:db8::1\r\n"
)


def test_what_is_missing_is_nothing_and_raises_nothing() -> None:
    message = read(b"OPTIONS sip:a SIP/2.0\r\n\r\n")
    assert (message.call_id, message.cseq, message.cseq_method, message.branch) == (b"", -1, "", b"")
    assert (message.from_tag, message.to_tag, message.from_user, message.to_user) == (b"", b"", b"", b"")
    assert (message.credentials, message.contacts, message.vias, message.names()) == ((), (), (), ())
    assert (message.via, message.expires, message.content_length, message.sdp) == (None, None, None, None)
    assert (message.header("via"), message.headers("via"), message.body) == (None, (), b"")


def test_a_look_up_is_made_once_and_kept() -> None:
    message = read(build("INVITE sip:a SIP/2.0", "Authorization: Digest username=a"))
    assert message.credentials is message.credentials
    assert message.faults is message.faults
    assert message.branch is message.branch


def test_a_session_description_is_read() -> None:
    sdp = read(build(body=SDP, content_length=None)).sdp
    assert sdp is not None
    assert (sdp.origin, sdp.origin_address, sdp.session_name) == (b"sipcli-Session", b"192.0.2.9", b"sipcli")
    assert [(one.kind, one.port, one.protocol, one.formats, one.address) for one in sdp.media] == [
        (b"audio", 4000, b"RTP/AVP", (b"0", b"8"), b"192.0.2.1"),
        (b"video", 0, b"RTP/SAVP", (b"31",), b"2001:db8::1"),
    ]


def test_a_session_description_among_other_parts_is_found() -> None:
    body = "--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + "\r\n--x\r\n\r\nm=audio 1 RTP/AVP 0\r\n--x--\r\n"
    sdp = read(build(body=body, content_length=None)).sdp
    assert sdp is not None
    assert len(sdp.media) == 2


def test_a_broken_session_description_is_read_as_far_as_it_goes() -> None:
    body = "v=0\nm=\nm=audio\nm=audio 99999\nm=audio x y\nc=\no=\ns=\nc=IN IP4\n"
    sdp = read(build(body=body, content_length=None)).sdp
    assert sdp is not None
    assert [one.port for one in sdp.media] == [0, 0, 0, 0]
    assert (sdp.origin, sdp.address, sdp.media[-1].protocol) == (b"", b"", b"y")


LINE = [b"INVITE sip:a SIP/2.0", b"SIP/2.0 200 OK", b"", b" folded", b"i:", b"Via", b"\0", b"l: 9"]
LINES = st.lists(st.sampled_from([*build().split(b"\r\n"), *LINE]) | st.binary(max_size=20), max_size=14)


@given(st.binary(max_size=300))
def test_any_bytes_are_some_value(data: bytes) -> None:
    message = parse(data)
    assert isinstance(message, SipRequest | SipResponse | Unparsable)
    look_at_all(message)


@given(LINES, st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\n "]))
def test_any_lines_are_some_value_and_both_ways_agree(lines: list[bytes], end: bytes) -> None:
    message = parse(end.join(lines))
    look_at_all(message)
    both_ways_agree(message)


@given(st.sampled_from(["INVITE", "REGISTER", "Foo-1"]), st.binary(max_size=60), st.integers(0, 2**31 - 1))
def test_what_was_written_is_read(method: str, body: bytes, number: int) -> None:
    lines = f"{method} sip:a@b SIP/2.0\r\nCSeq: {number} {method}\r\nl: {len(body)}\r\n\r\n"
    message = parse(lines.encode() + body)
    assert isinstance(message, SipRequest)
    assert (message.method, message.cseq, message.cseq_method, message.body) == (method, number, method, body)
