"""A bug of ours, made on purpose: the frame is kept, counted and told of, and the loop goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sipguard.capture import files
from sipguard.capture.clock import boottime
from sipguard.engine import Engine, Input
from sipguard.model import Action, Frame, Instant, State
from sipguard.packetloop import PacketLoop
from sipguard.policy.schema import Policy
from sipguard.policy.shell import Shell, Store

pytestmark = pytest.mark.root  # the loop listens to what becomes of its rules


class Stumbling(Engine):
    """An engine with a bug that a frame, or a timer, brings to light."""

    def feed(self, at: Instant, what: Input) -> list[Action]:
        if isinstance(what, Frame):
            raise IndexError(what.packet)
        return list(super().feed(at, what))

    def advance(self, now: Instant) -> list[Action]:
        raise KeyError(now)

    def next_deadline(self) -> Instant | None:
        return None


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[PacketLoop]:
    policy = replace(Policy(), shell=Shell(store=Store(path=str(tmp_path / "sipguard.db"))))
    made = PacketLoop(tmp_path / "policy.toml", "", policy, {})
    made._engine = Stumbling(policy, State())
    yield made
    made._close()


def test_a_frame_that_makes_the_engine_stumble_is_kept(loop: PacketLoop, tmp_path: Path) -> None:
    for number in range(3):
        assert loop._feed(boottime(), Frame(b"E" * (20 + number))) == ()
    assert loop._status()["bugs"] == loop._status()["quarantined"] == 3
    assert [each.data for each in files.read(tmp_path / "quarantine.pcap")] == [b"E" * (20 + n) for n in range(3)]
    (told,) = loop._link._unsaid
    assert told[:2] == ("bug", "Frame")
    assert "IndexError at test_stumbling.py" in told[2]
    assert "EEEE" not in told[2]


def test_a_timer_that_makes_the_engine_stumble_is_not_tried_in_a_tight_loop(loop: PacketLoop) -> None:
    at = boottime()
    loop._feed(at, None)
    assert loop._status()["bugs"] == 1
    assert loop._status()["quarantined"] == 0
    assert loop._next_timer > at
