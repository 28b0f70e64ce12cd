"""Every limit has a name, a fault, and nothing to hide behind."""

from __future__ import annotations

from sipguard.sip.grammar import MAX_ENTRIES, MAX_HEAD, MAX_HEADERS, MAX_LINE, MAX_PARAMETERS
from sipguard.sip.message import MAX_CREDENTIALS, Fault
from sipguard.sip.sdp import MAX_MEDIA
from sipguard.sip.uri import parse_uri
from tests.sip.build import build, read

START = "REGISTER sip:pbx.example.com SIP/2.0"
AUTHORIZATION = 'Authorization: Digest username="1001", realm="r", nonce="n", uri="sip:a", response="x"'


def test_as_many_headers_as_allowed_are_no_fault() -> None:
    message = read(build(START, *["X-A: 1"] * (MAX_HEADERS - 8)))
    assert message.faults == ()
    assert len(message.headers("x-a")) == MAX_HEADERS - 8


def test_credentials_behind_more_headers_than_allowed_are_still_read() -> None:
    message = read(build(START, *["X-A: 1"] * 3000, "aUTHORIZATION : " + AUTHORIZATION[15:]))
    assert Fault.TOO_MANY_HEADERS in message.faults
    assert [one.username for one in message.credentials] == [b"1001"]
    assert len(message.headers("x-a")) == MAX_HEADERS - 8


def test_what_is_read_behind_too_many_headers_is_bounded_too() -> None:
    message = read(build(START, *["X-A: 1"] * 300, *["m: <sip:a@b>"] * 1000))
    assert len(message.headers("contact")) == MAX_HEADERS + 1


def test_a_long_line_is_read_with_a_fault() -> None:
    message = read(build(subject="x" * MAX_LINE))
    assert message.faults == (Fault.OVERLONG_LINE,)
    assert message.header("subject") == b"x" * MAX_LINE


def test_of_a_head_that_is_too_long_the_first_bytes_are_read() -> None:
    message = read(build(START, "Subject: " + "x" * MAX_HEAD, "Event: y"))
    assert {Fault.OVERLONG_HEAD, Fault.OVERLONG_LINE, Fault.OVERLONG_MESSAGE} <= set(message.faults)
    assert message.call_id == b"ZTY4ZmFhN2Q1ODQ2"
    assert message.header("event") is None
    assert len(message.head) == MAX_HEAD


def test_a_message_longer_than_a_datagram_is_a_fault() -> None:
    message = read(build(body="x" * 65_536, content_length="65536"))
    assert message.faults == (Fault.OVERLONG_MESSAGE,)
    assert len(message.body) == 65_536


def test_more_credentials_than_allowed_are_not_read() -> None:
    message = read(build(START, *[AUTHORIZATION] * (MAX_CREDENTIALS + 5)))
    assert len(message.credentials) == MAX_CREDENTIALS
    many = "WWW-Authenticate: " + ", ".join(f'Digest realm="{number}"' for number in range(100))
    assert len(read(build("SIP/2.0 401 No", many)).challenges) == MAX_CREDENTIALS


def test_more_parameters_than_allowed_are_not_read() -> None:
    message = read(build(to="<sip:a@b>" + ";" * 10 + ";x=y" * 20_000 + ";tag=z"))
    assert (message.to_tag, message.from_tag) == (b"", b"8a7b6c5d")
    assert Fault.TOO_MANY_PARAMETERS in message.faults
    uri = parse_uri(b"sip:a@b" + b";x=y" * 1000)
    assert uri is not None
    assert len(uri.params) == MAX_PARAMETERS


def test_more_entries_than_allowed_are_not_read() -> None:
    for lines in (["v: " + ",".join(["SIP/2.0/UDP h"] * 500)], ["v: SIP/2.0/UDP a,SIP/2.0/UDP b"] * 200):
        message = read(build(START, *lines))
        assert len(message.vias) == MAX_ENTRIES
        assert Fault.TOO_MANY_ENTRIES in message.faults
    assert len(read(build(contact=",".join(["<sip:a@b>"] * 500))).contacts) == MAX_ENTRIES


def test_what_is_wrong_a_thousand_times_is_said_once() -> None:
    message = read(build(START, *["no colon"] * 200))
    assert message.noted == message.faults == (Fault.BAD_HEADER_LINE,)


def test_more_media_than_allowed_are_not_read() -> None:
    body = "v=0\r\n" + "m=audio 4000 RTP/AVP 0\r\n" * (MAX_MEDIA + 5)
    sdp = read(build(body=body, content_length=None)).sdp
    assert sdp is not None
    assert len(sdp.media) == MAX_MEDIA


def test_numbers_without_end_are_clipped_or_refused_but_never_computed() -> None:
    message = read(build(cseq="9" * 60_000 + " REGISTER", expires="9" * 5000))
    assert (message.cseq, message.cseq_method, message.expires) == (-1, "REGISTER", 2**32 - 1)
    assert {Fault.BAD_CSEQ, Fault.NUMBER_OUT_OF_RANGE} <= set(message.faults)
