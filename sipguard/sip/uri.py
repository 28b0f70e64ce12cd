"""Addresses as SIP writes them: `sip:`, `sips:`, `tel:`, `urn:` and unknown schemes, bare or as in From and Contact.

Lenient: what a PBX would read is read. Whether it was well formed is asked by `check.py`. Never raises on any input.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from sipguard.sip.grammar import (
    COMMA,
    DISPLAY_NAME,
    MAX_PARAMETERS,
    PARAMETERS,
    PERCENT,
    QUOTED,
    URI_TEXT,
    parameters,
    unquote,
)

Parameters: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names in lower case, values unquoted, in the order sent; a value is b"" where there is none."""

_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*+:")
_ODD = frozenset(b'";')
MAX_SCHEME = 32
"""Characters of a scheme; the longest in use has about 20."""


class Uri:
    """One URI, read (RFC 3261 section 19.1, RFC 3966, RFC 8141).

    `scheme` and `host` are in lower case, `user` is unescaped, an IPv6 host stands without its brackets. For `tel:`
    the number is the `user` and there is no host (`phone-context` is a parameter). For all schemes but `sip:`,
    `sips:` and `tel:` everything after the colon is `opaque` (`service:sos`), and user and host are empty.
    """

    __slots__ = ("headers", "host", "opaque", "params", "password", "port", "scheme", "user")

    def __init__(
        self,
        scheme: str,
        user: bytes,
        password: bytes | None,
        host: bytes,
        port: int | None,
        params: Parameters,
        headers: bytes,
        opaque: bytes,
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params
        self.headers = headers
        self.opaque = opaque

    def param(self, name: bytes) -> bytes | None:
        """Give the value of a parameter (b"" where it has none), None where it is not there. `name` is lower case."""
        for key, value in self.params:
            if key == name:
                return value
        return None


def unescape(text: bytes) -> bytes:
    """Undo `%HH` escapes; a percent sign that starts none stays (RFC 4475 section 3.1.1.5)."""
    if PERCENT not in text:
        return text
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), text)


def parse_uri(data: bytes) -> Uri | None:
    """Read a URI, with or without angle brackets; None when there is no scheme, no host, or a port that is none."""
    data = data.strip()
    if data[:1] == b"<" and data[-1:] == b">":
        data = data[1:-1].strip()
    colon = data.find(b":", 0, MAX_SCHEME + 1)
    if colon < 1 or _SCHEME.fullmatch(data, 0, colon + 1) is None:
        return None
    scheme = data[:colon].decode("ascii").lower()
    rest = data[colon + 1 :]
    if scheme in ("sip", "sips"):
        return _sip_uri(scheme, rest)
    if not rest:
        return None
    if scheme == "tel":
        number, _, tail = rest.partition(b";")
        return Uri(scheme, unescape(number.strip()), None, b"", None, _uri_params(tail), b"", b"")
    return Uri(scheme, b"", None, b"", None, (), b"", rest)


# SIP-URI = "sip:" [userinfo] hostport uri-parameters [headers]
# userinfo = (user / telephone-subscriber) [":" password] "@"
def _sip_uri(scheme: str, rest: bytes) -> Uri | None:
    userinfo, at, after = rest.partition(b"@")
    if not at:
        userinfo, after = b"", rest
    user, colon, password = userinfo.partition(b":")
    before, _, headers = after.partition(b"?")
    hostport, _, tail = before.partition(b";")
    host, port = _host_port(hostport.strip())
    if not host or port == -1:
        return None
    return Uri(
        scheme,
        unescape(user.strip()),
        unescape(password) if colon else None,
        host,
        port,
        _uri_params(tail),
        headers,
        b"",
    )


def _host_port(text: bytes) -> tuple[bytes, int | None]:
    """Split `host:port`; the port is None when there is none, -1 when it is no port."""
    if text[:1] == b"[":
        host, _, tail = text[1:].partition(b"]")
        if not tail:
            return host.lower(), None
        colon, digits = tail[:1] == b":", tail[1:]
    else:
        host, sep, digits = text.partition(b":")
        colon = sep == b":"
        if not colon:
            return host.lower(), None
    digits = digits.strip()
    if not colon or not digits.isdigit() or len(digits) > 5 or int(digits) > 65_535:
        return b"", -1
    return host.strip().lower(), int(digits)


def _uri_params(tail: bytes) -> Parameters:
    if not tail:
        return ()
    found = []
    for item in tail.split(b";", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = item.partition(b"=")
        if name:
            found.append((unescape(name.strip()).lower(), unescape(value.strip())))
    return tuple(found)


def user_of(uri: bytes) -> bytes:
    """Give whom a request URI names: its user, unescaped, without the user's own parameters; b"" when nobody."""
    if uri[:4] == b"sip:" and PERCENT not in uri:  # nearly every one, in a fifth of the time
        user, at, place = uri[4:].partition(b"@")
        if not at:
            return b""
        host, colon, port = place.partition(b";")[0].partition(b":")
        if user.isalnum() and host.replace(b".", b"").isalnum() and (not colon or (port.isdigit() and len(port) < 5)):
            return user
    read = parse_uri(uri)
    return b"" if read is None else read.user.partition(b";")[0]


def split_address(value: bytes) -> tuple[bytes, bytes, bytes, bool]:
    """Split a From, To or Contact into display name as sent, URI, header parameters as sent, and whether it is sound.

    Sound means that quotes and brackets are in order and that the rest is as RFC 3261 section 25.1 has it:
    `(name-addr / addr-spec) *(SEMI param)`.
    """
    value = value.strip()
    start = 0
    quoted = True
    if value[:1] == b'"':
        match = QUOTED.match(value)
        quoted = match is not None
        start = match.end() if match is not None else 1
    left = value.find(b"<", start)
    if left < 0 or (not start and _is_bare(value, left)):
        # addr-spec: all parameters belong to the header (section 20.10); neither "?" nor "," may stand in it
        uri, semicolon, tail = value.partition(b";")
        uri = uri.strip()
        sound = not start and b"?" not in uri and COMMA not in uri
        return b"", uri, semicolon + tail, sound and _is_sound(uri, semicolon + tail)
    right = value.find(b">", left)
    display = value[:left].strip()
    if right < 0:
        uri, semicolon, tail = value[left + 1 :].partition(b";")
        return display, uri.strip(), semicolon + tail, False
    uri, tail = value[left + 1 : right], value[right + 1 :]
    sound = quoted and DISPLAY_NAME.fullmatch(display) is not None and _is_sound(uri, tail)
    return display, uri.strip(), tail, sound


def _is_bare(value: bytes, left: int) -> bool:
    """Tell whether a "<" stands in a parameter of an address without brackets, not after a display name."""
    semicolon = value.find(b";", 0, left)
    return semicolon > 0 and _SCHEME.match(value) is not None and b" " not in value[:semicolon].strip()


def _is_sound(uri: bytes, tail: bytes) -> bool:
    return URI_TEXT.fullmatch(uri) is not None and PARAMETERS.fullmatch(tail) is not None


def address_of(header_value: bytes) -> tuple[bytes, bytes, Parameters]:
    """Read a From, To or Contact: display name without quotes and escapes, URI as sent, the header's parameters."""
    display, uri, tail, _ = split_address(header_value)
    return unquote(display), uri, tuple(parameters(tail)) if tail else ()


def user_in(header_value: bytes) -> bytes:
    """Give the user of the URI in a From or To, unescaped; for tel: the number; b"" when there is none."""
    left, right = header_value.find(b"<"), header_value.find(b">")
    if 0 <= left < right and header_value[left : left + 5] == b"<sip:" and not _ODD.intersection(header_value[:left]):
        user, _, host = header_value[left + 5 : right].partition(b"@")
        if user.isalnum() and host.replace(b".", b"").isalnum():  # nearly every one, in a fifth of the time
            return user
    uri = parse_uri(address_of(header_value)[1])
    return uri.user if uri is not None else b""
