"""The 49 messages of RFC 4475 read as the RFC says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipguard.sip.framing import Framer
from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.sip.parser import parse
from tests.sip.rfc4475 import MORE, Row, read, rows

TABLE = rows()


@pytest.fixture
def raw(corpus: Path, row: Row) -> bytes:
    return (corpus / "torture" / "rfc4475" / f"{row.name}.dat").read_bytes()


def test_the_table_has_every_message_of_the_rfc_once(corpus: Path) -> None:
    # test.dat is in the archive of the RFC, but no message of its text
    files = {path.stem for path in (corpus / "torture" / "rfc4475").glob("*.dat")} - {"test"}
    assert {row.name for row in TABLE} == files
    assert len(TABLE) == len({row.section for row in TABLE}) == 49
    assert set(MORE) <= files


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_a_message_reads_as_the_table_says(row: Row, raw: bytes) -> None:
    message = parse(raw)
    assert not isinstance(message, Unparsable)
    found = Row(
        row.name,
        row.section,
        "valid" if all(fault.benign for fault in message.faults) else "invalid",
        message.method if isinstance(message, SipRequest) else str(message.code),
        message.uri.decode() if isinstance(message, SipRequest) else "-",
        str(len(message.vias)),
        str(message.cseq),
        message.cseq_method,
        message.from_tag.decode() or "-",
        message.to_tag.decode() or "-",
        str(len(message.body)),
        frozenset(message.faults),
    )
    expected = Row._make(seen if told == "*" else told for told, seen in zip(row, found, strict=True))
    assert found == expected


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_a_message_holds_what_the_rfc_points_at(row: Row, raw: bytes) -> None:
    message = parse(raw)
    assert not isinstance(message, Unparsable)
    more = MORE.get(row.name, {})
    assert {what: read(message, what) for what in more} == more


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_a_stream_gives_the_same_message_as_a_datagram(row: Row, raw: bytes) -> None:
    # three of them do not say where they end, and a stream has no other end: they wait, or lose their body
    framed = Framer().feed(raw)
    message = parse(raw)
    assert not isinstance(message, Unparsable)
    if row.name in ("clerr", "baddn"):
        assert framed == []
        return
    again = parse(framed[0])
    assert isinstance(again, SipRequest | SipResponse)
    assert again.head.strip(b"\r\n") == message.head.strip(b"\r\n")
    if message.content_length is not None:
        assert again.body == message.body


def test_the_archive_s_own_test_message_is_read_as_far_as_it_goes(corpus: Path) -> None:
    message = parse((corpus / "torture" / "rfc4475" / "test.dat").read_bytes())
    assert isinstance(message, SipRequest)
    assert (message.method, message.uri) == ("INVITE", b"sip:alan@jasomi.com")
    assert message.call_id == b"test.0ha0isndaksdj@192.0.2.1"
    assert message.header("max-forwards") == b"0068"
    assert message.body == b"v=0\r\ntesting=123\r\n"
