"""Digest credentials and challenges as they stand in headers (RFC 2617, 7616, 8760), and the sum that joins them.

Lenient: no blank after commas, tokens where strings belong, open quotes. Where a parameter is given twice the last
one counts, as Asterisk and Kamailio have it. The readers never raise on any input. No secret is kept here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping

from sipguard.sip.grammar import BACKSLASH, MAX_LINE, TOKEN, unquote
from sipguard.sip.uri import unescape

# auth-param = token EQUAL (token / quoted-string); a token alone is the scheme
_ITEM = re.compile(rb'([^\s=,"]++)(?:[ \t]*+(=)[ \t]*+("[^"\\]*+(?>(?:\\.[^"\\]*+)*)"?|[^,\s"]*+))?', re.DOTALL)

# Schemes that may follow another one after a comma; an unknown one is read where it stands first.
_SCHEMES = frozenset((b"digest", b"basic", b"bearer", b"negotiate", b"ntlm", b"kerberos"))


_MAX_SETS = 32  # of one header value


class Credentials:
    """What a client sends to prove itself. `scheme` is in lower case, all else unquoted as sent, b"" where absent."""

    __slots__ = (
        "algorithm",
        "cnonce",
        "nc",
        "nonce",
        "opaque",
        "qop",
        "realm",
        "response",
        "scheme",
        "uri",
        "username",
    )

    def __init__(self, scheme: bytes, fields: Mapping[bytes, bytes]) -> None:
        get = fields.get
        self.scheme = scheme
        self.username = get(b"username") or _extended(get(b"username*", b""))
        self.realm = get(b"realm", b"")
        self.nonce = get(b"nonce", b"")
        self.uri = get(b"uri", b"")
        self.response = get(b"response", b"")
        self.algorithm = get(b"algorithm", b"")
        self.qop = get(b"qop", b"")
        self.nc = get(b"nc", b"")
        self.cnonce = get(b"cnonce", b"")
        self.opaque = get(b"opaque", b"")


class Challenge:
    """What a server asks for. `scheme` is in lower case, all else unquoted as sent, b"" where absent."""

    __slots__ = ("algorithm", "nonce", "opaque", "qop", "realm", "scheme", "stale")

    def __init__(self, scheme: bytes, fields: Mapping[bytes, bytes]) -> None:
        get = fields.get
        self.scheme = scheme
        self.realm = get(b"realm", b"")
        self.nonce = get(b"nonce", b"")
        self.algorithm = get(b"algorithm", b"")
        self.qop = get(b"qop", b"")
        self.opaque = get(b"opaque", b"")
        self.stale = get(b"stale", b"").lower() == b"true"


# The parameters in use, as they stand before a quote or a token: after nothing, a comma, or a comma and a blank.
_NAMES = b"algorithm cnonce domain nc nonce opaque qop realm response stale uri username".split()
_BEFORE_QUOTE = {before + name + b"=": name for name in _NAMES for before in (b"", b",", b", ")}
_BEFORE_TOKEN = {before + name: name for name in _NAMES for before in (b"", b" ")}


def _plain(text: bytes) -> dict[bytes, bytes] | None:
    """Read one set of parameters as all known stacks write it; None when anything needs care."""
    pieces = text.split(b'"')
    if BACKSLASH in text or not len(pieces) & 1:
        return None
    fields: dict[bytes, bytes] = {}
    rest = pieces.pop()
    for before, value in zip(pieces[::2], pieces[1::2], strict=True):
        key = _BEFORE_QUOTE.get(before)
        if key is None:
            tokens, _, name = before.rpartition(b",")
            key = _BEFORE_QUOTE.get(b"," + name)
            if key is None or not _tokens(tokens, fields):
                return None
        fields[key] = value
    return fields if not rest or _tokens(rest, fields) else None


def _tokens(text: bytes, fields: dict[bytes, bytes]) -> bool:
    """Read `name=token` items from after one quoted string; False when anything needs care."""
    empty, *items = text.split(b",")
    for item in items:
        name, _, value = item.partition(b"=")
        key = _BEFORE_TOKEN.get(name)
        if key is None or not (value.isalnum() or TOKEN.fullmatch(value)):
            return False
        fields[key] = value
    return not empty


def _sets(value: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Give every (scheme, parameters) of a header value, in order."""
    first, _, rest = value.strip().partition(b" ")
    plain = _plain(rest) if first == b"Digest" and len(rest) < MAX_LINE else None
    if plain is not None:
        return [(b"digest", plain)]
    sets: list[tuple[bytes, dict[bytes, bytes]]] = []
    for name, equal, text in _ITEM.findall(value, 0, MAX_LINE):
        lower = name.lower()
        if equal:
            if not sets:
                sets.append((b"", {}))
            sets[-1][1][lower] = unquote(text)
        elif len(sets) < _MAX_SETS and (not sets or lower in _SCHEMES):
            sets.append((lower, {}))
    return sets


def parse_credentials(value: bytes) -> tuple[Credentials, ...]:
    """Read one Authorization or Proxy-Authorization value; more than one set in it is tolerated."""
    return tuple([Credentials(scheme, fields) for scheme, fields in _sets(value)])


def parse_challenges(value: bytes) -> tuple[Challenge, ...]:
    """Read one WWW-Authenticate or Proxy-Authenticate value, which may hold several challenges."""
    return tuple(Challenge(scheme, fields) for scheme, fields in _sets(value))


# RFC 7616 section 3.4.4: username* = ext-value (RFC 5987), UTF-8''percent-encoded
def _extended(value: bytes) -> bytes:
    return unescape(value.rpartition(b"'")[2])


def _hash_of(algorithm: bytes) -> Callable[[bytes], bytes] | None:
    name = {b"md5": "md5", b"sha-256": "sha256", b"sha-512-256": "sha512_256"}.get(algorithm)
    if name is None:
        return None
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest().encode()


def response(
    *,
    username: bytes,
    realm: bytes,
    password: bytes,
    method: bytes,
    uri: bytes,
    nonce: bytes,
    algorithm: bytes = b"MD5",
    qop: bytes = b"",
    nc: bytes = b"",
    cnonce: bytes = b"",
    body: bytes = b"",
) -> bytes:
    """Compute a digest response as lower-case hex (RFC 7616 section 3.4.1; without `qop` as RFC 2069).

    Knows MD5, SHA-256 and SHA-512-256, each also with -sess, and the qop `auth` and `auth-int`. Gives b"" for any
    other algorithm.
    """
    base, _, session = (algorithm.lower() or b"md5").partition(b"-sess")
    digest = _hash_of(base)
    if digest is None or session:
        return b""
    a1 = digest(b":".join((username, realm, password)))
    if algorithm.lower().endswith(b"-sess"):
        a1 = digest(b":".join((a1, nonce, cnonce)))
    parts = (method, uri, digest(body)) if qop.lower() == b"auth-int" else (method, uri)
    a2 = digest(b":".join(parts))
    if not qop:
        return digest(b":".join((a1, nonce, a2)))
    return digest(b":".join((a1, nonce, nc, cnonce, qop, a2)))
