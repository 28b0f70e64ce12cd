"""Cells as people write them: each is read as meant, or refused in words."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.numbering.deckcells import CellError, amount, days, increments, prefixes, seconds


@pytest.mark.parametrize(
    ("cell", "country", "wanted"),
    [
        ("44", "", "44"),
        ("+44", "", "44"),
        ("0044", "", "44"),
        ("011 44", "", "44"),
        ('="44"', "", None),  # quotation marks are taken off before
        ("=44", "", "44"),
        ("'44", "", "44"),
        ("1-264", "", "1264"),
        ("44 7, 44 8", "", "447 448"),
        ("447;448|449", "", "447 448 449"),
        ("447400-447409", "", "44740"),
        ("447408-447411", "", "447408 447409 447410 447411"),
        ("32484-32487,32490", "", "32484 32485 32486 32487 32490"),
        ("7400-7409, 75", "44", "44740 4475"),
        ("", "44", "44"),
        ("defaultprefix", "", ""),
        ("*any", "", ""),
        ("", "", None),
        ("61 38,39", "", None),
        ("4.47E+11", "", None),
        ("_447[7-9]XX", "", None),
        ("abc", "", None),
        ("0", "", None),
        ("4" * 16, "", None),
        ("449-441", "", None),
        (",".join(["44"] * 1001), "", None),
    ],
)
def test_prefixes(cell: str, country: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(CellError):
            prefixes(cell, country)
    else:
        assert prefixes(cell, country) == (wanted.split() or [""])


@settings(max_examples=50)
@given(st.integers(1, 9_999), st.integers(1, 9_999))
def test_a_range_is_exactly_its_numbers(one: int, other: int) -> None:
    low, high = sorted((one, other))
    size = len(str(high))
    low = max(low, 10 ** (size - 1))
    found = prefixes(f"{low}-{high}")
    assert len(found) <= 18 * size
    covered = [number for number in range(10 ** (size - 1), 10**size) if any(str(number).startswith(p) for p in found)]
    assert covered == list(range(low, high + 1))


@pytest.mark.parametrize(
    ("cell", "micros"),
    [
        ("0.0123", 12_300),
        ("0,0123", 12_300),
        (".5", 500_000),
        ("5.", 5_000_000),
        ("12", 12_000_000),
        ("1.234,56", 1_234_560_000),
        ("1,234.56", 1_234_560_000),
        ("1'234.50", 1_234_500_000),
        ("1.2E-02", 12_000),
        ("0.00000001", 1),
        ("0.0000010", 1),
        ("0", 0),
        ("-0.1", None),
        ("(0.1)", None),
        ("1.2.3", None),
        ("abc", None),
        (".", None),
        ("1e99", None),
        ("9" * 70, None),
        ("2000000", None),
        ("", None),
        ("nan", None),
        ("٣", None),
    ],
)
def test_prices(cell: str, micros: int | None) -> None:
    if micros is None:
        with pytest.raises(CellError):
            amount(cell)
    else:
        assert amount(cell).micros == micros


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("60/6", (60, 6)),
        ("1/1", (1, 1)),
        ("60/60/6", (60, 6)),
        ("30+6", (30, 6)),
        ("6-6", (6, 6)),
        ("60", (60, 60)),
        ("60s / 6s", (60, 6)),
        ("1m", (60, 60)),
        ("", (0, 0)),
    ],
)
def test_increments(cell: str, wanted: tuple[int, int]) -> None:
    assert increments(cell) == wanted


@pytest.mark.parametrize("cell", ["60/6/6/6", "x", "-1", "99999", "1.5"])
def test_increments_that_are_none(cell: str) -> None:
    with pytest.raises(CellError):
        increments(cell)


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("2026-01-31", [date(2026, 1, 31)]),
        ("2026-01-31 00:00:00", [date(2026, 1, 31)]),
        ("20260131", [date(2026, 1, 31)]),
        ("31.01.2026", [date(2026, 1, 31)]),
        ("01.02.2026", [date(2026, 2, 1)]),
        ("31/01/2026", [date(2026, 1, 31)]),
        ("01/31/26", [date(2026, 1, 31)]),
        ("31-Jan-2026", [date(2026, 1, 31)]),
        ("Jan 31, 2026", [date(2026, 1, 31)]),
        ("01/02/2026", [date(2026, 1, 2), date(2026, 2, 1)]),
        ("0000-00-00 00:00:00", []),
        ("", []),
    ],
)
def test_days(cell: str, wanted: list[date]) -> None:
    assert list(days(cell)) == wanted


@pytest.mark.parametrize("cell", ["2026-02-30", "45200", "soon", "31/31/2026", "Foo 1, 2026"])
def test_days_that_are_none(cell: str) -> None:
    with pytest.raises(CellError):
        days(cell)


@given(st.text(max_size=40) | st.text("0123456789.,-+/e ;", max_size=30))
def test_any_cell_is_read_or_refused(cell: str) -> None:
    for read in (prefixes, amount, increments, days, seconds):
        with suppress(CellError):
            read(cell)
