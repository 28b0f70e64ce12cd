"""A packet side for each test, ended with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keeper.packetside import PacketSide


@pytest.fixture
def packet(tmp_path: Path) -> Iterator[PacketSide]:
    made = PacketSide(tmp_path)
    yield made
    made.close()
