"""What is wrong with a message, in full: asked rarely, so here clarity goes before speed.

Adds to the faults that the parser noted on its way. Never raises on any input; runs in linear time; the order of faults
is the order of the checks below.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from sipguard.sip.digest import Credentials
from sipguard.sip.fault import Fault
from sipguard.sip.grammar import (
    BLANKS,
    CALL_ID,
    DATE,
    HOST_PORT,
    MAX_ENTRIES,
    MAX_LINE,
    MAX_MESSAGE,
    MAX_PARAMETERS,
    PARAMETERS,
    URI_TEXT,
    VIA,
    parameters,
    split_list,
)
from sipguard.sip.uri import parse_uri, split_address

_MANDATORY = (
    ("via", Fault.MISSING_VIA),
    ("from", Fault.MISSING_FROM),
    ("to", Fault.MISSING_TO),
    ("call-id", Fault.MISSING_CALL_ID),
    ("cseq", Fault.MISSING_CSEQ),
)

_ONCE = """
    max-forwards content-type content-disposition date event expires mime-version min-expires min-se organization
    priority refer-to reply-to retry-after server session-expires subject timestamp user-agent
"""

_SINGLE = (
    ("from", Fault.DUPLICATE_FROM),
    ("to", Fault.DUPLICATE_TO),
    ("call-id", Fault.DUPLICATE_CALL_ID),
    ("cseq", Fault.DUPLICATE_CSEQ),
    ("content-length", Fault.DUPLICATE_CONTENT_LENGTH),
    *((name, Fault.DUPLICATE_HEADER) for name in _ONCE.split()),
)

# Largest values: RFC 3261 section 20.22 (Max-Forwards), 20.19, 20.23 and 20.33.
_RANGES = (
    ("max-forwards", 255),
    ("expires", 0xFFFF_FFFF),
    ("min-expires", 0xFFFF_FFFF),
    ("retry-after", 0xFFFF_FFFF),
)


class Readable(Protocol):
    """What the checks ask of a message; `SipMessage` is one."""

    @property
    def raw(self) -> bytes:
        """All bytes."""

    @property
    def head(self) -> bytes:
        """The bytes before the body."""

    @property
    def body_present(self) -> int:
        """How many bytes follow the head."""

    @property
    def content_length(self) -> int | None:
        """Content-Length where readable."""

    @property
    def cseq(self) -> int:
        """The CSeq number, -1 when unreadable."""

    @property
    def cseq_method(self) -> str:
        """The CSeq method."""

    @property
    def branch(self) -> bytes:
        """The topmost branch."""

    @property
    def from_tag(self) -> bytes:
        """The From tag."""

    @property
    def credentials(self) -> tuple[Credentials, ...]:
        """All credentials."""

    def header(self, name: str) -> bytes | None:
        """Look one header up."""

    def headers(self, name: str) -> Sequence[bytes]:
        """Look all values of a header up."""


def faults_of(message: Readable, noted: tuple[Fault, ...], method: str, uri: bytes) -> tuple[Fault, ...]:
    """Give all faults of a message; `method` and `uri` are empty for a response."""
    found = [*noted, *_shape(message), *_presence(message, is_request=bool(method))]
    if method:
        found += _request_uri(uri)
    found += _bounds(message)
    found += _vias(message)
    found += _identity(message, method)
    found += _addresses(message)
    found += _numbers(message)
    found += _body(message)
    return tuple(dict.fromkeys(found))


def _shape(message: Readable) -> list[Fault]:
    head = message.head.lstrip(BLANKS)
    found = []
    pairs = head.count(b"\r\n")
    if head.count(b"\n") != pairs:
        found.append(Fault.BARE_LF)
    if head.count(b"\r") != pairs:
        found.append(Fault.BARE_CR)
    if b"\0" in head.replace(b"\\\0", b""):
        found.append(Fault.NUL_BYTE)
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        found.append(Fault.NOT_UTF8)
    if len(head) > MAX_LINE and max(map(len, head.splitlines()), default=0) > MAX_LINE:
        found.append(Fault.OVERLONG_LINE)
    if len(message.raw) > MAX_MESSAGE:
        found.append(Fault.OVERLONG_MESSAGE)
    return found


def _presence(message: Readable, *, is_request: bool) -> list[Fault]:
    found = [fault for name, fault in _MANDATORY if not message.header(name)]
    if is_request and message.header("max-forwards") is None:
        found.append(Fault.MISSING_MAX_FORWARDS)
    found += [fault for name, fault in _SINGLE if len(message.headers(name)) > 1]
    return found


def _request_uri(uri: bytes) -> list[Fault]:
    found = []
    parsed = parse_uri(uri)
    if parsed is None or URI_TEXT.fullmatch(uri) is None:
        found.append(Fault.BAD_REQUEST_URI)
    if parsed is not None and parsed.headers:
        found.append(Fault.REQUEST_URI_HEADERS)
    return found


def _entries(message: Readable, name: str) -> list[bytes]:
    entries = (entry for value in message.headers(name) for entry in split_list(value))
    return list(islice(entries, MAX_ENTRIES))


def _bounds(message: Readable) -> list[Fault]:
    values = [value for name in ("via", "from", "to", "contact") for value in message.headers(name)]
    found = []
    if any(value.count(b";") > MAX_PARAMETERS for value in values):
        found.append(Fault.TOO_MANY_PARAMETERS)
    counts = [sum(value.count(b",") + 1 for value in message.headers(name)) for name in ("via", "contact")]
    if max(counts) > MAX_ENTRIES:
        found.append(Fault.TOO_MANY_ENTRIES)
    return found


def _vias(message: Readable) -> list[Fault]:
    found = []
    # an empty entry between commas is dropped by the split, so the commas are looked at too
    commas = [b",%b," % value.replace(b" ", b"") for value in message.headers("via")]
    if any(b",," in text for text in commas) or not all(map(_is_via, _entries(message, "via"))):
        found.append(Fault.BAD_VIA)
    top = split_list(message.header("via") or b"")
    if top and _has_twice(top[0]):
        found.append(Fault.DUPLICATE_PARAMETER)
    branch = message.branch
    if not branch.startswith(b"z9hG4bK"):
        found.append(Fault.NO_MAGIC_COOKIE)
    elif len(branch) == 7:
        found.append(Fault.EMPTY_BRANCH)
    return found


def _is_via(entry: bytes) -> bool:
    match = VIA.match(entry)
    if match is None or HOST_PORT.fullmatch(match[4]) is None:
        return False
    return PARAMETERS.fullmatch(entry, match.end()) is not None


def _has_twice(tail: bytes) -> bool:
    names = [name for name, _ in parameters(tail)]
    return len(names) != len(set(names))


def _identity(message: Readable, method: str) -> list[Fault]:
    found = []
    words = (message.header("cseq") or b"").split(None, 2)
    if not 0 <= message.cseq < 0x8000_0000 or len(words) != 2:
        found.append(Fault.BAD_CSEQ)
    if method and message.cseq_method != method and message.header("cseq") is not None:
        found.append(Fault.CSEQ_METHOD_MISMATCH)
    call_id = message.header("call-id")
    if call_id and CALL_ID.fullmatch(call_id) is None:
        found.append(Fault.BAD_CALL_ID)
    sets = [one for one in message.credentials if one.scheme == b"digest"]
    if not all(one.username and one.realm and one.uri for one in sets):
        found.append(Fault.BAD_CREDENTIALS)
    return found


def _addresses(message: Readable) -> list[Fault]:
    found = []
    for name, fault in (("from", Fault.BAD_FROM), ("to", Fault.BAD_TO)):
        for value in message.headers(name):
            _, _, tail, sound = split_address(value)
            if not sound:
                found.append(fault)
            if _has_twice(tail):
                found.append(Fault.DUPLICATE_PARAMETER)
    if message.header("from") is not None and not message.from_tag:
        found.append(Fault.NO_FROM_TAG)
    entries = _entries(message, "contact")
    if entries != [b"*"] and not all(split_address(entry)[3] for entry in entries):
        found.append(Fault.BAD_CONTACT)
    return found


def _numbers(message: Readable) -> list[Fault]:
    found = []
    numbers = [(value, limit) for name, limit in _RANGES if (value := message.header(name)) is not None]
    if any(_is_beyond(value, limit) for value, limit in numbers):
        found.append(Fault.NUMBER_OUT_OF_RANGE)
    # Warning = warn-code SP warn-agent SP warn-text, warn-code = 3DIGIT
    codes = [value.partition(b" ")[0] for value in message.headers("warning")]
    if not all(len(code) == 3 and code.isdigit() for code in codes):
        found.append(Fault.NUMBER_OUT_OF_RANGE)
    entries = _entries(message, "contact")
    params = [param for entry in entries for param in parameters(split_address(entry)[2])]
    if any(name == b"expires" and _is_beyond(text, 0xFFFF_FFFF) for name, text in params):
        found.append(Fault.NUMBER_OUT_OF_RANGE)
    date = message.header("date")
    if date is not None and DATE.fullmatch(date) is None:
        found.append(Fault.BAD_DATE)
    return found


def _is_beyond(value: bytes, limit: int) -> bool:
    """Tell whether a value starts with no number, or with one above the limit (a comment or parameters may follow)."""
    words = value.partition(b";")[0].partition(b"(")[0].split()
    if len(words) != 1 or not words[0].isdigit():
        return True
    digits = words[0].lstrip(b"0") or b"0"
    return len(digits) > 10 or int(digits) > limit


def _body(message: Readable) -> list[Fault]:
    length = message.content_length
    if length is None:
        return [Fault.CONTENT_LENGTH_INVALID] if message.header("content-length") is not None else []
    if length > message.body_present:
        return [Fault.CONTENT_LENGTH_MISMATCH]
    return [Fault.TRAILING_OCTETS] if length < message.body_present else []
