"""What was learned, on disk: exact, the latest of each, the least recent first; others' lessons push out nobody's."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from sipguard.lesson import SITE
from sipguard.model import DAY, HOUR, SECOND, Account, Lesson
from sipguard.store import lessonrows
from sipguard.store.database import Store
from tests.store.test_calls import NOW, OFFSET, WILD, Open


def lesson(
    text: str = "7", *, ago: int = HOUR, account: Account = WILD, detector: str = "d", topic: str = ""
) -> Lesson:
    return Lesson(NOW - ago, detector, account, topic, text)


def given(store: Store, later: int = 0) -> list[Lesson]:
    return list(store.state(OFFSET + later, NOW - later).lessons or ())


def test_lessons_come_back_exactly_in_the_order_in_which_they_were_written_also_after_a_reboot(
    tmp_path: Path, opened: Open
) -> None:
    nouns = [
        lesson(),
        lesson(account=SITE, topic="25\udcff"),
        lesson("a b,c", ago=-DAY, topic="u"),
        lesson(ago=400 * DAY, topic="t"),
    ]
    store = opened(tmp_path / "a.db")
    store.apply(nouns, OFFSET)
    store.close()
    assert given(opened(tmp_path / "a.db")) == nouns
    booted = given(opened(tmp_path / "a.db"), 50 * DAY)
    assert [each.at for each in booted] == [each.at - 50 * DAY for each in nouns]
    assert [delta for page in opened(tmp_path / "a.db").pages(OFFSET, NOW, 1) for delta in page] == nouns


def test_in_whatever_order_copies_come_the_latest_stays(tmp_path: Path, opened: Open) -> None:
    first, last = lesson("1", ago=2 * HOUR), lesson("2", ago=HOUR)
    for number, order in enumerate(itertools.permutations([first, last, first])):
        store = opened(tmp_path / f"{number}.db")
        for each in order:
            store.apply([each], OFFSET)
        assert given(store) == [last]
        store.apply([lesson("", ago=2 * HOUR)], OFFSET)
        assert given(store) == [last]
        store.apply([lesson("", ago=HOUR)], OFFSET)
        assert given(store) == []


def test_what_was_written_before_the_clock_was_set_back_does_not_stand_in_the_way(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    store.apply([lesson("future", ago=-4000 * DAY), lesson("gone", ago=-4000 * DAY, topic="t")], OFFSET)
    store.write([(each, OFFSET) for each in (lesson("now"), lesson("", topic="t"))], (), NOW + OFFSET)
    assert [each.text for each in given(store)] == ["now"]


def test_a_detector_that_is_full_forgets_its_own_and_what_was_written_first(tmp_path: Path, opened: Open) -> None:
    """The clock was wrong for a while: what was written then is neither the first to go nor there for ever."""
    store = opened(tmp_path / "a.db", lessons=10)
    others = [lesson(detector="other", topic=str(number), ago=100 * DAY) for number in range(10)]
    store.apply(others, OFFSET)
    store.apply([lesson(topic="future", ago=-4000 * DAY), lesson(topic="unset", ago=20_000 * DAY)], OFFSET)
    store.apply([lesson(topic=f"{number:04}") for number in range(2000)], OFFSET)
    store.apply([lesson(topic="0007", ago=0)], OFFSET)  # written anew: the youngest now
    assert store.expire(OFFSET + NOW) == 2002 - 10
    left = given(store)
    assert [each for each in left if each.detector == "other"] == others
    assert [each.topic for each in left if each.detector == "d"] == [*(f"{n}" for n in range(1991, 2000)), "0007"]
    assert store.expire(OFFSET + NOW) == 0


def test_no_age_makes_anything_forgotten_and_no_clock(tmp_path: Path, opened: Open) -> None:
    store = opened(tmp_path / "a.db")
    nouns = [lesson(topic="old", ago=3000 * DAY), lesson(topic="new", ago=0)]
    store.apply(nouns, OFFSET)
    for wall in (OFFSET + NOW, OFFSET + NOW + 20_000 * DAY, SECOND):
        store.expire(wall)
    assert given(store) == nouns


def test_of_detectors_there_are_only_so_many(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessonrows, "DETECTORS", 2)
    store = opened(tmp_path / "a.db")
    store.apply([lesson(detector=name) for name in "abc"], OFFSET)
    store.expire(OFFSET + NOW)
    assert [each.detector for each in given(store)] == ["b", "c"]
