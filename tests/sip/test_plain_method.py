"""The method of an answer is read without its head where that is safe, and is never another than the head's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.message import SipMessage
from sipguard.sip.parser import parse

ANSWER = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    b"Call-ID: 1\r\n%bContent-Length: 0\r\n\r\n"
)
ODD = [
    b"CSeq: 1 OPTIONS\r\n",
    b"cseq: 1 INVITE\r\nCSeq: 1 OPTIONS\r\n",
    b"CSeq : 1 INVITE\r\nCSeq: 1 OPTIONS\r\n",
    b"CSeq: \r\nCSeq: 1 INVITE\r\n",
    b"CSeq: 1\tINVITE OPTIONS\r\n",
    b"CSeq: 1 OPTIONS\r\n INVITE\r\n",
    b"CSeq: 1\r\n INVITE\r\nCSeq: 1 OPTIONS\r\n",
    b"CSeq: 1 OPTIONS\nCSeq: 1 INVITE\r\n",
    b"X: a\nCSeq: 1 INVITE\r\nCSeq: 1 OPTIONS\r\n",
    b"CSeq: x OPTIONS\r\n",
    b"CSeq: 99999999999999999999 OPTIONS\r\n",
    b"",
]
CALLS = frozenset({"INVITE", "BYE"})
PIECES = st.sampled_from(
    [b"CSeq: ", b"cseq:", b"1 ", b"INVITE", b"OPTIONS", b"\r\n", b"\n", b"\r", b" ", b"\t", b"X: y"]
)


def agrees(head: bytes) -> bool:
    message, again = parse(ANSWER % head), parse(ANSWER % head)
    if not isinstance(message, SipMessage) or not isinstance(again, SipMessage):
        return True
    plain, read = message.plain_method(), again.cseq_method
    return (plain in CALLS) == (read in CALLS) if read else plain in {"", *CALLS, "OPTIONS"}


@pytest.mark.parametrize("head", ODD)
def test_an_odd_head_hides_no_call(head: bytes) -> None:
    assert agrees(head)


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_no_mixture_of_lines_hides_a_call(head: bytes) -> None:
    assert agrees(head)


def test_a_method_that_stands_in_the_body_is_none() -> None:
    message = parse(ANSWER % b"" + b"a\r\nCSeq: 1 INVITE\r\n")
    assert isinstance(message, SipMessage)
    assert not message.plain_method()
    assert message.cseq == -1


def test_what_the_short_way_reads_of_cseq_is_what_the_head_says() -> None:
    message = parse(ANSWER % b"CSeq: 0071 INVITE\r\n")
    assert isinstance(message, SipMessage)
    assert (message.plain_method(), message.cseq, message.cseq_method) == ("INVITE", 71, "INVITE")
