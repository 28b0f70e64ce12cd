"""One world with a Kamailio for each module; every test has its own guard, and addresses of its own to be banned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.calls.stage import Stage
from tests.lab.calls.stage import stage as calls_stage
from tests.lab.cases.case import Lab, lab
from tests.lab.kamailio import Settings


@pytest.fixture(scope="module")
def stage() -> Iterator[Lab]:
    """Kamailio binds its nonces to the source address, and offers qop, without which svcrack cannot guess."""
    with lab(Settings(qop=True)) as made:
        yield made


@pytest.fixture(scope="module")
def exchange() -> Iterator[Stage]:
    """Give an Asterisk with a trunk over UDP."""
    with calls_stage() as made:
        yield made
