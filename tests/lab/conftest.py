"""A PBX between phones and carriers, for the tests of what the laboratory itself can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.asterisk import AsteriskSettings
from tests.lab.calls.stage import Stage, stage


@pytest.fixture
def calls() -> Iterator[Stage]:
    """Give an Asterisk with phones and carriers around it."""
    with stage() as made:
        yield made


@pytest.fixture
def calls_over_tcp() -> Iterator[Stage]:
    """Give one whose trunk is TCP."""
    with stage(AsteriskSettings(trunk_tcp=True)) as made:
        yield made
