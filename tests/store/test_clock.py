"""A wall clock that is off ends nothing on disk, and one that is right is believed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.control.pair import Message
from sipguard.control.requests import Requests
from sipguard.keeping import Parts
from sipguard.model import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Account,
    Decision,
    DecisionVerdict,
    Delta,
    Feed,
    Names,
    Offence,
    Trust,
)
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.store.clock import Clock, kept

NOW = 1_795_000_000 * SECOND  # the end of 2026
YEAR = 365 * DAY
HOST = parse_network("203.0.113.9")


def ticks(clock: Clock, wall: int, boot: int, span: int, step: int = MINUTE) -> list[str]:
    """Look once a minute while the clock goes evenly; give what was told."""
    return [told for passed in range(0, span, step) if (told := clock.look(wall + passed, boot + passed))]


@pytest.mark.parametrize("off", [-HOUR, 0, HOUR, 90 * DAY, YEAR])
def test_a_host_that_was_off_for_months_believes_its_clock_and_says_nothing(off: int) -> None:
    clock = Clock(NOW, None, 5)
    assert ticks(clock, NOW + off, 5, HOUR) == []
    assert clock.seen == NOW + off + HOUR - MINUTE


@pytest.mark.parametrize("off", [12 * YEAR, -2 * DAY, -30 * YEAR, 500 * DAY])
def test_a_clock_that_is_years_off_is_told_once_and_time_goes_on_from_what_was(off: int) -> None:
    clock = Clock(NOW, None, 5)
    (told,) = ticks(clock, NOW + off, 5, HOUR)
    assert "timedatectl" in told
    assert clock.seen == NOW + HOUR - MINUTE
    assert clock.offset == NOW - 5
    (told,) = ticks(clock, NOW + 2 * HOUR, 5 + HOUR, HOUR)
    assert "believed" in told
    assert clock.seen == NOW + 3 * HOUR - MINUTE


def test_a_clock_that_says_the_same_for_a_day_is_believed_and_one_that_is_moved_begins_anew() -> None:
    clock = Clock(NOW, None, 0)
    assert len(ticks(clock, NOW + 12 * YEAR, 0, DAY - HOUR)) == 1
    assert ticks(clock, NOW + 20 * YEAR, DAY, DAY - HOUR) == []
    assert clock.doubted
    assert len(ticks(clock, NOW + 20 * YEAR + DAY, 2 * DAY, HOUR)) == 1
    assert not clock.doubted


def test_a_date_that_is_typed_wrong_while_the_guard_runs_is_noticed() -> None:
    clock = Clock(NOW, None, 0)
    clock.look(NOW, 0)
    for passed in range(MINUTE, HOUR, MINUTE):
        assert bool(clock.look(NOW + 300 * DAY + passed, passed)) is (passed == MINUTE), "told once, and never believed"
        assert clock.seen == NOW + passed
    assert clock.look(NOW + HOUR, HOUR)
    assert not clock.doubted


def test_a_date_that_is_typed_wrong_is_not_taken_for_a_host_that_was_off_as_the_keeper_is_restarted() -> None:
    clock = Clock(NOW, None, MINUTE)
    clock.look(NOW, MINUTE)
    again = Clock(*kept(clock.text()), HOUR)
    assert again.look(NOW + 300 * DAY, HOUR)
    assert again.seen == NOW + HOUR - MINUTE
    rebooted = Clock(*kept(clock.text()), SECOND)
    assert not rebooted.look(NOW + 300 * DAY, SECOND)


@pytest.mark.parametrize("text", [None, "", "x", "12x 5", " ", "-5"])
def test_what_is_kept_and_makes_no_sense_is_nothing(text: str | None) -> None:
    assert kept(text)[0] is None


def test_what_was_kept_by_an_earlier_release_is_read() -> None:
    assert kept("17") == (17, None)


def test_a_host_that_has_no_clock_of_its_own_is_believed_as_soon_as_it_has_one() -> None:
    clock = Clock(None, None, 0)
    assert not clock.look(100 * DAY, 0)
    assert not clock.look(NOW, MINUTE)
    assert clock.seen == NOW


@given(st.lists(st.tuples(st.integers(-(2**61), 2**61), st.integers(0, 3 * DAY))))
def test_what_is_believed_never_goes_back_by_more_than_a_day_nor_runs_ahead_of_a_clock(
    looks: list[tuple[int, int]],
) -> None:
    clock, boot = Clock(NOW, None, 0), 0
    for wall, passed in looks:
        before = clock.seen or 0
        boot += passed
        clock.look(max(0, wall), boot)
        assert clock.seen is not None
        assert clock.seen == max(0, wall) or clock.seen == before + passed
        assert clock.offset == clock.seen - boot


class Alone:
    """A keeper that only listens."""

    def __init__(self) -> None:
        self.requests = Requests(lambda _: None)
        self.told: list[str] = []

    def alert(self, kind: str, subject: str, text: str) -> None:
        self.told.append(kind)

    def send(self, message: Message) -> None:
        """Have nobody to send to."""

    def names_changed(self, noun: Names) -> None:
        """Go by no names."""

    def pass_on(self, noun: Names) -> None:
        """Go by no names."""

    def feed_changed(self, noun: Feed) -> None:
        """Go by no lists."""

    def about(self) -> dict[str, Any]:
        return {}

    async def reload(self) -> dict[str, Any]:
        return {}

    def configure_log(self, policy: Policy) -> None:
        """Log nothing."""

    def written(self, number: int) -> None:
        """Take it for granted."""


def parts_of(tmp_path: Path) -> tuple[Alone, Parts]:
    home = Alone()
    text = f'[store]\npath = "{tmp_path / "a.db"}"\n[control]\nsocket = "{tmp_path / "s"}"\n'
    return home, Parts(home, load(text))


@pytest.mark.parametrize("off", [12 * YEAR, -30 * YEAR])
def test_bans_trust_and_offences_on_disk_outlive_a_clock_that_is_years_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    true = time.time_ns

    async def story() -> None:
        home, parts = parts_of(tmp_path)
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        nouns: list[Delta] = [
            Decision(boot, DecisionVerdict.BLOCK, HOST, boot + HOUR, ("x",), "ban.first"),
            Offence(HOST, 1, boot + HOUR),
            Trust(HOST, Account("1001", "pbx"), boot + HOUR, boot + HOUR),
        ]
        await parts.tidy()
        for number, noun in enumerate(nouns):
            parts.writer.delta(number, noun, true() - boot)
        await parts.tidy()
        await parts.close()

        monkeypatch.setattr(time, "time_ns", lambda: true() + off)
        home, parts = parts_of(tmp_path)
        await parts.tidy()
        await parts.tidy()
        offset = parts.writer.offset
        assert offset is not None
        found = await parts.writer.ask(lambda store: store.state(offset, boot))
        ends = [each.until for each in (*found.decisions, *found.offences, *found.trust)]
        assert len(ends) == 3
        assert all(abs(each - boot - HOUR) < MINUTE for each in ends)
        late = Decision(boot, DecisionVerdict.BLOCK, Network(b"\x01\2\3\4", 32), boot + HOUR, ("x",), "ban.first")
        parts.writer.delta(9, late, time.time_ns() - boot)

        # The clock is set, the packet process knows at once, and the keeper when it looks the next time.
        monkeypatch.setattr(time, "time_ns", true)
        then = Trust(HOST, Account("1002", "pbx"), boot + HOUR, boot + HOUR)
        parts.writer.delta(10, then, true() - boot)
        await parts.writer.flush()
        await parts.tidy()
        found = await parts.writer.ask(lambda store: store.state(true() - boot, boot))
        ends = [each.until for each in (*found.decisions, *found.trust)]
        assert len(ends) == 4
        assert all(abs(each - boot - HOUR) < MINUTE for each in ends)
        assert home.told == ["clock-doubted", "clock-believed"]
        await parts.close()

    asyncio.run(story())
