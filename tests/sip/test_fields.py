"""Tags, branches, CSeq, Via and Contact: the short way and the careful one agree, and nothing can be hidden in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.fields import read_branch, read_contacts, read_cseq, read_tag, read_via
from sipguard.sip.grammar import parameters, split_list
from sipguard.sip.message import Fault
from sipguard.sip.uri import address_of
from tests.sip.build import build, read, wrong


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        (b" <sip:a@b>;tag=x1 ", b"x1"),
        (b"<sip:a@b;tag=no>", b""),
        (b"<sip:a@b;tag=no>;tag=yes", b"yes"),
        (b"sip:a@b;tag=yes", b"yes"),
        (b'"x;tag=no" <sip:a@b>;tag=yes', b"yes"),
        (b'"x;tag=no" <sip:a@b>', b""),
        (b'<sip:a@b>;tag=yes;x=";tag=no"', b"yes"),
        (b'<sip:a@b>;tag="q"', b"q"),
        (b"<sip:a@b>; TaG = yes", b"yes"),
        (b"<sip:a@b>;tag=1;tag=2", b"2"),
        (b"<sip:a@b>;tag=a-b.c", b"a-b.c"),
        (b"<sip:a@b>;x>;TAG=y>", b"y>"),
        (b"<sip:a@b>;tag", b""),
        (b"<sip:a@b;TAG=uri>", b""),
        (b'"x" <sip:a@b;TAG=uri>', b""),
        (b"sip:user@exAMPLE.COM;TAG=8>", b"8>"),
        (b"sip:137.58.22.150;tAG=778OUTE:<SIP:137.58.22.150:4060>", b"778OUTE:<SIP:137.58.22.150:4060>"),
        (b'sip:v@c ;   tag    = 191"6001" <sip:6001@195.113.172.39>', b'191"6001" <sip:6001@195.113.172.39>'),
        (b"sip:v@c ;   tag    = 1918181833n  <sip:s;lr;x=value>", b"1918181833n  <sip:s"),
        (b"sip:v@c ;   tag    = 191818er@edge.test>", b"191818er@edge.test>"),
        (b'sip:v@c ;   tag    =  \\\\\\"" <sip:j@example.com>', b'\\\\\\"" <sip:j@example.com>'),
        (b"", b""),
    ],
)
def test_a_tag_is_found_where_it_is_and_nowhere_else(value: bytes, tag: bytes) -> None:
    assert read_tag(value) == tag


@pytest.mark.parametrize(
    ("value", "branch"),
    [
        (b" SIP/2.0/UDP h;branch=z9hG4bK1;rport", b"z9hG4bK1"),
        (b"SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP i;branch=z9hG4bK2", b"z9hG4bK1"),
        (b"SIP/2.0/UDP h, SIP/2.0/UDP i;branch=z9hG4bK2", b""),
        (b"SIP/2.0/UDP h; Branch = z9hG4bK1 ;rport", b"z9hG4bK1"),
        (b'SIP/2.0/UDP h;x=",;branch=no";branch=yes', b"yes"),
        (b"SIP/2.0/UDP h;branch=a;branch=b", b"b"),
        (b"SIP/2.0/UDP h;branch=a;bRANCH=b", b"b"),
        (b"SIP/2.0/UDP h", b""),
        (b"", b""),
    ],
)
def test_the_topmost_branch_is_found(value: bytes, branch: bytes) -> None:
    assert read_branch(value) == branch


@pytest.mark.parametrize(
    ("value", "number", "method"),
    [
        (b" 1 INVITE", 1, "INVITE"),
        (b"0009\t  invite ", 9, "INVITE"),
        (b"2147483647 ACK", 2**31 - 1, "ACK"),
        (b"4294967295 ACK", 2**32 - 1, "ACK"),
        (b"00000000000000000001 ACK", 1, "ACK"),
        (b"4294967296 ACK", -1, "ACK"),
        (b"-1 ACK", -1, "ACK"),
        (b"1_0 ACK", -1, "ACK"),
        (b"INVITE", -1, ""),
        (b"1", 1, ""),
        (b"1 Foo", 1, "Foo"),
        (b"0 ACK", 0, "ACK"),
        (b"", -1, ""),
    ],
)
def test_a_cseq_reads_so(value: bytes, number: int, method: str) -> None:
    assert read_cseq(value) == (number, method)


def test_a_via_has_its_parts() -> None:
    via = read_via(b"SIP / 2.0 / tcp [2001:db8::1]:5062 ;received=192.0.2.7;rport=4711;branch=z9hG4bKx")
    assert via is not None
    assert (via.transport, via.host, via.port) == ("TCP", b"[2001:db8::1]", 5062)
    assert (via.received, via.rport, via.branch) == (b"192.0.2.7", b"4711", b"z9hG4bKx")
    assert read_via(b"SIP/2.0 UDP h") is None


def test_contacts_have_their_own_expiry() -> None:
    value = b'"a,b" <sip:a@b;x=1>;expires=60;q=0.5, <sip:c@d>, sip:e@f;expires=0, <sip:g@h>;expires=soon'
    assert [(one.uri, one.expires) for one in read_contacts(value)] == [
        (b"sip:a@b;x=1", 60),
        (b"sip:c@d", None),
        (b"sip:e@f", 0),
        (b"sip:g@h", None),
    ]
    assert [(one.uri, one.star) for one in read_contacts(b" * ")] == [(b"*", True)]


def with_header(name: str, value: str | None) -> bytes:
    headers: dict[str, Any] = {name: value}
    return build(**headers)


@pytest.mark.parametrize(
    ("header", "value", "fault"),
    [
        ("via", "SIP/2.0/UDP", Fault.BAD_VIA),
        ("via", "SIP/2.0/UDP h;branch=z9hG4bKx,", Fault.BAD_VIA),
        ("via", "SIP/2.0/UDP h_o<st;branch=z9hG4bKx", Fault.BAD_VIA),
        ("via", "SIP/2.0/UDP h;branch=z9hG4bKx;branch=z9hG4bKy", Fault.DUPLICATE_PARAMETER),
        ("via", "SIP/2.0/UDP h;branch=z9hG4bK", Fault.EMPTY_BRANCH),
        ("via", None, Fault.MISSING_VIA),
        ("from", "<sip:a@b>;tag=x;tag=y", Fault.DUPLICATE_PARAMETER),
        ("from", '"open <sip:a@b>;tag=x', Fault.BAD_FROM),
        ("from", None, Fault.MISSING_FROM),
        ("to", "< sip:a@b>", Fault.BAD_TO),
        ("to", "<sip:a b@c>", Fault.BAD_TO),
        ("to", "", Fault.MISSING_TO),
        ("contact", "sip:a@b?x=y", Fault.BAD_CONTACT),
        ("contact", "*, <sip:a@b>", Fault.BAD_CONTACT),
        ("contact", "<sip:a@b>;expires=4294967296", Fault.NUMBER_OUT_OF_RANGE),
        ("call-id", "a b", Fault.BAD_CALL_ID),
        ("call-id", "a@b@c", Fault.BAD_CALL_ID),
        ("call-id", "\xff", Fault.BAD_CALL_ID),
        ("call-id", None, Fault.MISSING_CALL_ID),
        ("cseq", "1 INVITE", Fault.CSEQ_METHOD_MISMATCH),
        ("cseq", "1 REGISTER x", Fault.BAD_CSEQ),
        ("cseq", "2147483648 REGISTER", Fault.BAD_CSEQ),
        ("max-forwards", "256", Fault.NUMBER_OUT_OF_RANGE),
        ("max-forwards", "x", Fault.NUMBER_OUT_OF_RANGE),
        ("expires", "4294967296", Fault.NUMBER_OUT_OF_RANGE),
        ("date", "Fri, 01 Jan 2010 16:00:00 EST", Fault.BAD_DATE),
        ("authorization", 'Digest username="a", response="b"', Fault.BAD_CREDENTIALS),
        ("warning", '1234 a "b"', Fault.NUMBER_OUT_OF_RANGE),
    ],
)
def test_each_wrong_value_has_its_fault(header: str, value: str | None, fault: Fault) -> None:
    assert fault in wrong(read(with_header(header, value)))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("via", "SIP/2.0/UDP h.example.com , SIP/2.0/TCP [::1]:5060;branch=x"),
        ("from", "Alice B <tel:+1;phone-context=x>;tag=1"),
        ("to", "<sip:*72#@h>"),
        ("contact", "*"),
        ("contact", '"a" <sip:a@b>;q=0.7;expires=3600, sip:c@d'),
        ("retry-after", "120 (in a meeting);duration=60"),
        ("max-forwards", "255"),
        ("max-forwards", None),
        ("authorization", 'Digest username="a", realm="r", nonce="", uri="sip:x", response=""'),
        ("date", "Sat, 15 Oct 2005 04:44:56 GMT"),
    ],
)
def test_what_honest_devices_send_has_no_fault_but_benign_ones(header: str, value: str | None) -> None:
    assert wrong(read(with_header(header, value))) == set()


STARTS = st.sampled_from([b"<sip:a@b>", b"sip:a@b", b'"q" <sip:a@b;lr>', b'"<;tag=z>" <sip:a@b>'])
TAGS = [b";tag=a", b";TAG=b", b"; tag = c", b';x="y"', b';x=";tag=d"', b";lr", b";tag", b" ", b">", b"<", b'"']
BRANCHES = [b";branch=a", b";BRANCH=b", b"; branch = c", b';x=",;branch=d"', b",", b";rport", b'"']


@given(STARTS, st.lists(st.sampled_from(TAGS), max_size=5))
def test_both_ways_to_a_tag_agree(start: bytes, params: list[bytes]) -> None:
    value = start + b"".join(params)
    tags = [text for name, text in address_of(value)[2] if name == b"tag"]
    assert read_tag(value) == (tags[-1] if tags else b"")


@given(st.lists(st.sampled_from(BRANCHES), max_size=5))
def test_both_ways_to_a_branch_agree(params: list[bytes]) -> None:
    value = b"SIP/2.0/UDP h" + b"".join(params)
    branches = [text for name, text in parameters(split_list(value)[0]) if name == b"branch"]
    assert read_branch(value) == (branches[-1] if branches else b"")
