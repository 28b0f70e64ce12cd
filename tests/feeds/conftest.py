"""A server for each test, whose authority this process trusts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feeds.server import Server, serving


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    folder = tmp_path / "tls"
    folder.mkdir()
    with serving(folder) as made:
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        yield made
