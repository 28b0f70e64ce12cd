"""What may be shown of a message: enough to know it by, and nothing that opens a door, however it was written."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.redact import MASK, redact

# Nothing that a message holds anyway, so that every piece of it that is found is a leak.
SECRET = "Xq7"
secrets = st.text(string.ascii_letters + string.digits + "!$&'*+=._~-", min_size=1, max_size=24).map(
    lambda text: SECRET + "".join(sign + SECRET for sign in text)
)
NAMES = ("Authorization", "Proxy-Authorization")
odd_case = st.lists(st.booleans(), min_size=20, max_size=20)


def message(*lines: str, body: str = "", uri: str = "sip:192.0.2.10", end: str = "\r\n") -> bytes:
    head = (
        f"REGISTER {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 203.0.113.9:5062;branch=z9hG4bK1;rport",
        "From: <sip:1001@192.0.2.10>;tag=f1",
        "To: <sip:1001@192.0.2.10>",
        "Call-ID: c1@203.0.113.9",
        "CSeq: 1 REGISTER",
        *lines,
        "User-Agent: a phone",
        "Content-Length: 0",
    )
    return (end.join(head) + end + end + body).encode("utf-8", "surrogateescape")


def shown(raw: bytes) -> str:
    return "\n".join(redact(raw))


def cased(name: str, upper: list[bool]) -> str:
    return "".join(sign.upper() if up else sign.lower() for sign, up in zip(name, [*upper, *upper], strict=False))


def test_a_harmless_message_is_shown_as_it_is() -> None:
    raw = message("Contact: <sip:1001@203.0.113.9:5062;transport=udp>", "Expires: 3600")
    assert shown(raw) == raw.decode().rstrip().replace("\r\n", "\n")


def test_of_a_digest_it_is_shown_who_it_is_for() -> None:
    line = 'Authorization: Digest username="1001", realm="pbx", nonce="n", uri="sip:192.0.2.10", response="abc"'
    assert 'Authorization: Digest username="1001", realm="pbx", uri="sip:192.0.2.10", ***' in redact(message(line))


@given(
    secrets,
    st.sampled_from(NAMES),
    odd_case,
    st.sampled_from((":", " :", "\t: ", ":\r\n ", ":\r\n\t", ":  ")),
    st.sampled_from((",", ", ", ",\r\n ", " ,\t", ",\n ", ",\r ")),
    st.sampled_from(('{}="{}"', "{}={}", '{} = "{}"', '{}="{}', '{}= "\\{}"')),
    st.permutations(["response", "nonce", "cnonce", "opaque", "username", "realm", "nextnonce", "auth-param"]),
    st.sampled_from(("Digest ", "digest ", "DIGEST\t", "Digest\r\n ", "", "Basic ", "Bearer ", "Other ")),
)
def test_no_way_of_writing_a_credential_shows_it(
    secret: str, name: str, upper: list[bool], colon: str, comma: str, form: str, order: list[str], scheme: str
) -> None:
    values = {"username": "1001", "realm": "pbx"}
    fields = comma.join(form.format(cased(each, upper), values.get(each, secret)) for each in order)
    assert SECRET not in shown(message(f"{cased(name, upper)}{colon}{scheme}{fields}"))


@given(secrets, st.sampled_from(NAMES))
def test_several_credentials_in_one_header_and_in_several_are_all_masked(secret: str, name: str) -> None:
    one = f'Digest username="1001", response="{secret}"'
    raw = message(f'{name}: {one}, Digest nonce="{secret}", {one}', f"{name}: Basic {secret}", f"{name}: {secret}")
    assert SECRET not in shown(raw)


@given(
    secrets,
    st.sampled_from(
        (
            "WWW-Authenticate: Digest realm=x, nonce=%s",
            "proxy-authenticate: Digest nonce=%s",
            "Authentication-Info: rspauth=%s",
            "X-Password: %s",
            "Identity: %s",
            "y: %s",
            "SIP-ETag: %s",
            "Authorization Digest response=%s",
            '"Authorization": Digest response=%s',
            "Authorization\x00: Digest response=%s",
            "%s",
            ': Digest response="%s"',
            'uri="sip:192.0.2.10", response="%s"',
        )
    ),
)
def test_what_is_not_known_to_be_harmless_is_not_shown(secret: str, line: str) -> None:
    assert SECRET not in shown(message(line % secret))


@given(
    secrets,
    st.sampled_from(
        (
            "sip:alice:%s@192.0.2.1",
            "SIPS:alice:%s@[2001:db8::1]:5061",
            "sip:alice:%s@x@192.0.2.1",
            "sip:alice%%3a%s@192.0.2.1",
            "sip::%s@192.0.2.1",
            "sip:1.2.3.4:%s",
            "sip:alice@192.0.2.1?Authorization=Digest%%20response%%3D%s",
            "sip:alice:a?%s@192.0.2.1?to=x:y@z",
            "http://alice:%s@192.0.2.1/",
            "alice:%s@192.0.2.1",
            "tel:+491:%s@x",
        )
    ),
    st.sampled_from(
        (
            "Contact: <%s>;expires=60",
            "m: %s",
            'From: "a b" <%s>;tag=x',
            "f:<%s>",
            "t : < %s >",
            "Route: <sip:192.0.2.7;lr>,<%s>",
            "Contact: sip:x@y,%s",
            "Refer-To: %s",
            "Contact:\r\n <%s>",
            "Warning: 399 x %s",
            'Authorization: Digest username="%s", realm="%s"',
            'Authorization: Digest uri="%s"',
        )
    ),
)
def test_no_password_in_a_uri_is_shown(secret: str, uri: str, line: str) -> None:
    uri %= secret
    assert SECRET not in shown(message(line.replace("%s", uri)))
    assert SECRET not in shown(message(uri=uri))


def test_passwords_with_blanks_in_them_are_none_the_less() -> None:
    assert SECRET not in shown(message(f"Contact: <sip:alice:a b{SECRET} c@192.0.2.1>"))


@given(st.text(string.ascii_letters, min_size=1, max_size=30), odd_case)
def test_a_guess_in_a_tag_of_sipvicious_is_not_shown(guess: str, upper: list[bool]) -> None:
    tag = cased(f"1001:{guess}\x01".encode().hex() + "31323334353637", upper * 10)
    for line in ("From: <sip:1001@x>;tag=%s", "f: <sip:1001@x>; TAG = %s;x", 'To: "x"\r\n <sip:1@x>\r\n ;tag="%s"'):
        assert tag not in shown(message(line % tag))
    extension = b"1001\x01".hex() + "31323334353637"
    assert extension in shown(message(f"From: <sip:1001@x>;tag={extension}"))


@given(secrets)
def test_of_a_session_description_no_key_is_shown_and_of_other_bodies_nothing(secret: str) -> None:
    sdp = (
        "v=0\r\no=- 1 1 IN IP4 203.0.113.9\r\ns=x\r\nm=audio 4000 RTP/SAVP 0\r\n"
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{secret}\r\nA=crypto:{secret}\r\na = crypto:{secret}\r\n"
        f"a=ice-pwd:{secret}\r\nk=clear:{secret}\r\na={secret}\r\n{secret}\r\n\ta=crypto:{secret}\r\n"
        "a=rtpmap:0 PCMU/8000\r\n"
    )
    told = shown(message(body=sdp))
    assert SECRET not in told
    assert "m=audio 4000 RTP/SAVP 0" in told
    assert "a=rtpmap:0 PCMU/8000" in told
    assert f"a=crypto:{MASK}" in told
    assert SECRET not in shown(message(body=f"please call {secret}"))
    assert SECRET not in shown(message(body=f"--x\r\n\r\n{sdp}"))


@given(st.integers(0, 1200), secrets)
def test_a_message_that_is_cut_off_shows_no_more(length: int, secret: str) -> None:
    raw = message(
        f"Contact: <sip:alice:{secret}@192.0.2.1>",
        f'Authorization: Digest username="1001", response="{secret}", nonce="{secret}"',
        body=f"v=0\r\na=crypto:1 inline:{secret}\r\n",
    )
    assert SECRET not in shown(raw[:length])
    assert SECRET not in shown(raw[length:])


def test_a_password_of_digits_that_is_cut_off_is_no_port() -> None:
    raw = message("Contact: <sip:alice:493817@192.0.2.1>")
    assert not any("4938" in shown(raw[:length]) for length in range(len(raw)))


@given(st.binary(max_size=1500))
def test_any_bytes_give_some_bounded_lines(raw: bytes) -> None:
    lines = redact(raw)
    assert 1 <= len(lines) <= 66
    assert all(len(line) <= 512 for line in lines)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_line_ends_of_all_kinds_end_lines(end: str) -> None:
    raw = message(f'Authorization: Digest response="{SECRET}"', "Expires: 60", end=end)
    assert SECRET not in shown(raw)
    assert "Expires: 60" in redact(raw)
