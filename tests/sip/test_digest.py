"""Credentials and challenges are read as PBXs read them, and the sum is the one of the RFCs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.digest import parse_challenges, parse_credentials, response
from tests.sip.build import build, read

PLAIN = (
    b'Digest username="1001", realm="pbx.example.com", nonce="abc/d==", uri="sip:pbx.example.com", response="00ff",'
    b' algorithm=MD5, cnonce="c,1", qop=auth, nc=00000001, opaque="o"'
)


@pytest.mark.parametrize(
    "value",
    [
        PLAIN,
        PLAIN.replace(b", ", b","),  # SIPVicious
        PLAIN.replace(b", ", b" ,\t "),
        PLAIN.replace(b'username="', b'username = "').replace(b"=MD5", b" =\tMD5"),
        PLAIN.replace(b"MD5", b'"MD5"').replace(b"qop=auth", b'qop="auth"').replace(b"nc=00000001", b'nc="00000001"'),
        PLAIN.replace(b"Digest", b"DIGEST").replace(b"username", b"UserName").replace(b"nonce=", b"Nonce="),
        PLAIN.replace(b'"1001"', b"1001").replace(b'"00ff"', b"00ff"),
        PLAIN.replace(b"1001", b"10\\01"),
        PLAIN + b",",
        PLAIN.replace(b"Digest ", b"Digest\t , "),
    ],
)
def test_however_it_is_written_it_says_the_same(value: bytes) -> None:
    (one,) = parse_credentials(value)
    assert (one.scheme, one.username, one.realm) == (b"digest", b"1001", b"pbx.example.com")
    assert (one.nonce, one.uri, one.response) == (b"abc/d==", b"sip:pbx.example.com", b"00ff")
    assert (one.algorithm, one.qop, one.nc, one.cnonce, one.opaque) == (b"MD5", b"auth", b"00000001", b"c,1", b"o")


@pytest.mark.parametrize(
    ("value", "username", "nonce"),
    [
        (b"Digest", b"", b""),
        (b"Digest username", b"", b""),
        (b'Digest username="', b"", b""),
        (b'Digest username="a, nonce="b"', b"a, nonce=", b""),
        (b'Digest username="a"', b"a", b""),
        (b'Digest username="", nonce=""', b"", b""),
        (b'Digest username=a b, nonce="x"', b"a", b"x"),
        (b"Digest username='a', nonce=x", b"'a'", b"x"),
        (b'username="a", nonce="x"', b"a", b"x"),
        (b'Digest username="a" nonce="x"', b"a", b"x"),
        (b'Digest username="\xff\x00"', b"\xff\x00", b""),
        (b"Digest username*=UTF-8''J%C3%A4s%C3%B8n, nonce=x", "Jäsøn".encode(), b"x"),
    ],
)
def test_what_is_broken_is_read_as_far_as_it_goes(value: bytes, username: bytes, nonce: bytes) -> None:
    (one,) = parse_credentials(value)
    assert (one.username, one.nonce) == (username, nonce)


@pytest.mark.parametrize("names", [(b"username", b"USERNAME"), (b"username", b"username"), (b"userName", b"username")])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_of_a_parameter_given_twice_the_last_counts(names: tuple[bytes, bytes], quote: bytes) -> None:
    value = b'Digest %s=%sa%s, realm="r", %s=%sb%s' % (names[0], quote, quote, names[1], quote, quote)
    assert parse_credentials(value)[0].username == b"b"


def test_nothing_gives_nothing() -> None:
    assert parse_credentials(b"") == ()
    assert parse_challenges(b" , ") == ()


def test_several_challenges_in_one_value_are_told_apart() -> None:
    value = (
        b'Digest realm="a",nonce="n1",qop="auth,auth-int",algorithm=SHA-256,stale=TRUE,opaque="o",Digest realm="b", '
        b'nonce="n2",stale="false" , Basic realm="c"'
    )
    found = [(one.scheme, one.realm, one.nonce, one.stale) for one in parse_challenges(value)]
    assert found == [(b"digest", b"a", b"n1", True), (b"digest", b"b", b"n2", False), (b"basic", b"c", b"", False)]
    first = parse_challenges(value)[0]
    assert (first.qop, first.algorithm, first.opaque) == (b"auth,auth-int", b"SHA-256", b"o")


def test_credentials_of_a_message_come_in_order_authorization_first() -> None:
    message = read(
        build(
            "INVITE sip:a SIP/2.0",
            'Proxy-Authorization: Digest username="p", realm="1"',
            'Authorization: Digest username="a", realm="2"',
            "authorization: Digest username=b, realm=3",
        )
    )
    assert [one.username for one in message.credentials] == [b"a", b"b", b"p"]
    assert read(build()).credentials == ()
    assert read(build()).challenges == ()


def test_challenges_of_a_message_come_in_order() -> None:
    lines = ('Proxy-Authenticate: Digest realm="p"', 'WWW-Authenticate: Digest realm="w"')
    assert [one.realm for one in read(build("SIP/2.0 401 No", *lines)).challenges] == [b"w", b"p"]


# RFC 2617 section 3.5, RFC 7616 section 3.9.1.
MUFASA = {"username": b"Mufasa", "method": b"GET", "uri": b"/dir/index.html"}
CIRCLE = {"realm": b"http-auth@example.org", "password": b"Circle of Life", "nc": b"00000001", "qop": b"auth"}
NONCES = {
    "nonce": b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "cnonce": b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}


def test_the_examples_of_the_rfcs_come_out() -> None:
    assert (
        response(
            **MUFASA,
            realm=b"testrealm@host.com",
            password=b"Circle Of Life",
            nonce=b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            qop=b"auth",
            nc=b"00000001",
            cnonce=b"0a4f113b",
        )
        == b"6629fae49393a05397450978507c4ef1"
    )
    assert response(**MUFASA, **CIRCLE, **NONCES, algorithm=b"MD5") == b"8ca523f5e9506fed4657c9700eebdbec"
    assert (
        response(**MUFASA, **CIRCLE, **NONCES, algorithm=b"SHA-256")
        == b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )


def test_session_variants_and_integrity_change_the_sum_and_unknown_algorithms_have_none() -> None:
    sums = {
        response(**MUFASA, **CIRCLE | {"qop": qop}, **NONCES, algorithm=algorithm, body=b"x")
        for algorithm in (b"", b"MD5-sess", b"SHA-256-sess", b"SHA-512-256", b"SHA-512-256-sess")
        for qop in (b"", b"auth", b"auth-int")
    }
    assert len(sums) == 15
    assert response(**MUFASA, **CIRCLE, **NONCES, algorithm=b"AKAv1-MD5") == b""


TEXT = st.binary(max_size=12).map(lambda text: text.replace(b'"', b"").replace(b"\\", b""))


@given(TEXT, TEXT, TEXT, st.booleans())
def test_what_was_quoted_comes_back(username: bytes, realm: bytes, nonce: bytes, space: bool) -> None:  # noqa: FBT001
    joint = b", " if space else b","
    value = b"Digest " + joint.join((b'username="%s"' % username, b'realm="%s"' % realm, b'nonce="%s"' % nonce))
    (one,) = parse_credentials(value)
    assert (one.username, one.realm, one.nonce) == (username, realm, nonce)


@given(st.binary(max_size=200))
def test_any_bytes_are_read(value: bytes) -> None:
    for one in parse_credentials(b"Digest " + value):
        assert isinstance(one.username, bytes)
    parse_challenges(value)
