"""Bytes to a message: one datagram, or one message that `framing.Framer` cut out of a stream.

Never raises on any input, and works in time linear in its length. Two ways: the short one here for what stacks send,
the careful one (`careful.py`) for all else. Both read the same from what both can read. What is asked of single headers
stands in `fields.py`, what is wrong with them in `check.py`.
"""

from __future__ import annotations

from typing import TypeAlias

from sipguard.sip.careful import parse_carefully
from sipguard.sip.grammar import HEADER_NAMES, MAX_HEAD, MAX_HEADERS, METHODS, fold_name
from sipguard.sip.message import SipRequest, SipResponse, Unparsable

_Index: TypeAlias = tuple[dict[str, bytes], dict[str, list[bytes]] | None]

_CODES = {b"%d " % code: code for code in range(100, 700)}
_header_of = HEADER_NAMES.get
_method_of = METHODS.get


def parse(data: bytes) -> SipRequest | SipResponse | Unparsable:
    """Read one datagram or one framed message. Never raises on any input."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    lines = data[: end + 2].splitlines() if end > 0 else []
    if not 0 < len(lines) <= MAX_HEADERS:
        return parse_carefully(data)
    start = lines[0]
    del lines[0]
    if start[:8] == b"SIP/2.0 ":
        code = _CODES.get(start[8:12])
        index = _index(lines)
        if code is None or index is None:
            return parse_carefully(data)
        return SipResponse(data, code, start[12:], end + 4, index[0], index[1])
    words = start.split(b" ")
    method = _method_of(words[0])
    regular = len(words) == 3 and words[2] == b"SIP/2.0" and words[1] and b"\t" not in start
    index = _index(lines) if method is not None and regular else None
    if method is None or index is None:
        return parse_carefully(data)
    return SipRequest(data, method, words[1], end + 4, index[0], index[1])


def _index(lines: list[bytes]) -> _Index | None:
    """Sort header lines by name; None when any needs care: no colon, folded, an odd name, an empty line or value."""
    first: dict[str, bytes] = {}
    more: dict[str, list[bytes]] | None = None
    for line in lines:
        name, _, value = line.partition(b":")
        key = _header_of(name) or fold_name(name)
        if key is None or not value:
            return None
        if key not in first:
            first[key] = value
        elif not first[key].strip():
            return None
        elif more is None:
            more = {key: [value]}
        else:
            more.setdefault(key, []).append(value)
    return first, more
