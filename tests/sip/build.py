"""Messages for tests, one part changed at a time."""

from __future__ import annotations

from sipguard.sip.message import Fault, SipMessage, SipRequest, SipResponse, Unparsable
from sipguard.sip.parser import parse

HEADERS = {
    "Via": "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1;rport",
    "From": '"Alice" <sip:1001@pbx.example.com>;tag=8a7b6c5d',
    "To": "<sip:1001@pbx.example.com>",
    "Call-ID": "ZTY4ZmFhN2Q1ODQ2",
    "CSeq": "1 REGISTER",
    "Max-Forwards": "70",
    "Contact": "<sip:1001@192.0.2.10:5060>",
    "Content-Length": "0",
}


def build(
    start: str = "REGISTER sip:pbx.example.com SIP/2.0",
    *extra: str,
    body: str = "",
    **changed: str | None,
) -> bytes:
    """Write a message; `call_id="x"` changes a header, None leaves it out, `extra` are whole lines put last."""
    changes = {name.replace("_", "-").lower(): value for name, value in changed.items()}
    values = {name: changes.pop(name.lower(), value) for name, value in HEADERS.items()}
    values |= {name.title(): value for name, value in changes.items()}
    lines = [start, *(f"{name}: {value}" for name, value in values.items() if value is not None), *extra]
    return "\r\n".join([*lines, "", body]).encode("latin-1")


def read(data: bytes) -> SipMessage:
    """Parse what must be a message."""
    message = parse(data)
    assert not isinstance(message, Unparsable), message.faults
    return message


def request(data: bytes) -> SipRequest:
    """Parse what must be a request."""
    message = parse(data)
    assert isinstance(message, SipRequest), getattr(message, "faults", message)
    return message


def response(data: bytes) -> SipResponse:
    """Parse what must be a response."""
    message = parse(data)
    assert isinstance(message, SipResponse), getattr(message, "faults", message)
    return message


def wrong(message: SipMessage) -> set[Fault]:
    """Give the faults that are not benign."""
    return {fault for fault in message.faults if not fault.benign}
