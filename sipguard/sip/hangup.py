"""The requests that end a call, as bytes: BYE (RFC 3261 section 15.1.1) and CANCEL (section 9.1). Pure, total.

What goes into them was copied from a dialog, whose ends may be anybody's: each part is read again here and written
anew, or nothing is written at all. So no part can bring a header of its own, or a line, or more bytes than stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sipguard.sip.fields import read_via
from sipguard.sip.grammar import CALL_ID, TOKEN, URI_TEXT, split_list
from sipguard.sip.uri import split_address

COOKIE = b"z9hG4bKsipguard"
"""What the branches of our own requests begin with: the magic cookie (RFC 3261 section 8.1.1.7) and our name."""
_PADDING = b"X-Padding: "
_LAST = b"Content-Length: 0\r\n\r\n"
_MAX_PART = 512
_MAX_ROUTES = 16
_MAX_CSEQ = (1 << 31) - 1  # RFC 3261 section 8.1.1.5
_ANYBODY = b"sip:anonymous@anonymous.invalid"  # RFC 3323 section 4.1.1.3


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a dialog: its From or To as it was sent (may be empty), and its tag (empty where it has none yet)."""

    value: bytes
    tag: bytes


def bye(
    uri: bytes,
    routes: Sequence[bytes],
    via: bytes,
    sender: Party,
    target: Party,
    call_id: bytes,
    cseq: int,
    least: int = 0,
) -> bytes | None:
    """Write the BYE of `sender` to `uri`; None where a part of it is none, or the number has run out.

    `routes` are Route values in their order, `via` the value of the only Via. No dialog is matched by the URIs in From
    and To (section 12.2.2), so one that cannot be read is left out. Made `least` bytes long where it is shorter.
    """
    if not (sender.tag and target.tag):
        return None
    parties = _party(sender), _party(target)
    text = _written(b"BYE", uri, routes, via, parties, call_id, cseq)
    if text is None or len(text) >= least:
        return text
    head, end, _ = text.partition(_LAST)
    return head + _PADDING + b"0" * max(1, least - len(text) - len(_PADDING) - 2) + b"\r\n" + end


def cancel(uri: bytes, via: bytes, sender: Party, target: Party, call_id: bytes, cseq: int) -> bytes | None:
    """Write the CANCEL of an INVITE: with its request URI, topmost Via, From and To; None where a part is none."""
    if not sender.tag or target.tag:
        return None
    parties = _party(sender), _party(target)
    return _written(b"CANCEL", uri, (), via, parties, call_id, cseq)


def route_set(values: Sequence[bytes]) -> tuple[bytes, ...] | None:
    """Give the single entries of Record-Route values, in their order; None where one of them cannot be read."""
    found: list[bytes] = []
    for value in values:
        entries = split_list(value)
        if not entries:
            return None
        for entry in entries:
            _, uri, tail, sound = split_address(entry)
            if not sound or len(uri) + len(tail) > _MAX_PART:
                return None
            found.append(b"<" + uri + b">" + tail)
    return tuple(found) if len(found) <= _MAX_ROUTES else None


def uri_of(contact: bytes) -> bytes:
    """Give the URI of the first Contact in a value, without what only a reference may have; b"" when there is none."""
    entries = split_list(contact)
    _, uri, _, _ = split_address(entries[0]) if entries else (b"", b"", b"", False)
    at = uri.find(b"@") + 1
    mark = uri.find(b"?", at)
    return uri if mark < 0 else uri[:mark]


def _party(party: Party) -> bytes | None:
    if party.tag and TOKEN.fullmatch(party.tag) is None:
        return None
    _, uri, _, _ = split_address(party.value)
    if len(uri) > _MAX_PART or URI_TEXT.fullmatch(uri) is None:
        uri = _ANYBODY
    return b"<" + uri + (b">;tag=" + party.tag if party.tag else b">")


def _written(
    method: bytes,
    uri: bytes,
    routes: Sequence[bytes],
    via: bytes,
    parties: tuple[bytes | None, bytes | None],
    call_id: bytes,
    cseq: int,
) -> bytes | None:
    sender, target = parties
    if sender is None or target is None or not 0 <= cseq <= _MAX_CSEQ:
        return None
    if URI_TEXT.fullmatch(uri) is None or CALL_ID.fullmatch(call_id) is None or not _is_via(via):
        return None
    known = route_set(routes)
    if known is None or max(map(len, (uri, via, call_id, sender, target))) > 2 * _MAX_PART:
        return None
    lines = [
        method + b" " + uri + b" SIP/2.0",
        b"Via: " + via,
        b"Max-Forwards: 70",
        *(b"Route: " + route for route in known),
        b"From: " + sender,
        b"To: " + target,
        b"Call-ID: " + call_id,
        b"CSeq: %d " % cseq + method,
        _LAST,
    ]
    return b"\r\n".join(lines)


def _is_via(via: bytes) -> bool:
    plain = all(32 <= byte <= 126 for byte in via)
    return plain and len(split_list(via)) == 1 and read_via(via) is not None
