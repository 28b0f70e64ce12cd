"""Sliding counters and paces."""

from __future__ import annotations

from sipguard.model import SECOND
from sipguard.window import Crowd, Sliding, paced, party


def test_a_sliding_counter_forgets_what_is_as_old_as_its_span() -> None:
    counter = Sliding(10 * SECOND, 5)
    counter.mark(0)
    counter.mark(SECOND)
    assert counter.count(10 * SECOND) == 1
    assert counter.first() == SECOND


def test_a_pace_lets_one_burst_of_the_whole_budget_pass_and_no_more() -> None:
    due, at = 0, 1000 * SECOND
    for _ in range(100):
        due = paced(due, at, 100, 10 * SECOND)
        assert due - at <= 10 * SECOND
    assert paced(due, at, 100, 10 * SECOND) - at > 10 * SECOND


def test_a_pace_that_is_kept_is_never_overdrawn() -> None:
    due = 0
    for number in range(10_000):
        at = number * SECOND // 10
        due = paced(due, at, 100, 10 * SECOND)
        assert due - at <= 10 * SECOND


def test_a_crowd_is_so_many_marks_of_so_many_parties_within_a_span() -> None:
    crowd = Crowd()
    for at in range(6):
        crowd.mark(at, at % 3, 100, 100)
    assert crowd.shared(-1, 6, 3) == (0, 1, 2)
    assert crowd.shared(0, 6, 3) == ()
    assert crowd.shared(-1, 6, 4) == ()
    assert crowd.shared(-1, 4, 2, bits=1) == (0, 1)  # four marks of 0 and 1, of which two count, and two of 2
    crowd.forget(1)
    assert list(crowd.since(-1)) == [0, 2, 0, 2]


def test_one_party_of_a_crowd_cannot_push_out_the_others_nor_stand_for_them() -> None:
    crowd = Crowd()
    crowd.mark(1, 1, 10, 5)
    crowd.mark(2, 2, 10, 5)
    for at in range(3, 103):
        crowd.mark(at, 3, 10, 5)
    assert list(crowd.since(0)) == [1, 2, 3, 3, 3, 3, 3]
    assert crowd.shared(0, 7, 3) == ()  # four of the five count at the most


def test_a_crowd_keeps_the_newest_marks_up_to_its_limit() -> None:
    crowd = Crowd()
    for at in range(100):
        crowd.mark(at, at, 10, 10)
    assert (len(crowd), crowd.first()) == (10, 90)
    crowd.clear()
    assert (len(crowd), crowd.first()) == (0, 0)


def test_names_that_differ_have_different_numbers_below_two_to_the_sixty_fourth() -> None:
    numbers = {party(f"u{number}".encode()) for number in range(10_000)}
    assert len(numbers) == 10_000
    assert max(numbers) < 1 << 64
