"""One world for all tests of numbers: it takes 0.1 s to make."""

from __future__ import annotations

import pytest

from sipguard.numbering.world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World()
