"""Sliding counters and paces."""

from __future__ import annotations

from sipguard.model import SECOND
from sipguard.window import Sliding, paced


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
