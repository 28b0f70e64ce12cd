"""What must hold for any bytes: the claims of `sipguard.sip`, asked one by one. A claim that fails raises.

Whatever is parsed is asked for everything it can be asked for, so that what is lazy runs too.
"""

from __future__ import annotations

from random import Random

from sipguard.sip.careful import parse_carefully
from sipguard.sip.fault import Fault
from sipguard.sip.framing import MAX_BODY, Framer
from sipguard.sip.grammar import MAX_HEAD
from sipguard.sip.message import SipMessage, SipRequest, SipResponse, Unparsable
from sipguard.sip.parser import parse
from sipguard.sip.uri import address_of, parse_uri


def look_at_all(message: SipRequest | SipResponse | Unparsable) -> None:
    """Ask a message for everything; fails when an answer is of the wrong kind."""
    assert all(isinstance(fault, Fault) for fault in message.faults)
    if isinstance(message, Unparsable):
        assert message.faults
        return
    _look_up(message)
    _read(message)
    if isinstance(message, SipRequest):
        assert message.method
        parse_uri(message.uri)
    else:
        assert message.code == 0 or 100 <= message.code <= 699


def _look_up(message: SipMessage) -> None:
    assert message.head + message.raw[len(message.head) :] == message.raw
    assert message.raw[len(message.head) :].startswith(message.body)
    assert set(message.noted) <= set(message.faults)
    assert -1 <= message.cseq < 2**32
    assert message.cseq_method is not None
    assert message.order == " ".join(message.names()).encode("latin-1", "replace")
    for name in message.names():
        values = message.headers(name)
        assert message.header(name) == values[0]
        assert name not in ("from", "to", "contact", "refer-to") or all(map(address_of, values))


def _read(message: SipMessage) -> None:
    top = message.via
    assert top is None or message.vias[0] is not None
    if top is not None:
        assert top.branch == message.branch
    for tag, name in ((message.from_tag, "from"), (message.to_tag, "to")):
        params = address_of(message.header(name) or b"")[2]
        assert tag == next((value for key, value in reversed(params) if key == b"tag"), b"")
    assert isinstance(message.from_user + message.to_user + message.call_id, bytes)
    assert all(0 <= (contact.expires or 0) < 2**32 for contact in message.contacts)
    assert 0 <= (message.expires or 0) < 2**32
    assert message.sdp is None or len(message.sdp.media) <= 64
    assert len(message.credentials) + len(message.challenges) <= 64


def both_ways_agree(message: SipRequest | SipResponse | Unparsable) -> None:
    """Fail when the careful way reads something else where the short way has read at all."""
    if isinstance(message, Unparsable) or message.noted:
        return
    again = parse_carefully(message.raw)
    assert type(again) is type(message)
    assert isinstance(again, SipMessage)
    assert (again.head, again.noted, again.names()) == (message.head, (), message.names())
    assert [again.headers(name) for name in again.names()] == [message.headers(name) for name in message.names()]
    if isinstance(message, SipRequest) and isinstance(again, SipRequest):
        assert (again.method, again.uri) == (message.method, message.uri)
    elif isinstance(message, SipResponse) and isinstance(again, SipResponse):
        assert (again.code, again.reason) == (message.code, message.reason)


def cut_as_you_like(data: bytes, random: Random) -> list[bytes]:
    """Give the messages in a stream; fails when they depend on how it is cut, or when too much waits."""
    whole = Framer()
    messages = whole.feed(data)
    pieces = Framer()
    found = []
    step = 1 if len(data) < 1024 and random.random() < 0.005 else max(1, len(data) // random.randint(1, 12))
    at = 0
    while at < len(data):
        found += pieces.feed(data[at : at + step])
        assert pieces.pending <= MAX_HEAD + MAX_BODY
        at += step
    assert found == messages
    assert (pieces.faults, pieces.pending) == (whole.faults, whole.pending)
    return messages


def check(data: bytes, random: Random) -> None:
    """Ask everything of one message."""
    message = parse(data)
    look_at_all(message)
    both_ways_agree(message)
    for framed in cut_as_you_like(data, random):
        if framed != data:
            parse(framed)
