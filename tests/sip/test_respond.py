"""A refusal is what its receiver waits for, and never more bytes than were received."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.message import SipRequest, SipResponse
from sipguard.sip.parser import parse
from sipguard.sip.respond import answers_to, refusal
from tests.sip.build import build

CALL = "INVITE sip:2000@pbx.example.com SIP/2.0"


def asked(*extra: str, **changed: str | None) -> SipRequest:
    changed.setdefault("cseq", "7 INVITE")
    request = parse(build(CALL, *extra, **changed))  # type: ignore[arg-type]
    assert isinstance(request, SipRequest)
    return request


def test_it_has_the_vias_with_where_the_request_came_from_and_a_tag() -> None:
    request = asked(
        "Via: SIP/2.0/UDP far.example.com;branch=z9hG4bK2", "User-Agent: something long enough to make room for it",
        via="SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport , SIP/2.0/TCP near.example.com;branch=z9hG4bK0",
    )  # fmt: skip
    written = refusal(request, 403, b"198.51.100.7", 1234, b"ours")
    assert written is not None
    assert written.startswith(b"SIP/2.0 403 Forbidden\r\n")
    read = parse(written)
    assert isinstance(read, SipResponse)
    assert (read.call_id, read.cseq, read.cseq_method) == (request.call_id, 7, "INVITE")
    assert (read.from_tag, read.to_tag, read.content_length) == (request.from_tag, b"ours", 0)
    top, *others = read.vias
    assert top is not None
    assert (top.received, top.rport, top.branch) == (b"198.51.100.7", b"1234", b"z9hG4bK1")
    assert [via.branch for via in others if via] == [b"z9hG4bK0", b"z9hG4bK2"]
    assert read.faults == ()


def test_a_tag_that_is_there_stays_and_codes_without_a_name_have_one() -> None:
    request = asked("Subject: " + "x" * 60, to="<sip:2000@pbx.example.com>;tag=theirs")
    written = refusal(request, 499, b"198.51.100.7", 5060, b"ours")
    assert written is not None
    assert written.startswith(b"SIP/2.0 499 Refused\r\n")
    assert b"tag=theirs\r\n" in written
    assert b"ours" not in written


def test_what_cannot_be_answered_or_only_at_length_is_not_answered() -> None:
    assert refusal(asked(via=None), 403, b"198.51.100.7", 5060, b"t") is None
    assert refusal(asked(call_id=None), 403, b"198.51.100.7", 5060, b"t") is None
    request = asked(max_forwards=None, contact=None, content_length=None)
    assert refusal(request, 480, b"2001:db8:1111:2222:3333:4444:5555:6666", 65_535, b"t" * 40) is None


def test_it_goes_where_the_request_came_from_or_where_its_via_says() -> None:
    assert answers_to(asked(), 1234) == 1234
    assert answers_to(asked(via="SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1"), 1234) == 5070
    assert answers_to(asked(via="SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"), 1234) == 5060
    assert answers_to(asked(via="rubbish"), 1234) == 1234


@given(
    st.lists(st.sampled_from(["Via", "From", "To", "Call-ID", "CSeq", "v", "X"]), max_size=8), st.binary(max_size=90)
)
def test_it_is_never_longer_than_the_request_and_never_raises(names: list[str], value: bytes) -> None:
    raw = CALL.encode() + b"\r\n" + b"".join(name.encode() + b": " + value + b"\r\n" for name in names) + b"\r\n"
    request = parse(raw)
    if isinstance(request, SipRequest):
        written = refusal(request, 403, b"198.51.100.7", 5060, b"tag")
        assert written is None or len(written) <= len(raw)
        assert 0 < answers_to(request, 5060) < 65_536
