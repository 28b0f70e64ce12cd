"""The careful way to read a message: whatever PBXs are known to bear, with a fault for each thing that they bore.

Never raises on any input; linear in its length. What is no message at all is told apart: malformed SIP, a keep-alive,
or something else that came to a SIP port.
"""

from __future__ import annotations

import re

from sipguard.sip.fault import Fault
from sipguard.sip.fields import read_method
from sipguard.sip.grammar import (
    BLANK_LINE,
    BLANKS,
    ESSENTIAL,
    FOLD,
    HEADER_NAMES,
    MAX_HEAD,
    MAX_HEADERS,
    METHODS,
    TOKEN,
    fold_name,
)
from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.sip.uri import parse_uri

MAX_KEEPALIVE = 64
"""Bytes of blanks that pass for a keep-alive; in use are 1 to 4."""

# HTTP, RTSP, SSDP and their like say so at the end of their first line.
_OTHER_PROTOCOL = re.compile(rb"(?!SIP/)[A-Z]{2,8}/[0-9.]++")

_DIALLED = frozenset(("sip", "sips", "tel", "urn"))


def parse_carefully(data: bytes) -> SipRequest | SipResponse | Unparsable:
    """Read one datagram or one framed message. Never raises on any input."""
    text = data.lstrip(BLANKS)
    if not text:
        return Unparsable(data, (Fault.KEEPALIVE if len(data) <= MAX_KEEPALIVE else Fault.NOT_SIP,))
    skipped = len(data) - len(text)
    noted = []
    if skipped:
        noted.append(Fault.LEADING_JUNK if data[:skipped].strip(b"\r\n") else Fault.LEADING_CRLF)
    blank = BLANK_LINE.search(text, 0, MAX_HEAD)
    head = text[:MAX_HEAD] if blank is None else text[: blank.start()]
    body_at = skipped + (len(head) if blank is None else blank.end())
    if blank is None:
        noted.append(Fault.NO_BLANK_LINE if len(text) <= MAX_HEAD else Fault.OVERLONG_HEAD)
    unfolded = FOLD.sub(b" ", head)
    if unfolded != head:
        noted.append(Fault.FOLDED)
    lines = unfolded.splitlines()
    first, more = _index(lines, noted)
    return _message(data, lines[0], body_at, first, more, noted)


def _message(
    data: bytes,
    start: bytes,
    body_at: int,
    first: dict[str, bytes],
    more: dict[str, list[bytes]],
    noted: list[Fault],
) -> SipRequest | SipResponse | Unparsable:
    if start[:4].upper() == b"SIP/":
        status = _status_line(start, noted)
        if status is not None:
            return SipResponse(data, status[0], status[1], body_at, first, more, tuple(noted))
    else:
        request = _request_line(start, noted)
        if request is not None:
            return SipRequest(data, read_method(request[0]), request[1], body_at, first, more, tuple(noted))
    return Unparsable(data, (Fault.BAD_START_LINE if _claims_sip(start, first) else Fault.NOT_SIP, *noted))


# Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF
def _status_line(line: bytes, noted: list[Fault]) -> tuple[int, bytes] | None:
    version, _, rest = line.partition(b" ")
    if version != b"SIP/2.0":
        noted.append(Fault.BAD_VERSION)
    digits, space, reason = rest.lstrip().partition(b" ")
    if not digits:
        return None
    if not space or rest[:1] == b" ":
        noted.append(Fault.START_LINE_SPACING)
    code = int(digits) if len(digits) == 3 and digits.isdigit() else 0
    if not 100 <= code <= 699:
        noted.append(Fault.BAD_STATUS_CODE)
        code = 0
    return code, reason


# Request-Line = Method SP Request-URI SP SIP-Version CRLF
def _request_line(line: bytes, noted: list[Fault]) -> tuple[bytes, bytes] | None:
    words = line.split()
    if len(words) < 2 or TOKEN.fullmatch(words[0]) is None:
        return None
    method, version = words[0], words[-1]
    if version[:4].upper() == b"SIP/":
        uri = line.strip()[len(method) : -len(version)].strip(b" \t")
        if not uri:
            return None
        if version != b"SIP/2.0":
            noted.append(Fault.BAD_VERSION)
        if line != b" ".join((method, uri, version)):
            noted.append(Fault.START_LINE_SPACING)
    else:
        # no version at all: still a request where method and address are those of SIP
        uri = words[1]
        parsed = parse_uri(uri)
        if len(words) > 2 or method.upper() not in METHODS or parsed is None or parsed.scheme not in _DIALLED:
            return None
        noted.append(Fault.BAD_START_LINE)
    if method not in METHODS and method.upper() in METHODS:
        noted.append(Fault.ODD_METHOD_CASE)
    return method, uri


def _claims_sip(line: bytes, first: dict[str, bytes]) -> bool:
    """Tell malformed SIP from what is none, by its first line and, if that says nothing, its Via."""
    method = line.upper().partition(b" ")[0]
    if _OTHER_PROTOCOL.fullmatch(line.rpartition(b" ")[2]) is not None:
        return False
    return b"SIP/2.0" in line.upper() or method in METHODS or b"SIP/2.0/" in first.get("via", b"").upper()


def _index(lines: list[bytes], noted: list[Fault]) -> tuple[dict[str, bytes], dict[str, list[bytes]]]:
    """Sort header lines by name, the first value of each and the others; notes what is odd about them."""
    first: dict[str, bytes] = {}
    more: dict[str, list[bytes]] = {}
    for line in lines[1 : MAX_HEADERS + 1]:
        key, value = _header(line, noted)
        if key not in first:
            first[key] = value
        elif key:
            if not first[key].strip():  # an empty header is skipped by PBXs, it must not stand before a real one
                first[key], value = value, first[key]
            more.setdefault(key, []).append(value)
    if len(lines) > MAX_HEADERS + 1:
        noted.append(Fault.TOO_MANY_HEADERS)
        _index_essential(lines, first, more)
    first.pop("", None)
    return first, more


def _header(line: bytes, noted: list[Fault]) -> tuple[str, bytes]:
    """Split one header line; the name is "" where there is none."""
    sent, colon, value = line.partition(b":")
    name = sent.rstrip(b" \t")
    if not colon or not name:
        noted.append(Fault.BAD_HEADER_LINE)
        return "", b""
    if len(name) != len(sent):
        noted.append(Fault.SPACE_BEFORE_COLON)
    key = HEADER_NAMES.get(name) or fold_name(name)
    if key is None:
        noted.append(Fault.BAD_HEADER_NAME)
        return name.decode("latin-1").lower(), value
    return key, value


def _index_essential(lines: list[bytes], first: dict[str, bytes], more: dict[str, list[bytes]]) -> None:
    """Read on beyond `MAX_HEADERS`, as many again, but only what identifies or authenticates."""
    left = MAX_HEADERS
    for line in lines[MAX_HEADERS + 1 :]:
        if not left:
            return
        name, colon, value = line.partition(b":")
        key = HEADER_NAMES.get(name.rstrip(b" \t").lower(), "")
        if not colon or key not in ESSENTIAL:
            continue
        left -= 1
        if key in first:
            more.setdefault(key, []).append(value)
        else:
            first[key] = value
