"""A detector that is given what an earlier one had written goes on as that would have; only who pays teaches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import parse_address, parse_network
from sipguard.call import CallOrigin
from sipguard.detect import canary, catalogue, firstabroad, identity, newdestination, takeover, testcall, wangiri
from sipguard.event import AuthSucceeded, Recalled, Registered
from sipguard.learning import Learning
from sipguard.lesson import SITE, Lesson, Notes, learner_of
from sipguard.model import DAY, HOUR, SECOND, Account, Action, Finding, Lookups, Record, Transport
from sipguard.track.homes import EACH, Homes
from tests.detect.calling import ALICE, BOB, GERMAN, Calling, french, german, somali

Make: TypeAlias = Callable[[Notes], Any]
Step: TypeAlias = tuple[str, int, int]

FRAUD: dict[str, Make] = {
    "firstabroad": lambda notes: firstabroad.Detector(firstabroad.Config(learning=DAY, always=True), GERMAN, notes),
    "newdestination": lambda notes: newdestination.Detector(newdestination.Config(learning=DAY), GERMAN, notes),
    "testcall": lambda notes: testcall.Detector(testcall.Config(calls=2), GERMAN, notes),
    "wangiri": lambda notes: wangiri.Detector(wangiri.Config(), GERMAN, notes),
}
SOURCES = [parse_address(f"198.51.{number}.7") for number in range(4)]


class Living:
    """A detector and what stands behind it; `restart` makes another, of what was written."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self.lessons: dict[tuple[str, Account, str], Lesson] = {}
        self.writes = 0
        self._begin(0)

    def _begin(self, now: int) -> None:
        self._learning = Learning()
        self.detector = self._make(self._learning.notes)
        self._learning.adopt(now, (self.detector,))
        self._learning.restore(list(self.lessons.values()))
        assert not self._learning.begin(now), "all of it can be read"

    def write(self, now: int) -> None:
        actions: list[Action] = []
        self._learning.write(now, actions)
        for each in actions:
            assert isinstance(each, Record)
            assert isinstance(each.what, Lesson)
            self.writes += 1
            lesson = each.what
            key = lesson.detector, lesson.account, lesson.topic
            self.lessons.pop(key, None)
            if lesson.text:
                self.lessons[key] = lesson

    def restart(self, now: int) -> None:
        self.write(now)
        self._begin(now)


class Told(Calling):
    """Calls, as a life after the other hears of them."""

    def __init__(self, make: Make) -> None:
        self.living = Living(make)
        super().__init__(self.living.detector)

    def step(self, step: Step) -> None:
        what, who, where = step
        account, source = (ALICE, BOB)[who % 2], SOURCES[who]
        called = (somali, french, german)[where % 3](100 * where)
        if what == "call":
            self.call(called, 5 + 60 * (who % 2), account=account, source=source)
        elif what == "burst":
            for _ in range(2):
                self.end(self.begin(called, account=account, source=source), 486)
        elif what == "ring":
            self.rings(called.e164)
        else:
            self.wait((60, 3 * 3600, 25 * 3600)[where % 3])
        self.wait(1)

    def restart(self) -> None:
        self.living.restart(self.now)
        self.detector = self.living.detector


STEPS = st.lists(
    st.tuples(st.sampled_from(("call", "burst", "ring", "wait", "wait")), st.integers(0, 3), st.integers(0, 5)),
    max_size=25,
)


@pytest.mark.parametrize("name", FRAUD)
@given(steps=STEPS, cuts=st.sets(st.integers(0, 25), max_size=3))
def test_calls_give_the_same_findings_with_restarts_and_without(name: str, steps: list[Step], cuts: set[int]) -> None:
    whole, cut = Told(FRAUD[name]), Told(FRAUD[name])
    for number, step in enumerate(steps):
        if number in cuts:
            cut.restart()
        whole.step(step)
        cut.step(step)
    assert cut.found == whole.found


def place(number: int) -> tuple[str, int]:
    return ("DE", "FR", "SO", "")[number], (64500, 64511, 64510, 0)[number]


LOOK = Lookups(lambda each: place(each[2])[0], lambda each: place(each[2])[1])
AGENTS = (b"Yealink SIP-T46S 66.86", b"MicroSIP/3.21", b"", b"\xff, \x00")


def takeovers(notes: Notes) -> takeover.Detector:
    return takeover.Detector(takeover.Config(settles=3 * DAY), LOOK, notes)


@given(
    steps=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 3), st.integers(1, 60)), max_size=25),
    cuts=st.sets(st.integers(0, 25), max_size=3),
)
def test_registrations_give_the_same_findings_with_restarts_and_without(
    steps: list[tuple[int, int, int, int]], cuts: set[int]
) -> None:
    """But for travel, that is told by the last hour alone: here nobody is that fast."""
    whole, cut = Living(takeovers), Living(takeovers)
    found: list[list[Finding]] = [[], []]
    now = 1_000 * SECOND
    for number, (who, where, device, hours) in enumerate(steps):
        now += hours * HOUR
        if number in cuts:
            cut.restart(now)
        for living, told in zip((whole, cut), found, strict=True):
            account = (ALICE, BOB)[who]
            event = Registered(now, SOURCES[where], account, b"", now + 1, AGENTS[device], proven=True)
            told.extend(living.detector.handlers[Registered](event))
            living.write(now)
    assert found[1] == found[0]


def success(at: int, account: Account) -> AuthSucceeded:
    return AuthSucceeded(at, SOURCES[0], 5060, Transport.UDP, account, "REGISTER", proven=True)


# --- Who teaches ------------------------------------------------------------------------------------------------------

UNPAID: list[dict[str, Any]] = [
    {"account": None},
    {"account": None, "source": None, "origin": CallOrigin.ORPHAN},
    {"origin": CallOrigin.FORWARDED},
    {"ambiguous": True},
]


@pytest.mark.parametrize("facts", UNPAID, ids=str)
def test_a_call_that_nobody_authenticated_for_makes_abroad_nobodys_habit(facts: dict[str, Any]) -> None:
    world = Told(FRAUD["firstabroad"])
    for each in range(50):
        world.call(french(each), 60, **facts)
    world.living.write(world.now)
    assert world.living.lessons == {}


@pytest.mark.parametrize("name", ["firstabroad", "newdestination", "testcall"])
def test_calls_that_come_in_teach_nothing_of_what_is_called(name: str) -> None:
    world = Told(FRAUD[name])
    for each in range(50):
        world.rings(somali(each).e164)
        world.comes(somali(each).e164, german())
    world.living.write(world.now)
    assert world.living.lessons == {}


def test_an_account_that_calls_home_all_day_has_one_lesson_that_is_written_once_a_day() -> None:
    world = Told(FRAUD["firstabroad"])
    for _ in range(3 * 24):
        world.call(german(), 60)
        world.wait(HOUR // SECOND - 60)
        world.living.write(world.now)
    assert list(world.living.lessons) == [("firstabroad", ALICE, "")]
    assert world.living.writes == 3


def test_who_calls_from_a_thousand_networks_has_one_lesson_of_eight_and_pushes_out_nobodys() -> None:
    world = Told(FRAUD["firstabroad"])
    world.call(german(), 60, account=BOB)
    for each in range(1000):
        world.call(german(), 1, source=parse_address(f"10.{each // 250}.{each % 250}.1"))
        world.living.write(world.now)
    lesson = world.living.lessons["firstabroad", ALICE, ""]
    assert len(lesson.text.split(",")) == 2 + 8
    assert ("firstabroad", BOB, "") in world.living.lessons


def test_names_that_wait_are_bounded_and_the_oldest_goes_first() -> None:
    notes = Notes(3)
    for each in "abcde":
        notes.note("d", Account(each, ""))
    notes.note("other", SITE)
    assert [account.username for account, _ in notes.waiting["d"]] == ["c", "d", "e"]
    assert (notes.lost, len(notes.waiting["other"])) == (2, 1)


# --- Each for itself --------------------------------------------------------------------------------------------------


def test_who_has_been_trusted_at_many_places_has_the_last_ones_and_is_told_of_in_order() -> None:
    living = Living(Homes)
    now = 1_000 * SECOND
    networks = [parse_network(f"192.0.2.{number}") for number in range(EACH + 3)]
    for network in networks:
        now += HOUR
        living.detector.trusted(now, ALICE, network)
    living.restart(now)
    told: list[Recalled] = living.detector.recalled(now)
    assert [each.source for each in told] == [network.address for network in networks[3:]]
    assert all(each.until <= each.at for each in told), "none of them is said to stand"
    assert living.detector.recalled(now + 40 * DAY) == []


def test_homes_are_bounded_and_the_account_longest_unseen_goes_first() -> None:
    homes = Homes(Notes(), 3)
    for number in range(5):
        homes.trusted(number, Account(str(number), ""), parse_network("192.0.2.1"))
    assert [account.username for account, _ in homes.known()] == ["2", "3", "4"]
    assert homes.counters() == {"homes": 3, "homes_evicted": 2}


def test_a_canary_sings_on_after_a_restart_and_one_that_was_withdrawn_does_not() -> None:
    living = Living(lambda notes: canary.Detector(canary.Config(watched=HOUR), notes))
    now = 1_000 * SECOND
    for round_ in range(3):
        for number in range(1000, 1010):
            account = Account(str(number), "pbx")
            event = Registered(now + round_ * HOUR, SOURCES[0], account, b"", now + DAY, b"", proven=True)
            living.detector.handlers[Registered](event)
    now += 3 * HOUR
    chosen = list(living.detector._canaries)
    assert len(chosen) == 5
    living.restart(now)
    assert list(living.detector._canaries) == chosen
    account = Account(chosen[0].decode(), "pbx")
    living.detector.handlers[Registered](Registered(now, SOURCES[0], account, b"", now + DAY, b"", proven=True))
    living.restart(now)
    assert list(living.detector._canaries)[:4] == chosen[1:]
    assert chosen[0] in living.detector._used


def test_a_name_that_an_account_has_kept_to_is_its_own_after_a_restart() -> None:
    living = Living(lambda notes: identity.Detector(identity.Config(steady=3), notes))
    now = 1_000 * SECOND
    for _ in range(5):
        now += SECOND
        living.detector.handlers[AuthSucceeded](success(now, ALICE))
    living.restart(now)
    living.detector._sent.put((SOURCES[0], "REGISTER", BOB.username), b"1001", SOURCES[0])
    found = living.detector.handlers[AuthSucceeded](success(now, BOB))
    assert [each.identifier for each in found] == ["taken"]


def test_every_detector_that_learns_is_given_the_notes_that_are_written() -> None:
    notes = Notes()
    made = catalogue.Detectors(notes=notes)
    made.adopt(catalogue.Config())
    learners = [each for each in map(learner_of, made.all) if each is not None]
    assert sorted(each.learns for each in learners) == sorted({*FRAUD, "takeover", "canary", "identity"})
    assert all(each._notes is notes for each in learners)  # type: ignore[attr-defined]
