"""The careful way to read a message: whatever PBXs are known to bear, with a fault for each thing that they bore.

Never raises on any input; linear in its length. What is no message at all is told apart: malformed SIP, a keep-alive,
or something else that came to a SIP port.
"""

from __future__ import annotations

import re

from sipguard.sip.fault import Fault
from sipguard.sip.fields import read_method
from sipguard.sip.grammar import BLANKS, METHODS, TOKEN
from sipguard.sip.head import Head, read_carefully
from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.sip.uri import parse_uri

MAX_KEEPALIVE = 64
"""Bytes of blanks that pass for a keep-alive; in use are 1 to 4."""

# HTTP, RTSP, SSDP and their like say so at the end of their first line.
_OTHER_PROTOCOL = re.compile(rb"(?!SIP/)[A-Z]{2,8}/[0-9.]++")

_DIALLED = frozenset(("sip", "sips", "tel", "urn"))


def parse_carefully(data: bytes) -> SipRequest | SipResponse | Unparsable:
    """Read one datagram or one framed message. Never raises on any input."""
    if not data.strip(BLANKS):
        return Unparsable(data, (Fault.KEEPALIVE if len(data) <= MAX_KEEPALIVE else Fault.NOT_SIP,))
    return _message(data, read_carefully(data))


def _message(data: bytes, head: Head) -> SipRequest | SipResponse | Unparsable:
    start, body_at, first, more, noted = head.start, head.body_at, head.first, head.more, head.noted
    if start[:4].upper() == b"SIP/":
        status = _status_line(start, noted)
        if status is not None:
            return SipResponse(data, status[0], status[1], body_at, (first, more), tuple(noted))
    else:
        request = _request_line(start, noted)
        if request is not None:
            return SipRequest(data, read_method(request[0]), request[1], body_at, (first, more), tuple(noted))
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
