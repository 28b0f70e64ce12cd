"""Fetching over real TLS and from files: sizes, times, packing, and words without a key in them."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest

from sipguard.errors import AdapterError
from sipguard.feeds import fetch as fetching
from sipguard.feeds.fetch import Tags, fetch, unpack
from tests.feeds.server import Server

LIST = b"45.95.1.7\n45.95.1.8\n"
BOMB = gzip.compress(bytes(40 * 2**20))


def failure(source: str) -> str:
    with pytest.raises(AdapterError) as caught:
        fetch(source, Tags())
    assert "secret" not in str(caught.value)
    return caught.value.what


def test_a_list_is_fetched_and_asked_for_again_only_when_it_has_changed(server: Server) -> None:
    server.says(LIST, ETag='"v1"', Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")
    found = fetch(server.url(), Tags())
    assert found is not None
    assert found == (LIST, Tags('"v1"', "Thu, 01 Jan 2026 00:00:00 GMT"))
    server.says(b"", 304)
    assert fetch(server.url(), found.tags) is None
    assert server.asked[-1]["if-none-match"] == '"v1"'
    assert server.asked[-1]["if-modified-since"] == "Thu, 01 Jan 2026 00:00:00 GMT"


def test_packed_lists_are_unpacked_also_when_packed_twice(server: Server) -> None:
    server.says(gzip.compress(LIST), Content_Encoding="gzip")
    assert fetch(server.url(), Tags()) == (LIST, Tags())
    server.says(gzip.compress(gzip.compress(LIST)), Content_Encoding="gzip")
    assert fetch(server.url(), Tags()) == (LIST, Tags())
    server.says(gzip.compress(LIST))
    assert fetch(server.url(), Tags()) == (LIST, Tags())


def test_a_bomb_is_not_unpacked_to_its_end(server: Server) -> None:
    for encoding in ("gzip", "identity"):
        server.says(BOMB, Content_Encoding=encoding)
        assert "32 MiB when it is unpacked" in failure(server.url())
    server.says(gzip.compress(BOMB), Content_Encoding="gzip")
    assert "unpacked" in failure(server.url())


def test_more_than_is_allowed_is_not_read(server: Server) -> None:
    server.says(b"4" * (fetching.LOADED + 1))
    assert "more than 16 MiB" in failure(server.url())


def test_a_broken_or_cut_packing_is_an_error_and_not_a_short_list(server: Server) -> None:
    packed = gzip.compress(LIST * 1000)
    for data in (packed[:-20], packed + packed, b"\x1f\x8bnonsense"):
        server.says(data, Content_Encoding="gzip")
        assert "gzip" in failure(server.url())
    server.says(LIST, Content_Encoding="br")
    assert "not asked for" in failure(server.url())


def test_a_body_that_is_cut_is_an_error_and_not_a_short_list(server: Server) -> None:
    server.says(LIST, Content_Length="1000")
    assert failure(server.url())


def test_redirections_and_errors_are_not_lists(server: Server) -> None:
    server.says(LIST, 302, Location="https://localhost/elsewhere")
    assert "elsewhere" in failure(server.url())
    assert len(server.asked) == 1
    for status in (404, 429, 500, 503):
        server.says(LIST, status)
        assert str(status) in failure(server.url())


def test_a_certificate_must_be_good_and_for_that_name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.says(LIST)
    assert "certificate" in failure(server.url(host="127.0.0.1"))
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate" in failure(server.url())
    assert not server.asked


def test_a_server_that_is_not_there_or_is_too_slow_is_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be reached" in failure("https://localhost:1/list?key=secret")

    def slowly(_asked: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        time.sleep(1.0)
        return 200, {}, LIST

    server.answer = slowly
    monkeypatch.setattr(fetching, "PATIENCE", 0.2)
    assert "in time" in failure(server.url())


def test_all_of_it_has_a_deadline(server: Server) -> None:
    server.says(LIST)
    with pytest.raises(AdapterError, match="too slowly"):
        fetch(server.url(), Tags(), deadline=0.0)


def test_a_file_is_read_and_known_again_while_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(LIST)
    found = fetch(str(path), Tags())
    assert found is not None
    assert found.data == LIST
    assert fetch(str(path), found.tags) is None
    path.write_bytes(gzip.compress(LIST + LIST))
    again = fetch(str(path), found.tags)
    assert again is not None
    assert again.data == LIST + LIST


def test_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        assert "no file" in failure(str(tmp_path / name))
    (tmp_path / "large").write_bytes(b"4" * (fetching.LOADED + 1))
    assert "16 MiB" in failure(str(tmp_path / "large"))


def test_what_is_not_packed_is_left_as_it_is() -> None:
    assert unpack(LIST) == LIST
