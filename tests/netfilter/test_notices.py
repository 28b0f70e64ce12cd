"""What nf_tables says to its listeners: whatever it is, reading it raises nothing and takes nobody else's for ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.netfilter import nfnetlink, notices, sets

OURS, THEIRS = 4711, 4712


def said(kind: int, port: int, body: bytes) -> bytes:
    return nfnetlink.HEADER.pack(16 + len(body), kind, 0, 1, port) + body


def about(table: str, *more: bytes) -> bytes:
    return nfnetlink.generic(sets.INET) + nfnetlink.text(1, table) + b"".join(more)


ELEMENT = nfnetlink.text(2, "blocked4") + nfnetlink.nested(3, sets.single(b"\xc0\0\2\1", 60_000))
DELETE_TABLE = sets.NEW_GENERATION & ~0xFF | 2


def test_an_element_somebody_took_out_is_told_with_its_set() -> None:
    news = notices.read(said(sets.DELETE_ELEMENT, THEIRS, about("sipguard", ELEMENT)), "sipguard", {OURS})
    (change,) = news.changes
    assert (change.name, change.element.key, change.gone) == ("blocked4", b"\xc0\0\2\1", True)
    assert not news.rules


def test_our_own_changes_and_other_tables_are_no_news() -> None:
    quiet = said(sets.NEW_ELEMENT, OURS, about("sipguard", ELEMENT)) + said(DELETE_TABLE, THEIRS, about("f2b-sipguard"))
    quiet += said(DELETE_TABLE, THEIRS, bytes(4) + nfnetlink.text(1, "sipguard"))  # of another family
    assert not notices.read(quiet, "sipguard", {OURS})


def test_a_deleted_table_is_news_beside_whatever_else() -> None:
    data = said(sets.NEW_ELEMENT, OURS, about("sipguard", ELEMENT)) + said(DELETE_TABLE, THEIRS, about("sipguard"))
    assert notices.read(data, "sipguard", {OURS}).rules


def test_a_broken_notice_is_a_loss_and_no_error() -> None:
    data = said(DELETE_TABLE, THEIRS, about("sipguard"))
    assert notices.read(data + b"\xff" * 16 + b"sipguard\0", "sipguard", set()).lost


@given(st.binary(max_size=200), st.integers(0, 200))
def test_whatever_arrives_reading_raises_nothing(junk: bytes, cut: int) -> None:
    whole = said(sets.DELETE_ELEMENT, THEIRS, about("sipguard", ELEMENT))
    notices.read(whole[:cut] + junk + b"sipguard\0", "sipguard", {OURS})
    notices.read(junk, "sipguard", {OURS})
