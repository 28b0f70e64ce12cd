"""RFC 3261 section 25 as far as it is needed: names, methods, and a regular expression for each rule, printed above it.

All expressions are possessive or atomic where they repeat and may fail behind it, so that each runs in time linear in
its input, whatever the input. A possessive group is written as an atomic one, which CPython before 3.11.5 gets right.
Nothing here knows of messages; no state.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

# Single characters as numbers: `COMMA in text` takes a tenth of `b"," in text`, which first takes b"," for a number.
HTAB: Final = 0x09
LF: Final = 0x0A
CR: Final = 0x0D
DQUOTE: Final = 0x22
PERCENT: Final = 0x25
COMMA: Final = 0x2C
BACKSLASH: Final = 0x5C

MAX_HEAD = 65_536
"""Bytes of a head that are read."""

MAX_MESSAGE = 65_535
"""Bytes of a message that no fault is noted for: what a UDP datagram can carry."""

MAX_LINE = 8_192
"""Bytes of a line that no fault is noted for."""

MAX_HEADERS = 256
"""Header lines that are read in full; of the rest, as many again of the essential ones."""

MAX_PARAMETERS = 64
"""Parameters of one value that are read."""

MAX_ENTRIES = 128
"""Entries of Via and of Contact that are read, on one line or on many; Max-Forwards starts at 70."""

BLANKS = b" \t\r\n\0"
"""What PBXs skip before a start line (CRLF, LF, space and tab by all that were tried, NUL by Kamailio)."""

_LONG_NAMES = """
    Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info
    Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding Content-Language Content-Length
    Content-Type CSeq Date Diversion Error-Info Event Expires From Geolocation History-Info Identity Identity-Info
    In-Reply-To Join Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info
    P-Asserted-Identity P-Associated-URI P-Called-Party-ID P-Charging-Vector P-Preferred-Identity Path Priority
    Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By
    Reject-Contact Remote-Party-ID Replaces Reply-To Request-Disposition Require Retry-After Route RSeq Server
    Service-Route Session-Expires SIP-ETag SIP-If-Match Subject Subscription-State Supported Target-Dialog
    Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate
"""

# RFC 3261 section 7.3.3 and the IANA registry of header fields.
_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}


def _spellings() -> dict[bytes, str]:
    table = {}
    for name in _LONG_NAMES.split():
        for spelling in (name, name.lower(), name.upper(), name.title(), name.capitalize()):
            table[spelling.encode()] = name.lower()
    for letter, name in _COMPACT.items():
        table[letter.encode()] = name
        table[letter.upper().encode()] = name
    return table


HEADER_NAMES = _spellings()
"""Common spellings of known headers, compact forms among them, to their canonical lower-case long form."""

USUAL_NAMES = {name.lower(): name.encode() for name in _LONG_NAMES.split()}
"""The one spelling of each known header that its RFC prints, and nearly all stacks send, by its canonical form."""

_ESSENTIAL = "via from to call-id cseq contact expires content-length authorization proxy-authorization"
ESSENTIAL = frozenset(_ESSENTIAL.split())
"""Headers that are read even beyond `MAX_HEADERS`: nobody hides a guess behind 256 lines of noise."""

_METHODS = "INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE"
METHODS = {name.encode(): name for name in _METHODS.split()}
"""RFC 3261, 3262, 6665, 3903, 6086, 3515, 3428, 3311."""

# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
_TOKEN = rb"[A-Za-z0-9\-.!%*_+`'~]++"
TOKEN = re.compile(_TOKEN)

# quoted-string = SWS DQUOTE *(qdtext / quoted-pair) DQUOTE
_QUOTED_OPEN = rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)'
_QUOTED = _QUOTED_OPEN + rb'"'
QUOTED = re.compile(_QUOTED, re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)

# LWS = [*WSP CRLF] 1*WSP; also with LF or CR alone
FOLD = re.compile(rb"(?:\r\n|\r|\n)[ \t]++")

# The empty line that ends a head, whatever ends its lines.
BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")

# SEMI name [EQUAL value]; read leniently: an open quote is none
_PARAMETER = re.compile(
    rb';[ \t\r\n]*+([^ \t\r\n;="]*+)[ \t\r\n]*+(?:=[ \t\r\n]*+(' + _QUOTED + rb"|[^;]*+))?", re.DOTALL
)

# *(SEMI generic-param), generic-param = token [EQUAL gen-value], gen-value = token / host / quoted-string
PARAMETERS = re.compile(
    rb"(?>(?:\s*+;\s*+" + _TOKEN + rb"(?:\s*+=\s*+(?:" + _QUOTED + rb'|[^\s;,"<>]++))?)*)\s*+', re.DOTALL
)

# display-name = *(token LWS) / quoted-string
DISPLAY_NAME = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~ \t]*+|[ \t]*+" + _QUOTED + rb"[ \t]*+", re.DOTALL)

# A URI in outline: scheme ":" 1*(reserved / unreserved / escaped). "#" is let pass: phones dial feature codes with it.
URI_TEXT = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*+:(?>(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/:@\[\]#]++|%[0-9A-Fa-f]{2})+)")

# host = hostname / IPv4address / IPv6reference; underscores are let pass, as name servers do
HOST_PORT = re.compile(rb"(?:[A-Za-z0-9\-._]++|\[[0-9A-Fa-f:.]++\])(?:\s*+:\s*+[0-9]{1,5})?")

# via-parm = sent-protocol LWS sent-by *(SEMI via-params), sent-protocol = name SLASH version SLASH transport
VIA = re.compile(
    rb"\s*+("
    + _TOKEN
    + rb")\s*+/\s*+("
    + _TOKEN
    + rb")\s*+/\s*+("
    + _TOKEN
    + rb")\s++([^\s;,:\[]++|\[[^\]\s;,]*+\])\s*+(?::\s*+([0-9]{1,5})\s*+)?(?=;|$)",
)

# callid = word ["@" word]
CALL_ID = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]++(?:@[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]++)?")

# SIP-date = rfc1123-date, GMT only
DATE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    rb" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)

# Items between commas that stand outside quotes and angle brackets.
_ITEM = re.compile(rb"(?:" + _QUOTED_OPEN + rb'"?|<[^>]*+>?|[^,"<]++)+', re.DOTALL)


def fold_name(name: bytes) -> str | None:
    """Give the canonical form of a header name that stands as sent; None when it is no token."""
    if TOKEN.fullmatch(name) is None:
        return None
    lower = name.decode("ascii").lower()
    return _COMPACT.get(lower, lower)


def split_list(value: bytes) -> list[bytes]:
    """Split a header value at its commas, stripped; commas in quotes and in angle brackets split nothing.

    Gives `MAX_ENTRIES` entries at most.
    """
    if COMMA not in value:
        only = value.strip()
        return [only] if only else []
    items = (item.strip() for item in _ITEM.findall(value))
    return list(islice(filter(None, items), MAX_ENTRIES))


def parameters(text: bytes) -> list[tuple[bytes, bytes]]:
    """Read `;name=value` parameters in order, names in lower case, values unquoted; b"" where there is no value."""
    if text.count(b";") > MAX_PARAMETERS:
        text = b";".join(text.split(b";", MAX_PARAMETERS + 1)[: MAX_PARAMETERS + 1])
    return [(name.lower(), unquote(value)) for name, value in _PARAMETER.findall(text) if name]


def unquote(value: bytes) -> bytes:
    """Take a quoted string out of its quotes and its escapes; anything else is only stripped."""
    value = value.strip()
    if value[:1] != b'"':
        return value
    inner = value[1:-1] if len(value) > 1 and value[-1:] == b'"' else value[1:]
    return _QUOTED_PAIR.sub(rb"\1", inner) if BACKSLASH in inner else inner


def number(value: bytes) -> int | None:
    """Read a run of digits, clipped at 2^32 - 1 (RFC 3261 section 20.19); None for anything else."""
    digits = value.strip()
    if not digits.isdigit():
        return None
    if len(digits) > 10:
        digits = digits.lstrip(b"0")
        if len(digits) > 10:
            return 0xFFFF_FFFF
    return min(int(digits or b"0"), 0xFFFF_FFFF)
