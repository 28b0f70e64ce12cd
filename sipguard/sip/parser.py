"""Bytes to a message: one datagram, or one message that `framing.Framer` cut out of a stream.

Never raises on any input, and works in time linear in its length. Two ways: the short one here for what stacks send,
the careful one (`careful.py`) for all else. Both read the same from what both can read. The short way reads the start
line and leaves the headers for when one is asked for (`head.py`). What is asked of single headers stands in
`fields.py`, what is wrong with them in `check.py`.
"""

from __future__ import annotations

from sipguard.sip.careful import parse_carefully
from sipguard.sip.fault import KEEPALIVE
from sipguard.sip.grammar import CR, HTAB, LF, MAX_HEAD, METHODS
from sipguard.sip.message import SipRequest, SipResponse, Unparsable

_CODES = {b"%d " % code: code for code in range(100, 700)}
_FOLDING = b" \t"
_KEEPALIVES = frozenset((b"\r\n\r\n", b"\r\n"))  # RFC 5626 section 3.5.1
_method_of = METHODS.get


def parse(data: bytes) -> SipRequest | SipResponse | Unparsable:
    """Read one datagram or one framed message. Never raises on any input."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end <= 0:
        return Unparsable(data, KEEPALIVE) if data in _KEEPALIVES else parse_carefully(data)
    line = data.find(b"\r\n")
    start = data[:line]
    if data[line + 2] in _FOLDING or CR in start or LF in start:
        return parse_carefully(data)
    if start[:8] == b"SIP/2.0 ":
        code = _CODES.get(start[8:12])
        return parse_carefully(data) if code is None else SipResponse(data, code, start[12:], end + 4)
    words = start.split(b" ")
    method = _method_of(words[0])
    if method is None or len(words) != 3 or words[2] != b"SIP/2.0" or not words[1] or HTAB in start:
        return parse_carefully(data)
    return SipRequest(data, method, words[1], end + 4)
