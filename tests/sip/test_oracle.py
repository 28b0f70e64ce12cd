"""A second reader (sipmessage) reads the same from what it can read at all."""

from __future__ import annotations

from pathlib import Path

import sipmessage
from sipmessage import Request, Response

from sipguard.sip.message import SipRequest, Unparsable
from sipguard.sip.parser import parse
from sipguard.sip.uri import parse_uri
from tests.fuzz.seeds import made

# What it cannot read at all: it is strict, and knows neither lone LF nor all of RFC 4475.
LEAST_READ = 30

# Where the other one is mistaken, and why.
DIFFERING = {
    "bigcode": "takes 4294967301 for a status code",
    "esc01": "loses a Contact whose value starts on the next line",
    "intmeth": "undoes %66 in a branch, where it is no escape (RFC 4475 section 3.1.1.2)",
    "longreq": "does not know a header with blanks before the colon",
    "scalarlg": "takes a CSeq number beyond 2^31",
}


def second(data: bytes) -> tuple[object, ...] | None:
    """Read it with the other library, None where that cannot."""
    try:
        other = sipmessage.Message.parse(data)
        return (
            *((other.method, other.uri.scheme, other.uri.host, other.uri.port) if isinstance(other, Request) else ()),
            *((other.code, other.phrase) if isinstance(other, Response) else ()),
            other.call_id,
            (other.cseq.sequence, other.cseq.method),
            other.from_address.parameters.get("tag") or "",
            other.to_address.parameters.get("tag") or "",
            [(via.host, via.port, via.transport) for via in other.via],
            other.via[0].parameters.get("branch") or "",
            [str(contact.uri) for contact in other.contact],
        )
    except (ValueError, KeyError, IndexError):
        return None


def ours(data: bytes) -> tuple[object, ...]:
    """Read it with our own."""
    message = parse(data)
    assert not isinstance(message, Unparsable)
    start: tuple[object, ...] = ()
    if isinstance(message, SipRequest):
        uri = parse_uri(message.uri)
        assert uri is not None
        start = (message.method, uri.scheme, uri.host.decode(), uri.port)
    else:
        start = (message.code, message.reason.decode())
    return (
        *start,
        message.call_id.decode(),
        (message.cseq, message.cseq_method),
        message.from_tag.decode(),
        message.to_tag.decode(),
        [(via.host.decode(), via.port, via.transport) for via in message.vias if via],
        message.branch.decode(),
        [contact.uri.decode() for contact in message.contacts],
    )


def test_both_readers_agree_on_rfc_4475(corpus: Path) -> None:
    files = sorted((corpus / "torture" / "rfc4475").glob("*.dat"))
    read = {path.stem: other for path in files if (other := second(path.read_bytes())) is not None}
    differing = {path.stem for path in files if path.stem in read and ours(path.read_bytes()) != read[path.stem]}
    assert differing == set(DIFFERING)
    assert len(read) >= LEAST_READ


def test_both_readers_agree_on_ordinary_messages() -> None:
    read = {data: other for data in made() if (other := second(data)) is not None}
    assert read == {data: ours(data) for data in read}
    assert len(read) >= LEAST_READ
