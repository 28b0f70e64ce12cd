r"""A message for people to read, without anything in it that opens a door.

Promises: what is shown is what this module knows to be harmless; all else is left out and said to be. No password,
digest, nonce, key or guess comes through: of credentials only who claims to be who, of URIs no password and no headers,
of tags none that holds a guess, of bodies only those lines of a session description that hold no key, of lines that are
no header nothing. Total, pure, linear in the input; what comes out may still hold control characters, for the display
to escape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sipguard.sip.digest import parse_credentials
from sipguard.sip.grammar import (
    BACKSLASH,
    BLANK_LINE,
    BLANKS,
    CR,
    DQUOTE,
    FOLD,
    HEADER_NAMES,
    LF,
    TOKEN,
    fold_name,
)
from sipguard.sip.message import SipRequest

MASK = "***"
_LINES = 64
_LONGEST = 512
_NAME = 40
_SHORTEST = 16  # bytes of a credential's header; what is shorter may stand elsewhere as well

_HARMLESS = """
    accept allow allow-events call-id contact content-encoding content-length content-type cseq date diversion event
    expires from history-info max-forwards mime-version min-expires min-se organization p-asserted-identity
    p-preferred-identity path priority privacy proxy-require rack reason record-route refer-to referred-by
    remote-party-id reply-to require retry-after route rseq server session-expires subject subscription-state supported
    timestamp to unsupported user-agent via warning
"""
_SHOWN = frozenset(_HARMLESS.split())
"""Headers whose values are shown. What is not here may hold a secret that we know nothing of."""

_CREDENTIALS = frozenset(("authorization", "proxy-authorization"))
_REQUEST_LINE = re.compile(rb"([A-Za-z]{1,20})[ \t]++([^\s]++)[ \t]++(SIP/[0-9.]{1,5})[ \t]*+", re.IGNORECASE)
_STATUS_LINE = re.compile(rb"SIP/[0-9.]{1,5}[ \t]++[0-9]{3}(?:[ \t][^\r\n]*+)?", re.IGNORECASE)

# A URI with what surrounds it: all between angle brackets, else up to a blank or a quote.
_WORD = re.compile(r"<[^<>]*+>?|[^\s<>\"]++")
_SCHEMES = frozenset(("sip", "sips", "tel", "http", "https"))
_COLON = re.compile(r":|%3a", re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}+(?![^;,?>\s])")
# tag=<hex> as SIPVicious writes it: what it is about, `name:guess` among it, in hexadecimal.
_TAG = re.compile(r"(tag[ \t]*+=[ \t]*+\"?)([0-9a-f]{4,}+)", re.IGNORECASE)

_PLAIN_SDP = frozenset("vosctmb")
_ATTRIBUTES = "rtpmap fmtp ptime maxptime sendrecv sendonly recvonly inactive rtcp-mux rtcp"
_PLAIN_ATTRIBUTES = frozenset(_ATTRIBUTES.split())


def without_digest(request: SipRequest) -> bytes | None:
    """Give a request's head with what its credential claims alone, at little cost; None where that takes `redact`."""
    values = (*request.headers("authorization"), *request.headers("proxy-authorization"))
    if len(values) != 1 or len(request.credentials) != 1:
        return None
    sent, head, value = request.credentials[0], request.head, values[0]
    before, found, after = head.partition(value)
    if sent.scheme != b"digest" or not found or value in after or len(value) < _SHORTEST:
        return None
    claims = b"%b%b%b" % (sent.username, sent.realm, sent.uri)
    if DQUOTE in claims or BACKSLASH in claims or LF in claims or CR in claims:
        return None
    return b'%bDigest username="%b", realm="%b", uri="%b"%b' % (before, sent.username, sent.realm, sent.uri, after)


def redact(raw: bytes) -> Sequence[str]:
    """Give the lines of a message, or of its beginning, as they may be shown."""
    text = raw.lstrip(BLANKS)
    blank = BLANK_LINE.search(text)
    head = text if blank is None else text[: blank.start()]
    start, *lines = FOLD.sub(b" ", head).splitlines() or [b""]
    cut = [] if blank is not None or head.endswith((b"\n", b"\r")) else lines[-1:]
    shown = [_start_line(start), *(_header(line) for line in lines[: len(lines) - len(cut)] if line.strip())]
    shown += [_left_out(line, "cut off") for line in cut]
    if blank is not None and text[blank.end() :]:
        shown += ["", *_body(text[blank.end() :])]
    if len(shown) > _LINES:
        shown = [*shown[:_LINES], f"({len(shown) - _LINES} more lines)"]
    return [line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in shown]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _left_out(line: bytes, what: str) -> str:
    return f"({len(line)} bytes that are {what})"


def _start_line(line: bytes) -> str:
    if _STATUS_LINE.fullmatch(line):
        return _plain(_text(line))
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return _left_out(line, "no start line of SIP's")
    return " ".join(_plain(_text(part)) for part in found.groups())


def _header(line: bytes) -> str:
    sent, colon, value = line.partition(b":")
    name = sent.strip(b" \t")
    if not colon or len(name) > _NAME or TOKEN.fullmatch(name) is None:
        return _left_out(line, "no header")
    header = HEADER_NAMES.get(name) or fold_name(name)
    if header in _CREDENTIALS:
        return f"{_text(name)}: {_claims(value)}"
    return f"{_text(name)}: {_plain(_text(value.strip())) if header in _SHOWN else MASK}"


# --- Values -----------------------------------------------------------------------------------------------------------


def _plain(value: str) -> str:
    """Take out of a value what may stand in any: passwords and headers in URIs, guesses in tags."""
    return _TAG.sub(_tag, _WORD.sub(_word, value))


def _word(found: re.Match[str]) -> str:
    word = found[0]
    before, at, after = word.rpartition("@")
    if at:
        word = f"{_user(before)}@{after}"
    elif ":" in word:
        word = _host(word)
    uri, mark, _ = word.partition("?")
    return f"{uri}?{MASK}{'>' if word.endswith('>') else ''}" if mark and ":" in uri else word


def _user(before: str) -> str:
    """Write what stands before the at-sign without a password: whatever follows the first colon that is no scheme's."""
    scheme, colon, rest = before.partition(":")
    if scheme.strip(" <").lower() not in _SCHEMES:
        return f"{scheme}:{MASK}" if colon else before
    end = _COLON.search(rest)
    return before if end is None else f"{scheme}:{rest[: end.start()]}:{MASK}"


def _host(word: str) -> str:
    """Write a URI without an at-sign; what follows its colon and is no port is a password with its end cut off."""
    scheme, _, rest = word.partition(":")
    host, colon, port = rest.partition(":")
    if scheme.strip(" <").lower() not in _SCHEMES or not colon or host.startswith(("[", "//")) or _PORT.match(port):
        return word
    return f"{scheme}:{host}:{MASK}"


def _tag(found: re.Match[str]) -> str:
    digits = found[2]
    return f"{found[1]}{MASK}" if b":" in bytes.fromhex(digits[: len(digits) & ~1]) else found[0]


def _claims(value: bytes) -> str:
    """Say who a credential claims to be, and for what; of any but digests only that there is one."""
    told: list[str] = []
    for each in parse_credentials(value):
        if each.scheme != b"digest":
            told.append(f"{_scheme(each.scheme)} {MASK}")
            continue
        fields = (("username", each.username), ("realm", each.realm), ("uri", each.uri), ("algorithm", each.algorithm))
        shown = [f"{name}={_claim(claimed)}" for name, claimed in fields if claimed]
        told.append(f"Digest {', '.join([*shown, MASK])}")
    return ", ".join(told) or MASK


def _scheme(scheme: bytes) -> str:
    return scheme.decode("ascii") if scheme in (b"basic", b"bearer", b"ntlm", b"negotiate") else "a scheme"


def _claim(value: bytes) -> str:
    """Write a parameter; one whose quotes were left open may hold what is not its own."""
    text = _text(value)
    foreign = '", ' if text.lower().startswith(("sip:", "sips:")) else '",='
    return MASK if any(sign in text for sign in foreign) else f'"{_plain(text)}"'


# --- Bodies -----------------------------------------------------------------------------------------------------------


def _body(body: bytes) -> list[str]:
    if not body.startswith(b"v="):
        return [f"(a body of {len(body)} bytes)"]
    return [_session_line(line) for line in body.splitlines() if line.strip()]


def _session_line(line: bytes) -> str:
    kind, equals, value = line.partition(b"=")
    if not equals or len(kind) != 1:
        return _left_out(line, "no line of a session description")
    text = _text(kind)
    if text in _PLAIN_SDP:
        return f"{text}={_plain(_text(value))}"
    attribute = _text(value.partition(b":")[0])
    if text == "a" and attribute in _PLAIN_ATTRIBUTES:
        return f"a={_plain(_text(value))}"
    known = text == "a" and TOKEN.fullmatch(attribute.encode()) is not None and len(attribute) <= _NAME
    return f"a={attribute}:{MASK}" if known and b":" in value else f"{text}={MASK}"
