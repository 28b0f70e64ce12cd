"""Price lists as products and carriers write them are read as meant; what is wrong is said by line, never raised.

The lists are made here in the style of each product's export; none is anybody's.
"""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.call import Rate
from sipguard.numbering.deckfile import SHOWN, DeckFile, read
from sipguard.numbering.rates import unpack

TODAY = date(2026, 11, 22)


def deck(text: str | bytes, currency: str = "EUR") -> DeckFile:
    return read(text.encode() if isinstance(text, str) else text, TODAY, currency)


def terms(found: DeckFile) -> dict[str, tuple[int, int, int, int]]:
    assert found.errors == ()
    return {rate.prefix: rate[2:] for rate in found.deck.rates()}


STYLES = {
    "astpp": (
        "Code,Destination,Connect Cost,Included Seconds,Per Minute Cost,Initial Increment,Increment\n"
        '44,"UK, fixed",0.01,0,0.02,60,6\n'
    ),
    "astpp with currency": (
        "Code,Destination,Connection Cost (EUR),Grace Time,Cost / Min (EUR),Initial Increment,Increment\n"
        '44,"UK, fixed",0.01,0,0.02,60,6\n'
    ),
    "a2billing": (
        "dialprefix;destination;rateinitial;initblock;billingblock;connectcharge;startdate;stopdate\n"
        "44;UK, fixed;0,02;60;6;0,01;2025-01-01 00:00:00;2035-01-01 00:00:00\n"
    ),
    "cgrates": (
        "#Tag,Prefix,Destination,ConnectFee,Rate,RateUnit,RateIncrement,GroupIntervalStart,Initial Increment\n"
        'UK,+44,"UK, fixed",0.01,0.02,60s,6s,0s,60s\n'
    ),
    "kazoo": (
        "prefix,iso_country_code,description,rate_cost,rate_increment,rate_minimum,rate_surcharge,direction\n"
        '44,GB,"UK, fixed",0.02,6,60,0.01,outbound\n'
        '44,GB,"UK, fixed",0.50,6,60,0.01,inbound\n'
    ),
    "yeastar": (
        "Name,Match Prefix,Number Length,Rate,Billable Unit(s),Initial Time(s),Initial Cost\n"
        '"UK, fixed",0044,,0.002,6,60,0.03\n'
    ),
    "carrier": (
        "*** Rates effective 2026-01-01 ***\n"
        "Any complaint within ten days, in writing; no refunds\n\n"
        "Country\tCountry Code\tArea Codes\tPrice\tConnect Fee\tBilling Increment\tEffective Date\n"
        '"UK, fixed"\t44\t\t€ 0.02\t0.01\t60/6\t01/31/2026\n'
    ),
    "excel": 'sep=;\r\nPräfix;Land;Preis (ct/min);Verbindungsentgelt;Takt\r\n="0044";UK, fixed;2,0;0,01;60/6\r\n',
    "old mac": "prefix,destination,rate,connect fee,increments\r44,UK fixed,0.02,0.01,60/6\r",
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_same_price_in_every_style_and_encoding(style: str, encoding: str) -> None:
    found = deck(STYLES[style].encode(encoding))
    assert found.deck.currency == "EUR"
    assert terms(found) == {"44": (20_000, 10_000, 60, 6)}
    assert unpack(found.deck.pack()).rate("+442079460000") == next(found.deck.rates())


def test_names_in_windows_1252_are_read() -> None:
    found = deck("prefix;name;rate\n262;Réunion;0,1\n".encode("cp1252"))
    assert found.deck.rate("+262123") == Rate("262", "Réunion", 100_000, 0, 60, 60)
    assert found.warning_count == 2  # the encoding, the increments


def test_many_prefixes_in_a_cell_have_the_same_price() -> None:
    found = deck('prefix,rate,increments\n"44 7, 44 8",0.1,1/1\n447400-447409,0.2,1/1\ndefault,9,60/60\n')
    assert {prefix: each[0] for prefix, each in terms(found).items()} == {
        "447": 100_000,
        "448": 100_000,
        "44740": 200_000,
        "": 9_000_000,
    }


# --- Twice the same, and dates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "price"),
    [
        ("44,0.1,2026-01-01\n44,0.2,2025-01-01", 100_000),  # the later, though cheaper
        ("44,0.2,2025-01-01\n44,0.1,2026-01-01", 100_000),
        ("44,0.1,2026-01-01\n44,0.2,2027-01-01", 100_000),  # not in force yet
        ("44,0.1,\n44,0.2,", 200_000),  # the dearer
        ("44,0.2,\n44,0.1,", 200_000),
        ("44,0.2,\n44,0.1,2026-11-22", 100_000),  # today
    ],
)
def test_of_two_prices_the_later_counts_then_the_dearer_and_it_is_said(rows: str, price: int) -> None:
    found = deck(f"prefix,rate,effective date\n{rows}\n")
    assert terms(found)["44"][0] == price
    assert any(problem.line == 3 for problem in found.warnings)


def test_an_attacker_who_appends_a_cheap_row_changes_no_price() -> None:
    """Whoever can append to the list but not date it cannot make a dear destination cheap."""
    found = deck("prefix,rate\n252,0.9\n252,0.0001\n")
    assert terms(found)["252"][0] == 900_000


def test_the_same_row_twice_is_no_news() -> None:
    assert deck("prefix,rate,increments\n44,1,1/1\n44,1,1/1\n").warning_count == 0


def test_expired_prices_and_those_of_incoming_calls_are_not_used() -> None:
    found = deck("prefix,rate,stop date,direction\n44,1,2026-11-21,outbound\n45,1,,inbound\n46,1,2026-11-22,\n")
    assert [*terms(found)] == ["46"]


def test_a_day_that_may_be_a_month_is_read_as_the_others_show_or_asked_for() -> None:
    clear = deck("prefix,rate,effective date\n44,1,31/01/2026\n44,2,01/12/2026\n")
    assert terms(clear)["44"][0] == 1_000_000  # 1 December is not yet; January 12 would have been
    unclear = deck("prefix,rate,effective date\n44,2,01/12/2026\n")
    assert [problem.line for problem in unclear.errors] == [2]


# --- What is wrong ----------------------------------------------------------------------------------------------------


def test_every_error_has_its_line_and_the_good_rows_are_read() -> None:
    found = deck(
        "prefix,destination,rate,connect fee,increments,effective date,currency\n"
        "44,a,0.01,0,1/1,,EUR\n"
        "45,b,-0.01,0,1/1,,EUR\n"
        "0800,c,0.01,0,1/1,,EUR\n"
        "46,d,,0,1/1,,EUR\n"
        "47,e,0.01,x,1/1,,EUR\n"
        "48,f,0.01,0,a/b,,EUR\n"
        "49,g,0.01,0,1/1,never,EUR\n"
        "4.4E+10,h,0.01,0,1/1,,EUR\n"
        "50,i,0,02,0,1/1,,EUR\n"
        "51,j,9999999,0,1/1,,EUR\n"
        "52,k,0.01,0,1/1,,quatloos\n"
        '53,"l,0.01,0,1/1,,EUR\n'
    )
    assert [problem.line for problem in found.errors] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert not found.usable
    assert [rate.prefix for rate in found.deck.rates()] == ["44"]


def test_so_many_errors_are_shown_and_the_others_counted() -> None:
    found = deck("prefix,rate\n" + "x,1\n" * 1000)
    assert found.error_count == 1000
    assert len(found.errors) == SHOWN + 1
    assert "900 more errors" in found.errors[-1].what


def test_a_thousand_or_a_decimal_is_asked_for_where_the_file_shows_both() -> None:
    assert [problem.line for problem in deck('prefix,rate\n44,0.05\n45,"1,234"\n').errors] == [3]
    assert terms(deck("prefix;rate\n44;0,05\n45;1,234\n"))["45"][0] == 1_234_000


@pytest.mark.parametrize(
    ("text", "given", "wanted"),
    [
        ("prefix,rate,currency\n44,1,usd\n", "", "USD"),
        ("prefix,rate\n44,$1\n", "USD", "USD"),
        ("prefix,rate\n44,£1\n", "", "GBP"),
        ("prefix,rate (CHF)\n44,1\n", "", "CHF"),
        ("prefix,rate_usd\n44,1\n", "", "USD"),
        ("prefix,rate\n44,1 EUR\n45,EUR 2\n", "", "EUR"),
        ("prefix,rate\n44,1\n", "EUR", "EUR"),
        ("prefix,rate\n44,1\n", "", None),
        ("prefix,rate\n44,$1\n", "", None),
        ("prefix,rate\n44,$1\n", "EUR", None),
        ("prefix,rate\n44,1 EUR\n45,1 USD\n", "", None),
        ("prefix,rate,currency\n44,1,USD\n", "EUR", None),
        ("prefix,rate (USD)\n44,1 EUR\n", "", None),
    ],
)
def test_there_is_one_currency_and_it_has_a_name(text: str, given: str, wanted: str | None) -> None:
    found = deck(text, given)
    assert found.usable == (wanted is not None)
    assert not wanted or found.deck.currency == wanted


def test_without_a_header_columns_are_guessed_where_there_is_one_way_only() -> None:
    found = deck("44,UK,0.01\n447,UK mobile,0.05\n")
    assert {prefix: each[0] for prefix, each in terms(found).items()} == {"44": 10_000, "447": 50_000}
    assert "no header" in found.warnings[0].what
    for text in ("44,1,1\n", "", "44,0.1,0.2\n", "UK,0.1\n", "\n\n"):
        assert not deck(text).usable


def test_a_list_of_warnings_alone_is_used() -> None:
    found = deck("prefix,rate\n44,0\n45,500\n")
    assert found.usable
    assert found.warning_count == 3  # nothing to pay, too much to pay, no increments


# --- Bounds -----------------------------------------------------------------------------------------------------------


def test_a_quotation_mark_that_is_not_closed_costs_its_own_row_only() -> None:
    found = deck('prefix,name,rate\n44,5" wide,1\n' + "".join(f"{n},x,1\n" for n in range(100, 200)))
    assert [problem.line for problem in found.errors] == [2]
    assert len(found.deck) == 100


def test_too_many_bytes_and_too_long_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipguard.numbering.deckfile.MOST_BYTES", 100)
    assert not deck("x" * 101).usable
    monkeypatch.undo()
    assert [problem.line for problem in deck("prefix,rate\n44,1\n45," + "1" * 20_000 + "\n").errors] == [3]


def test_too_many_lines_and_too_many_prefixes_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipguard.numbering.decktext.MOST_LINES", 3)
    assert deck("prefix,rate\n44,1\n45,1\n46,1\n").error_count == 1
    monkeypatch.undo()
    monkeypatch.setattr("sipguard.numbering.deckfile.MOST_ROWS", 2)
    found = deck('prefix,rate\n"44,45,46",1\n')
    assert (found.usable, len(found.deck)) == (False, 2)


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_deck_or_errors(data: bytes) -> None:
    for each in (data, b"prefix,rate,increments,effective date\n" + data, b"\xff\xfe" + data):
        found = deck(each)
        assert found.usable == (not found.errors)
        assert unpack(found.deck.pack()).currency == found.deck.currency


CELL = st.text("0123456789.,-+/$e ", max_size=8) | st.sampled_from(["44", "0.1", "60/6", '"', "44-47", "USD", "€"])


@settings(max_examples=200)
@given(st.lists(st.lists(CELL, max_size=6).map(";".join), max_size=8))
def test_any_table_is_a_deck_or_errors(rows: list[str]) -> None:
    header = "prefix;rate;connect fee;first increment;next increment;currency\n"
    found = deck(header + "\n".join(rows))
    assert all(rate.per_minute >= 0 and rate.step >= 1 for rate in found.deck.rates())
