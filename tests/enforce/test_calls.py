"""Refusals on a real kernel: they arrive as from the other side, open no way through, and end at a limit."""

from __future__ import annotations

import select
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.enforce.base import Layout
from sipguard.enforce.calls import MOST, Refusals, answer
from tests.enforce.spaces import Cable, now
from tests.engine.story import ip, udp

pytestmark = [pytest.mark.root, pytest.mark.kernel]

LAYOUT = Layout()


def invite(source: str, port: int, extra: str = "") -> bytes:
    return (
        f"INVITE sip:2000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {source}:{port};branch=z9hG4bKa;rport\r\n"
        f"From: <sip:1001@192.0.2.1>;tag=a\r\nTo: <sip:2000@192.0.2.1>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n"
        f"Max-Forwards: 70\r\nUser-Agent: a phone with a long name\r\n{extra}Content-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(("pbx", "far"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_a_caller_outside_is_answered_as_from_the_pbx_and_gains_no_way_in(joined: Cable, pbx: str, far: str) -> None:
    caller = joined.open(joined.stranger, far, 7000)
    own = joined.open(joined.pbx, pbx, 5060)
    caller.sendto(b"try", (pbx, 5060))
    refusals = Refusals(LAYOUT.mark, now)
    refusals.refuse(udp(far, 7000, pbx, 5060, invite(far, 7000)), 403)
    assert select.select([caller], [], [], 5)[0]
    text, whence = caller.recvfrom(65_535)
    assert (text[:12], whence[:2]) == (b"SIP/2.0 403 ", (pbx, 5060))
    assert len(text) <= len(invite(far, 7000))
    caller.sendto(b"through the hole?", (pbx, 5060))
    assert not select.select([own], [], [], 0.3)[0]
    assert refusals.counters() == {"refusals_sent": 1, "refusals_unsent": 0}
    refusals.close()


@pytest.mark.parametrize(("pbx", "far"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_the_pbx_is_answered_as_from_the_trunk_and_the_trunk_gains_no_way_in(joined: Cable, pbx: str, far: str) -> None:
    own = joined.open(joined.pbx, pbx, 5060)
    trunk = joined.open(joined.stranger, far, 5060)
    refusals = Refusals(LAYOUT.mark, now)
    refusals.refuse(udp(pbx, 5060, far, 5060, invite(pbx, 5060)), 603)
    assert select.select([own], [], [], 5)[0]
    text, whence = own.recvfrom(65_535)
    assert (text[:20], whence[:2]) == (b"SIP/2.0 603 Decline\r", (far, 5060))
    trunk.sendto(b"through the hole?", (pbx, 5060))
    assert not select.select([own], [], [], 0.3)[0]
    refusals.close()


def test_a_crowd_of_callers_goes_without_answers(joined: Cable) -> None:
    refusals = Refusals(LAYOUT.mark, lambda: 10**9)  # all within one instant
    caller = joined.open(joined.stranger, "192.0.2.2", 7000, socket.SOCK_DGRAM)
    for _ in range(3 * MOST):
        refusals.refuse(udp("192.0.2.2", 7000, "192.0.2.1", 5060, invite("192.0.2.2", 7000)), 403)
    assert refusals.sent == MOST // 2
    assert refusals.unsent == 3 * MOST - refusals.sent
    assert caller.recv(65_535).startswith(b"SIP/2.0 403")
    refusals.close()


def test_nothing_but_a_request_over_udp_is_answered() -> None:
    for payload in (
        b"",
        b"\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        invite("1.1.1.1", 1).replace(b"INVITE", b"ACK"),
        bytes(99),
    ):
        assert answer(udp("192.0.2.2", 7000, "192.0.2.1", 5060, payload), 403, b"s") is None
    assert answer(ip(6, "192.0.2.2", "192.0.2.1", bytes(60)), 403, b"s") is None
    assert answer(b"", 403, b"s") is None


NAMES = ("Via", "v", "Contact", "Route", "Record-Route", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Subject")
VALUES = st.one_of(
    st.sampled_from(
        (
            "SIP/2.0/UDP 203.0.113.9:9;maddr=203.0.113.9;received=203.0.113.9;rport=9",
            "<sip:203.0.113.9>;tag=x",
            "7 INVITE",
        )
    ),
    st.text("ab;=,:<>@ \t[]1", max_size=40),
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=12), st.binary(max_size=20))
def test_whatever_a_request_says_its_answer_goes_where_it_came_from_and_is_no_longer(
    headers: list[tuple[str, str]], body: bytes
) -> None:
    lines = [
        "INVITE sip:2000@192.0.2.1 SIP/2.0",
        *(f"{name}: {value}" for name, value in headers),
        "Via: SIP/2.0/UDP 192.0.2.2:7000;branch=z9hG4bKa;rport",
        "From: <sip:1@192.0.2.1>;tag=a",
        "To: <sip:2@192.0.2.1>",
        "Call-ID: one",
        "CSeq: 1 INVITE",
    ]
    packet = udp("192.0.2.2", 7000, "192.0.2.1", 5060, "\r\n".join([*lines, "", ""]).encode() + body)
    written = answer(packet, 403, b"s")
    if written is not None:
        assert (written[12:16], written[16:20]) == (packet[16:20], packet[12:16])
        assert len(written) <= len(packet)
