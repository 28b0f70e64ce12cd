"""What PBXs are known to bear is read as they read it, and every such thing is a named fault."""

from __future__ import annotations

import pytest

from sipguard.sip.message import Fault, SipRequest, Unparsable
from sipguard.sip.parser import parse
from tests.sip.build import build, read, request, response, wrong

START = "REGISTER sip:pbx.example.com SIP/2.0"


def test_an_ordinary_message_has_no_fault() -> None:
    message = request(build())
    assert message.faults == message.noted == ()


@pytest.mark.parametrize(
    ("before", "fault"),
    [
        (b"\r\n", Fault.LEADING_CRLF),
        (b"\n\n", Fault.LEADING_CRLF),
        (b" ", Fault.LEADING_JUNK),
        (b"\t", Fault.LEADING_JUNK),
        (b"\0", Fault.LEADING_JUNK),
        (b"\r\n\0 \r\n", Fault.LEADING_JUNK),
    ],
)
def test_what_stands_before_the_start_line_is_skipped_as_asterisk_and_kamailio_skip_it(
    before: bytes, fault: Fault
) -> None:
    message = request(before + build())
    assert (message.method, message.uri, message.call_id) == ("REGISTER", b"sip:pbx.example.com", b"ZTY4ZmFhN2Q1ODQ2")
    assert message.faults == (fault,)
    assert message.raw == before + build()


@pytest.mark.parametrize("sent", ["Register", "register", "rEGISTER"])
def test_a_known_method_in_any_case_is_that_method(sent: str) -> None:
    message = request(build(f"{sent} sip:pbx.example.com SIP/2.0", cseq=f"1 {sent}"))
    assert (message.method, message.cseq_method) == ("REGISTER", "REGISTER")
    assert message.faults == (Fault.ODD_METHOD_CASE,)


def test_an_unknown_method_stays_as_sent() -> None:
    message = request(build("Foo sip:pbx.example.com SIP/2.0", cseq="1 Foo"))
    assert (message.method, message.faults) == ("Foo", ())


@pytest.mark.parametrize(
    ("start", "uri", "fault"),
    [
        ("REGISTER  sip:a SIP/2.0", b"sip:a", Fault.START_LINE_SPACING),
        ("REGISTER sip:a SIP/2.0 ", b"sip:a", Fault.START_LINE_SPACING),
        ("REGISTER\tsip:a\tSIP/2.0", b"sip:a", Fault.START_LINE_SPACING),
        ("REGISTER sip:a b SIP/2.0", b"sip:a b", Fault.BAD_REQUEST_URI),
        ("REGISTER <sip:a> SIP/2.0", b"<sip:a>", Fault.BAD_REQUEST_URI),
        ("REGISTER a@b SIP/2.0", b"a@b", Fault.BAD_REQUEST_URI),
        ("REGISTER sip:a?Subject=x SIP/2.0", b"sip:a?Subject=x", Fault.REQUEST_URI_HEADERS),
        ("REGISTER sip:a sip/2.0", b"sip:a", Fault.BAD_VERSION),
        ("REGISTER sip:a SIP/3.0", b"sip:a", Fault.BAD_VERSION),
        ("REGISTER sip:a", b"sip:a", Fault.BAD_START_LINE),
    ],
)
def test_a_crooked_request_line_is_read_with_a_fault(start: str, uri: bytes, fault: Fault) -> None:
    message = request(build(start))
    assert (message.method, message.uri, wrong(message)) == ("REGISTER", uri, {fault})


@pytest.mark.parametrize(
    ("start", "code", "reason", "faults"),
    [
        ("SIP/2.0 200 OK", 200, b"OK", set()),
        ("SIP/2.0 200 ", 200, b"", set()),
        ("SIP/2.0 200", 200, b"", {Fault.START_LINE_SPACING}),
        ("SIP/2.0  200  OK", 200, b" OK", {Fault.START_LINE_SPACING}),
        ("sip/2.0 401 No", 401, b"No", {Fault.BAD_VERSION}),
        ("SIP/2.0 0200 OK", 0, b"OK", {Fault.BAD_STATUS_CODE}),
        ("SIP/2.0 700 Far", 0, b"Far", {Fault.BAD_STATUS_CODE}),
        ("SIP/2.0 +40 Far", 0, b"Far", {Fault.BAD_STATUS_CODE}),
        ("SIP/2.0 OK", 0, b"", {Fault.BAD_STATUS_CODE, Fault.START_LINE_SPACING}),
    ],
)
def test_a_crooked_status_line_is_read_with_a_fault(start: str, code: int, reason: bytes, faults: set[Fault]) -> None:
    message = response(build(start))
    assert (message.code, message.reason, wrong(message)) == (code, reason, faults)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("CALL-ID: x1", b"x1"),
        ("call-id:x1", b"x1"),
        ("cAlL-iD \t:  x1 \t", b"x1"),
        ("i: x1", b"x1"),
        ("I : x1", b"x1"),
        ("Call-ID:\r\n x1", b"x1"),
        ("Call-ID: x1\r\n ", b"x1"),
        ("i:\n\tx1", b"x1"),
        ("Call-ID: x1\r\n\ty1", b"x1 y1"),
    ],
)
def test_a_header_is_found_however_it_is_spelled_or_folded(line: str, value: bytes) -> None:
    message = read(build(START, line, call_id=None))
    assert message.call_id == message.header("call-id") == value
    assert message.headers("call-id") == (value,)


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_other_line_ends_are_read_with_a_fault(end: str) -> None:
    data = build(body="v=0", content_length="3").replace(b"\r\n", end.encode())
    message = request(data)
    assert (message.call_id, message.cseq, message.body) == (b"ZTY4ZmFhN2Q1ODQ2", 1, b"v=0")
    assert wrong(message) == {Fault.BARE_LF if end == "\n" else Fault.BARE_CR}


def test_the_first_empty_line_ends_the_head_whatever_its_line_ends() -> None:
    message = request(build().replace(b"\r\nMax-Forwards", b"\n\nMax-Forwards"))
    assert message.header("cseq") == b"1 REGISTER"
    assert message.header("max-forwards") is None
    assert message.body.startswith(b"Max-Forwards: 70")


def test_of_two_values_the_first_counts_and_both_are_kept() -> None:
    message = read(build(START, "i: second", "CSeq: 7 INVITE", "f: <sip:x@y>;tag=z"))
    assert (message.call_id, message.cseq, message.from_tag) == (b"ZTY4ZmFhN2Q1ODQ2", 1, b"8a7b6c5d")
    assert message.headers("call-id") == (b"ZTY4ZmFhN2Q1ODQ2", b"second")
    assert wrong(message) == {Fault.DUPLICATE_CALL_ID, Fault.DUPLICATE_CSEQ, Fault.DUPLICATE_FROM}


@pytest.mark.parametrize("empty", ["Via:", "v:", "Via: ", "VIA :"])
def test_an_empty_header_does_not_hide_the_real_one_behind_it(empty: str) -> None:
    message = read(build(START, empty, "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx", via=None))
    assert message.branch == b"z9hG4bKx"
    assert message.via is not None
    assert Fault.BAD_VIA in message.faults


def test_a_line_without_a_colon_is_skipped_and_hides_nothing() -> None:
    # a bare "Call-ID" is no header: the next one is the first
    message = read(build("OPTIONS sip:a SIP/2.0", "Call-ID", ": nameless", "i: x1", call_id=None, cseq="1 OPTIONS"))
    assert message.call_id == b"x1"
    assert wrong(message) == {Fault.BAD_HEADER_LINE}


def test_an_odd_header_name_hides_nothing() -> None:
    message = read(build(START, "Bad Name: x", "Subject: y"))
    assert message.header("subject") == b"y"
    assert wrong(message) == {Fault.BAD_HEADER_NAME}


@pytest.mark.parametrize(
    ("length", "body", "present", "fault"),
    [
        ("3", "abc", b"abc", None),
        ("9", "abc", b"abc", Fault.CONTENT_LENGTH_MISMATCH),
        ("2", "abc", b"ab", Fault.TRAILING_OCTETS),
        ("0003", "abc", b"abc", None),
        ("-3", "abc", b"abc", Fault.CONTENT_LENGTH_INVALID),
        ("x", "abc", b"abc", Fault.CONTENT_LENGTH_INVALID),
        ("1_0", "abc", b"abc", Fault.CONTENT_LENGTH_INVALID),
        ("9" * 5000, "abc", b"abc", Fault.CONTENT_LENGTH_INVALID),
        ("\xb2", "abc", b"abc", Fault.CONTENT_LENGTH_INVALID),
        (None, "abc", b"abc", None),
    ],
)
def test_a_content_length_that_lies_is_believed_as_far_as_there_are_bytes(
    length: str | None, body: str, present: bytes, fault: Fault | None
) -> None:
    message = read(build(START, body=body, content_length=length))
    assert message.body == present
    assert set(message.faults) - {Fault.NOT_UTF8} == ({fault} if fault else set())


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.KEEPALIVE),
        (b"\r\n\r\n", Fault.KEEPALIVE),
        (b"\0\0\0\0", Fault.KEEPALIVE),
        (b"\0" * 65, Fault.NOT_SIP),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault.NOT_SIP),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Fault.NOT_SIP),
        (b"OPTIONS rtsp://a RTSP/1.0\r\nCSeq: 1\r\n\r\n", Fault.NOT_SIP),
        (b"NOTIFY * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n", Fault.NOT_SIP),
        (b"M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n", Fault.NOT_SIP),
        (b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), Fault.NOT_SIP),
        (b"\x80\x00\x00\x01" + bytes(168), Fault.NOT_SIP),
        (b"jaK", Fault.NOT_SIP),
        (b"\x0b", Fault.NOT_SIP),
        (b"\xff" * 2000, Fault.NOT_SIP),
        (b"REGISTER\r\nVia: SIP/2.0/UDP a\r\n\r\n", Fault.BAD_START_LINE),
        (b"INVITE SIP/2.0\r\n\r\n", Fault.BAD_START_LINE),
        (b"INV\0TE sip:a SIP/2.0\r\n\r\n", Fault.BAD_START_LINE),
        (b"SIP/2.0\r\n\r\n", Fault.BAD_START_LINE),
        (b"SIP/2.0 \r\n\r\n", Fault.BAD_START_LINE),
        (b"???\r\nv: SIP/2.0/UDP a\r\n\r\n", Fault.BAD_START_LINE),
    ],
)
def test_malformed_sip_keep_alives_and_other_protocols_are_told_apart(data: bytes, fault: Fault) -> None:
    message = parse(data)
    assert isinstance(message, Unparsable)
    assert message.faults[0] is fault
    assert message.raw == data


def test_a_message_that_is_not_utf8_is_read_byte_by_byte() -> None:
    message = read(build(to='"J\xf6rg" <sip:j\xf6rg@b>'))
    assert message.to_user == b"j\xf6rg"
    assert Fault.NOT_UTF8 in message.faults


def test_nul_is_a_fault_but_in_a_quoted_pair() -> None:
    assert Fault.NUL_BYTE in read(build(subject="a\0b")).faults
    assert read(build(to='"a\\\0b" <sip:a@b>')).faults == ()


def test_a_message_without_an_empty_line_is_all_head() -> None:
    message = request(build()[:-2])
    assert isinstance(message, SipRequest)
    assert (message.call_id, message.body, message.faults) == (b"ZTY4ZmFhN2Q1ODQ2", b"", (Fault.NO_BLANK_LINE,))
