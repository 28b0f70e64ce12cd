"""The fuzzer itself works: it is repeatable, it finds what is broken, and a short run finds nothing."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz import engine
from tests.fuzz.invariants import cut_as_you_like
from tests.fuzz.mutate import MAX_LENGTH, mutate
from tests.fuzz.seeds import seeds


def test_a_short_run_without_a_corpus_finds_nothing() -> None:
    report = engine.run(1_500, 7, None, 1)
    assert report.failures == []
    assert (report.messages, report.failed) == (1_500, 0)
    assert report.octets > 0


def test_the_same_seed_gives_the_same_messages() -> None:
    starts = seeds(None)
    first, second, other = Random(3), Random(3), Random(4)
    messages = [mutate(first, starts) for _ in range(300)]
    assert messages == [mutate(second, starts) for _ in range(300)]
    assert messages != [mutate(other, starts) for _ in range(300)]
    assert max(map(len, messages)) <= MAX_LENGTH


def test_what_breaks_a_claim_is_counted_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes, random: Random) -> None:
        cut_as_you_like(data, random)
        raise ValueError(len(data))

    monkeypatch.setattr(engine, "check", broken)
    report = engine.run(50, 1, None, 1)
    assert report.failed == 50
    assert len(report.failures) == 20
    assert "ValueError" in report.failures[0]
    assert any("failures: 50" in line for line in report.lines())
