"""The answer that refuses a request, as bytes (RFC 3261 section 8.2.6, RFC 3581). Pure, total.

Nothing goes into it but what the request said of itself, a code and a tag, and it is never longer than the request:
whoever forges a request gets nobody flooded with it.
"""

from __future__ import annotations

import re

from sipguard.sip.grammar import split_list
from sipguard.sip.message import SipRequest

_REASONS = {403: b"Forbidden", 404: b"Not Found", 480: b"Temporarily Unavailable", 486: b"Busy Here", 603: b"Decline"}
_RPORT = re.compile(rb"(?i);[ \t]*rport[ \t]*(?=;|$)")
_MORE_VIAS = 70  # Max-Forwards: a request has no more of them


def refusal(request: SipRequest, code: int, source: bytes, port: int, tag: bytes) -> bytes | None:
    """Write the answer to a request from `source` (as text) and `port`; None where there is none that is short enough.

    The topmost Via says where the request came from; To has a tag, the request's own when there is one.
    """
    vias, needed = request.headers("via"), [request.header(name) for name in ("from", "to", "call-id", "cseq")]
    if not vias or len(vias) > _MORE_VIAS or None in needed:
        return None
    sender, to, call_id, cseq = (value or b"" for value in needed)
    if not request.to_tag:
        to += b";tag=" + tag
    first, *others = split_list(vias[0])
    top = _RPORT.sub(b";rport=%d" % port, first, count=1) + b";received=" + source
    lines = [
        b"SIP/2.0 %d %b" % (code, _REASONS.get(code, b"Refused")),
        *(b"Via: " + via for via in (b", ".join([top, *others]), *vias[1:])),
        b"From: " + sender,
        b"To: " + to,
        b"Call-ID: " + call_id,
        b"CSeq: " + cseq,
        b"Content-Length: 0",
    ]
    written = b"\r\n".join(lines) + b"\r\n\r\n"
    return written if len(written) <= len(request.raw) else None


def answers_to(request: SipRequest, port: int) -> int:
    """Give the port that an answer goes to: where the request came from if it asks for that, else what Via says."""
    via = request.via
    if via is None or any(name == b"rport" for name, _ in via.params):
        return port
    return via.port if via.port is not None and 0 < via.port < 65_536 else 5060
