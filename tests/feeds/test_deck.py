"""The price list on the disk: handed out when it is good and has changed, every trouble told once."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import pytest

from sipguard.errors import AdapterError
from sipguard.feeds.deck import NO_DECK, DeckWatch, Loaded, Refused, read_deck
from sipguard.numbering.rates import unpack

TODAY = date(2026, 11, 22)
GOOD = "prefix,rate,increments\n44,0.01,1/1\n252,0.9,60/60\n"


def put(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def test_a_good_list_is_handed_out_once_for_each_version(tmp_path: Path) -> None:
    path, watch = tmp_path / "rates.csv", DeckWatch()
    put(path, GOOD)
    first = watch.look(str(path), "EUR", TODAY)
    assert isinstance(first, Loaded)
    assert (first.currency, first.prefixes) == ("EUR", 2)
    assert unpack(first.packed).rate("+2521234567") is not None
    assert watch.look(str(path), "EUR", TODAY) is None
    put(path, GOOD + "371,0.5,1/1\n")
    second = watch.look(str(path), "EUR", TODAY)
    assert isinstance(second, Loaded)
    assert second.prefixes == 3


def test_another_currency_or_another_day_reads_it_again(tmp_path: Path) -> None:
    path, watch = tmp_path / "rates.csv", DeckWatch()
    put(path, "prefix,rate,effective date\n44,0.01,2026-01-01\n44,0.02,2026-11-23\n")
    assert isinstance(watch.look(str(path), "EUR", TODAY), Loaded)
    assert isinstance(watch.look(str(path), "USD", TODAY), Loaded)
    tomorrow = watch.look(str(path), "USD", TODAY + timedelta(days=1))
    assert isinstance(tomorrow, Loaded)
    rate = unpack(tomorrow.packed).rate("+44123")
    assert rate is not None
    assert rate.per_minute == 20_000


def test_a_bad_list_is_refused_with_its_lines_and_told_once(tmp_path: Path) -> None:
    path, watch = tmp_path / "rates.csv", DeckWatch()
    put(path, GOOD)
    watch.look(str(path), "EUR", TODAY)
    put(path, GOOD + "x,1,1/1\n")
    refused = watch.look(str(path), "EUR", TODAY)
    assert isinstance(refused, Refused)
    assert [problem.line for problem in refused.problems] == [4]
    assert watch.look(str(path), "EUR", TODAY) is None
    put(path, GOOD)
    assert isinstance(watch.look(str(path), "EUR", TODAY), Loaded)


def test_a_list_that_is_not_there_is_told_once_and_used_when_it_comes(tmp_path: Path) -> None:
    path, watch = tmp_path / "rates.csv", DeckWatch()
    refused = watch.look(str(path), "EUR", TODAY)
    assert isinstance(refused, Refused)
    assert str(path) in refused.problems[0].what
    assert watch.look(str(path), "EUR", TODAY) is None
    put(path, GOOD)
    assert isinstance(watch.look(str(path), "EUR", TODAY), Loaded)


def test_no_list_wanted_is_told_when_there_was_one(tmp_path: Path) -> None:
    path, watch = tmp_path / "rates.csv", DeckWatch()
    assert watch.look("", "", TODAY) is None
    put(path, GOOD)
    watch.look(str(path), "EUR", TODAY)
    assert watch.look("", "", TODAY) == NO_DECK
    assert watch.look("", "", TODAY) is None


def test_a_pipe_a_directory_and_an_impossible_name_are_adapter_errors(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "missing", Path("a\0b")):
        with pytest.raises(AdapterError):
            read_deck(path, TODAY, "EUR")
        assert isinstance(DeckWatch().look(str(path), "EUR", TODAY), Refused)
