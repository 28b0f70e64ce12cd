"""URIs and name-addrs are read as a PBX reads them, whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.uri import address_of, parse_uri, user_in, user_of


@pytest.mark.parametrize(
    ("text", "scheme", "user", "host", "port"),
    [
        (b"sip:1001@pbx.example.com", "sip", b"1001", b"pbx.example.com", None),
        (b"SIPS:Bob@PBX.Example.com:5061", "sips", b"Bob", b"pbx.example.com", 5061),
        (b"sip:pbx.example.com", "sip", b"", b"pbx.example.com", None),
        (b"sip:192.0.2.1:5060;transport=tcp", "sip", b"", b"192.0.2.1", 5060),
        (b"sip:1001@[2001:DB8::1]:5060", "sip", b"1001", b"2001:db8::1", 5060),
        (b"sip:1001@[2001:db8::1]", "sip", b"1001", b"2001:db8::1", None),
        (b"sip:+49301234;phone-context=x@h;user=phone", "sip", b"+49301234;phone-context=x", b"h", None),
        (b"sip:%31%30%30%31@h", "sip", b"1001", b"h", None),
        (b"sip:a%ZZ%4@h", "sip", b"a%ZZ%4", b"h", None),
        (b"sip:*72#@h", "sip", b"*72#", b"h", None),
        (b"sip:@h", "sip", b"", b"h", None),
        (b"<sip:a@h>", "sip", b"a", b"h", None),
        (b" sip:a@h ", "sip", b"a", b"h", None),
        (b"sip:'or''='@h", "sip", b"'or''='", b"h", None),
        (b"tel:+1-201-555-0123", "tel", b"+1-201-555-0123", b"", None),
        (b"tel:7042;phone-context=example.com", "tel", b"7042", b"", None),
        (b"\xff:x", "", b"", b"", None),
        (b"sip:", "", b"", b"", None),
        (b"sip:a@", "", b"", b"", None),
        (b"sip:a@h:", "", b"", b"", None),
        (b"sip:a@h:99999", "", b"", b"", None),
        (b"sip:a@h:1_0", "", b"", b"", None),
        (b"sip:a@[::1]x", "", b"", b"", None),
        (b"1001", "", b"", b"", None),
        (b"1001@h", "", b"", b"", None),
        (b"tel:", "", b"", b"", None),
        (b"", "", b"", b"", None),
        (b":" * 100, "", b"", b"", None),
    ],
)
def test_a_uri_reads_so(text: bytes, scheme: str, user: bytes, host: bytes, port: int | None) -> None:
    uri = parse_uri(text)
    if not scheme:
        assert uri is None
        return
    assert uri is not None
    assert (uri.scheme, uri.user, uri.host, uri.port) == (scheme, user, host, port)


def test_password_parameters_and_headers_stand_apart() -> None:
    uri = parse_uri(b"sip:alice:s%20cret@h:5060;Transport=TCP;lr;x=%41?Subject=a&Route=%3Csip:b%3E")
    assert uri is not None
    assert uri.password == b"s cret"
    assert uri.params == ((b"transport", b"TCP"), (b"lr", b""), (b"x", b"A"))
    assert (uri.param(b"lr"), uri.param(b"transport"), uri.param(b"none")) == (b"", b"TCP", None)
    assert uri.headers == b"Subject=a&Route=%3Csip:b%3E"


def test_the_emergency_service_and_unknown_schemes_are_opaque() -> None:
    urn = parse_uri(b"URN:service:sos.fire")
    assert urn is not None
    assert (urn.scheme, urn.opaque, urn.user, urn.host) == ("urn", b"service:sos.fire", b"", b"")


def test_a_telephone_number_has_its_context() -> None:
    tel = parse_uri(b"tel:7042;phone-context=+1;isub=9")
    assert tel is not None
    assert tel.param(b"phone-context") == b"+1"


@pytest.mark.parametrize(
    ("value", "display", "uri", "params"),
    [
        (b"<sip:a@b>;tag=x", b"", b"sip:a@b", ((b"tag", b"x"),)),
        (b"sip:a@b;tag=x", b"", b"sip:a@b", ((b"tag", b"x"),)),
        (b'"A, <B>" <sip:a@b;lr>;tag=x', b"A, <B>", b"sip:a@b;lr", ((b"tag", b"x"),)),
        (b'"a \\" b \\\\"<sip:a@b>', b'a " b \\', b"sip:a@b", ()),
        (b"A B <sip:a@b>", b"A B", b"sip:a@b", ()),
        (b"Bell, A <sip:a@b>", b"Bell, A", b"sip:a@b", ()),
        (b'";tag=evil" <sip:a@b>;tag=x', b";tag=evil", b"sip:a@b", ((b"tag", b"x"),)),
        (b'<sip:a@b>;x="<;tag=evil>";tag=y', b"", b"sip:a@b", ((b"x", b"<;tag=evil>"), (b"tag", b"y"))),
        (b'sip:a@b;x="<sip:evil>"', b"", b"sip:a@b", ((b"x", b"<sip:evil>"),)),
        (b"<sip:a@b> ; TAG = x ; y", b"", b"sip:a@b", ((b"tag", b"x"), (b"y", b""))),
        (b"<sip:a@b", b"", b"sip:a@b", ()),
        (b'"open <sip:a@b>;tag=x', b"open", b"sip:a@b", ((b"tag", b"x"),)),
        (b"", b"", b"", ()),
        (b"<>", b"", b"", ()),
        (b'"', b"", b'"', ()),
    ],
)
def test_an_address_reads_so(value: bytes, display: bytes, uri: bytes, params: tuple[tuple[bytes, bytes], ...]) -> None:
    assert address_of(value) == (display, uri, params)


PART = st.text("abcXYZ019-.", min_size=1, max_size=8).map(str.encode)


@given(st.binary(max_size=8), PART, st.integers(0, 65_535))
def test_what_was_escaped_comes_back(user: bytes, host: bytes, port: int) -> None:
    escaped = b"".join(b"%%%02X" % byte for byte in user)
    uri = parse_uri(b"sip:%s@%s:%d" % (escaped, host, port))
    assert uri is not None
    assert (uri.host, uri.port) == (host.lower(), port)
    assert uri.user == user.strip() or uri.user == user


@given(st.binary(max_size=100))
def test_any_bytes_are_read(data: bytes) -> None:
    for scheme in (b"", b"sip:", b"tel:", b"urn:"):
        uri = parse_uri(scheme + data)
        assert uri is None or uri.scheme
    address_of(data)


@given(
    st.one_of(
        st.binary(max_size=40),
        st.from_regex(rb"sips?:[a-z0-9%;:@.\[\]-]{0,20}", fullmatch=True),
        st.from_regex(rb"sip:[a-z0-9]{0,5}@[a-z0-9.]{0,9}(:[0-9]{0,6})?", fullmatch=True),
    )
)
def test_the_short_way_to_the_user_finds_what_the_long_way_finds(uri: bytes) -> None:
    read = parse_uri(uri)
    assert user_of(uri) == (b"" if read is None else read.user.partition(b";")[0])


@given(
    st.one_of(
        st.binary(max_size=40),
        st.from_regex(rb'[a-z" ]{0,3}[ ;<]{0,3}sips?:[a-z0-9%;:@.>-]{0,14}[>; a-z=<"]{0,5}', fullmatch=True),
        st.from_regex(rb"(A )?<sip:[a-z0-9]{0,5}@[a-z0-9.]{0,9}(:[0-9]{0,6})?>?(;tag=1)?", fullmatch=True),
    )
)
def test_the_short_way_to_the_user_of_a_header_finds_what_the_long_way_finds(value: bytes) -> None:
    read = parse_uri(address_of(value)[1])
    assert user_in(value) == (b"" if read is None else read.user)
