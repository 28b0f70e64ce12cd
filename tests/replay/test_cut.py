"""A recording that is cut in two, with a kill between, gives what the whole one gives: nothing learned is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sipguard.capture import files
from sipguard.engine import Engine
from sipguard.model import SECOND, Action, Clock, Finding, Frame, Instant, Lookups, State
from sipguard.policy.schema import Policy
from sipguard.store.database import Store
from sipguard.wire.captured import Captured
from sipguard.wire.link import strip
from tests.engine.keeping import findings, kept
from tests.replay.replaying import look_of, policy_of
from tests.replay.test_cases import CASES, capture, name

FAMILIES = ("firstabroad", "takeover", "newdestination", "testcall", "canary", "identity", "wangiri", "passwordfound")
STRANGERS = ("canary/evasion-slow", "passwordfound/evasion-slow")
"""Of what strangers do nothing is kept: these two try within a day what a restart lets them try once more."""
LEARNING = [case for case in CASES if case.parent.name in FAMILIES and name(case) not in STRANGERS]
QUIET = 20 * SECOND
"""A pause so long that no transaction is cut: what goes on for seconds is not kept."""
CUTS = 12


class Life:
    """One engine, and what it did."""

    def __init__(self, policy: Policy, look: Lookups, state: State | None = None) -> None:
        self._engine = Engine(policy, State() if state is None else state, look)
        self.actions: list[Action] = []
        self._began = False

    def feed(self, packets: Sequence[Captured]) -> None:
        for each in packets:
            if not self._began:
                self.actions += self._engine.feed(each.at, Clock(0))
                self._began = True
            packet = strip(each.linktype, each.data)
            if packet is not None:
                self.actions += self._engine.feed(each.at, Frame(packet))

    def go_on(self, now: Instant) -> None:
        self.actions += self._engine.advance(now)


def in_two(packets: Sequence[Captured], place: int, policy: Policy, look: Lookups, store: Store) -> list[Finding]:
    """Feed the beginning to one engine, and the rest to one that knows what was kept of the first."""
    first = Life(policy, look)
    first.feed(packets[:place])
    first.go_on(packets[place].at - 1)
    later = Life(policy, look, kept(store, first.actions, packets[place].at))
    later.feed(packets[place:])
    return [*findings(first.actions), *findings(later.actions)]


def quiet_places(packets: Sequence[Captured]) -> list[int]:
    found = [place for place in range(1, len(packets)) if packets[place].at - packets[place - 1].at >= QUIET]
    return found[:: max(1, len(found) // CUTS)]


def comparable(found: Sequence[Finding]) -> list[tuple[object, ...]]:
    """Leave out how an account got to a new place: that it has travelled is told by the last hour alone."""
    told = [(each.at, each.detector, each.accounts) for each in found if each.detector == "takeover"]
    rest = [(each,) for each in found if each.detector != "takeover"]
    return [*dict.fromkeys(told), *rest]


@pytest.mark.parametrize("case", LEARNING, ids=name)
def test_a_case_cut_in_two_has_the_same_findings(case: Path, tmp_path: Path, opened: Callable[..., Store]) -> None:
    packets, policy, look = list(files.read(capture(case))), policy_of(case), look_of(case)
    whole = Life(policy, look)
    whole.feed(packets)
    for place in quiet_places(packets):
        found = in_two(packets, place, policy, look, opened(tmp_path / f"{place}.db"))
        assert comparable(found) == comparable(findings(whole.actions)), f"cut before packet {place + 1}"


def test_there_are_cases_that_find_something_and_can_be_cut_before() -> None:
    cut = [case.parent.name for case in LEARNING if quiet_places(list(files.read(capture(case))))]
    assert {"firstabroad", "takeover", "newdestination", "testcall"} <= set(cut)
