"""One world with a Kamailio for each module; every test has its own guard, and addresses of its own to be banned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.calls.stage import Stage
from tests.lab.calls.stage import stage as calls_stage
from tests.lab.cases.case import Lab, lab
from tests.lab.kamailio import Settings
from tests.lab.world import World
from tests.live.guard import IPTABLES, Guard, Guarding, guarding


@pytest.fixture(scope="module")
def stage() -> Iterator[Lab]:
    """Kamailio binds its nonces to the source address, and offers qop, without which svcrack cannot guess."""
    with lab(Settings(qop=True)) as made:
        yield made


@pytest.fixture(params=["nftables", "iptables"])
def guarded(request: pytest.FixtureRequest) -> Guarding:
    """Give each back end: what the gate does is the same."""
    if request.param == "nftables":
        return guarding

    @contextmanager
    def other(world: World, name: str, *, mode: str = "enforce", top: str = "", more: str = "") -> Iterator[Guard]:
        with guarding(world, f"{name}-iptables", mode=mode, top=top, more=more + IPTABLES) as guard:
            yield guard

    return other


@pytest.fixture(scope="module")
def exchange() -> Iterator[Stage]:
    """Give an Asterisk with a trunk over UDP."""
    with calls_stage() as made:
        yield made
