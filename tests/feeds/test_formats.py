"""What is read of a list's text, and what is no list."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.feeds.formats import ENOUGH, LINES, ListError, Parsed, parse

DROP = b"""; Spamhaus DROP List
; Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT
45.95.1.0/24 ; SBL1
45.96.0.0/20 ; SBL2
"""


def words(data: bytes, form: str) -> list[str]:
    return [str(network) for network in parse(data, form).networks]


def test_plain_and_drop_lists_are_read_without_their_comments() -> None:
    assert words(DROP, "text") == ["45.95.1.0/24", "45.96.0.0/20"]
    plain = b"\xef\xbb\xbf# head\r\n45.95.1.7\r\n\r\n  2001:db8::/48 # site\n45.95.1.8,\n//end\n45.95.1.9 some words\n"
    assert words(plain, "text") == ["45.95.1.7", "2001:db8::/48", "45.95.1.8", "45.95.1.9"]


def test_a_table_is_read_in_the_column_that_names_addresses_or_else_the_first() -> None:
    head = b'"id","IP Address","note"\n1,45.95.1.7,"a, b"\n2, 45.95.1.8 ,c\n'
    assert words(head, "csv") == ["45.95.1.7", "45.95.1.8"]
    assert words(b"# made today\n45.95.1.7,SIP\n45.95.1.8,SIP\n", "csv") == ["45.95.1.7", "45.95.1.8"]


def test_json_is_read_as_apiban_spamhaus_and_others_write_it() -> None:
    assert words(b'{"ipaddress":["45.95.1.7","45.95.1.8"],"ID":"1700000000"}', "json") == ["45.95.1.7", "45.95.1.8"]
    lines = b'{"cidr":"45.96.0.0/20","sblid":"SBL1"}\n{"cidr":"45.95.1.0/24"}\n{"type":"metadata","size":2}\n'
    assert words(lines, "json") == ["45.96.0.0/20", "45.95.1.0/24"]
    assert words(b'["45.95.1.7",{"ip":"45.95.1.8","score":1},5,null]', "json") == ["45.95.1.7", "45.95.1.8"]


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"<!DOCTYPE html>\n<html><body>\n<h1>404 Not Found</h1>\n</body></html>\n", "text"),
        (b"<html>error</html>", "csv"),
        (b"<html>error</html>", "json"),
        (b"\xff\xfe\x00binary", "text"),
        (b'{"ipaddress":["no new bans"],"ID":"none"}', "json"),
        (b"[" * 100_000, "json"),
        (b'{"ip":"45.95.1.7"}\nnonsense\n', "json"),
        (b"45.95.1.7/24\n300.1.1.1\n45.95.1.7\n", "text"),
    ],
)
def test_what_is_no_list_is_refused(data: bytes, form: str) -> None:
    with pytest.raises(ListError):
        parse(data, form)


def test_a_few_entries_that_cannot_be_read_are_counted_and_left_out() -> None:
    assert parse(b"45.95.1.7\n45.95.1.8\nlocalhost\n", "text").unread == 1


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(ListError, match="entries"):
        parse(b"45.95.1.7\n" * (LINES + 1), "text")


def test_a_long_text_that_is_no_list_is_not_read_to_its_end() -> None:
    with pytest.raises(ListError, match=f"{ENOUGH + 1:,} entries or more are no addresses"):
        parse(b"nonsense\n" * LINES, "text")


def test_a_refusal_repeats_nothing_of_the_text() -> None:
    with pytest.raises(ListError) as caught:
        parse(b"secret words\nmore secret\n", "text")
    assert "secret" not in str(caught.value)


@given(st.binary(max_size=300), st.sampled_from(["text", "csv", "json"]))
def test_any_bytes_are_a_list_or_a_refusal(data: bytes, form: str) -> None:
    try:
        found = parse(data, form)
    except ListError:
        return
    assert isinstance(found, Parsed)


ANY = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["ip", "cidr", "x"]), each, max_size=3),
    max_leaves=8,
)


@given(ANY)
def test_any_json_is_a_list_or_a_refusal(value: object) -> None:
    try:
        parse(json.dumps(value).encode(), "json")
    except ListError:
        return
