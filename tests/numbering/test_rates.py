"""The deck finds the longest prefix, as a naive search does; its packed form is the same deck or a ValueError."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipguard.call import Rate
from sipguard.model import MICROSECOND, MINUTE, SECOND
from sipguard.numbering.rates import MOST_MICROS, Deck, unpack


def priced(prefix: str, per_minute: int = 10_000, name: str = "somewhere") -> Rate:
    return Rate(prefix, name, per_minute, 0, 60, 60)


PREFIX = st.from_regex(r"\A[1-9][0-9]{0,14}\Z") | st.from_regex(r"\A[12][0-3]{0,5}\Z") | st.just("")
RATE = st.builds(
    Rate,
    PREFIX,
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Zs"]), max_size=8),
    st.integers(0, MOST_MICROS),
    st.integers(0, MOST_MICROS),
    st.integers(1, 3600),
    st.integers(1, 3600),
)
RATES = st.lists(RATE, unique_by=lambda rate: rate.prefix, max_size=40)
NUMBER = st.from_regex(r"\A\+[0-9]{0,20}\Z") | st.from_regex(r"\A\+[12][0-3]{0,8}\Z")


def longest(rates: Sequence[Rate], e164: str) -> Rate | None:
    fits = [rate for rate in rates if e164[1:].startswith(rate.prefix)]
    return max(fits, key=lambda rate: len(rate.prefix), default=None)


@settings(max_examples=300)
@given(RATES, st.lists(NUMBER, max_size=20))
def test_the_longest_prefix_is_the_one_a_naive_search_finds(rates: list[Rate], numbers: list[str]) -> None:
    deck = Deck("EUR", rates)
    again = unpack(deck.pack())
    own = [f"+{rate.prefix}{more}" for rate in rates for more in ("", "0", "9", "99")]
    for number in (number for number in [*numbers, *own] if number != "+"):
        assert deck.rate(number) == longest(rates, number)
        assert again.rate(number) == longest(rates, number)


@given(RATES)
def test_what_is_packed_is_what_was_there_in_whatever_order(rates: list[Rate]) -> None:
    deck = Deck("EUR", rates)
    again = unpack(deck.pack())
    assert again.currency == "EUR"
    assert sorted(again.rates()) == sorted(rates)
    assert len(again) == len(rates)
    assert again.pack() == deck.pack()
    assert {*Deck("EUR", rates[::-1]).rates()} == {*rates}


@given(st.text(max_size=20))
def test_any_text_has_a_rate_or_none(text: str) -> None:
    deck = Deck("EUR", [priced("44"), priced("")])
    for number in (text, f"+{text}"):
        deck.rate(number)
    assert deck.rate("44") is None
    assert deck.rate("") is None
    assert deck.rate("+") is None
    assert deck.rate("+٤٤") is None, "digits, but not those of E.164"
    found = deck.rate("+4420")
    assert type(found) is Rate
    assert found.prefix == "44"


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 255))
def test_damaged_bytes_are_a_value_error_or_the_same_deck(noise: bytes, at: int, byte: int) -> None:
    good = Deck("EUR", [priced("44"), priced("447", 20_000), priced("252")]).pack()
    changed = bytearray(good)
    changed[at % len(good)] = byte
    for damaged in (noise, good[: at % len(good)], good + noise, bytes(changed), good[:8] + noise):
        try:
            deck = unpack(damaged)
        except ValueError:
            continue
        assert list(deck.rates()) == list(unpack(good).rates())


@given(st.data())
def test_bytes_with_a_good_checksum_and_nonsense_in_them_never_break_a_look_up(data: st.DataObject) -> None:
    head = struct.Struct("=8sIIIIII")
    good = Deck("EUR", [priced("1"), priced("12"), priced("123"), priced("2")]).pack()
    fields = head.unpack_from(good)
    body = bytearray(zlib.decompress(good[head.size :]))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    forged = head.pack(*fields[:-1], zlib.crc32(body)) + zlib.compress(bytes(body))
    try:
        deck = unpack(forged)
    except ValueError:
        return
    for number in ("+1", "+12", "+1234567", "+2", "+999999999999999", "+0"):
        found = deck.rate(number)
        assert found is None or found.cost(MINUTE) >= 0


def test_a_small_head_that_promises_much_is_refused_before_anything_is_unpacked() -> None:
    bomb = struct.pack("=8sIIIIII", b"sgrates1", 1_000_000, 1_000_000, 2_000_000, 1 << 31, 3, 0)
    with pytest.raises(ValueError, match="sizes"):
        unpack(bomb + zlib.compress(bytes(1000)))


@pytest.mark.parametrize(
    "bad",
    [
        [priced("0")],
        [priced("044")],
        [priced("4a")],
        [priced("٤٤")],
        [priced("1" * 16)],
        [priced("44"), priced("44")],
        [priced(""), priced("")],
        [priced("44", -1)],
        [priced("44", MOST_MICROS + 1)],
        [Rate("44", "", 0, 0, 0, 1)],
        [Rate("44", "", 0, 0, 1, 3601)],
    ],
)
def test_a_deck_of_impossible_rates_is_not_made(bad: list[Rate]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Deck("EUR", bad)


def test_a_number_cut_short_never_gets_the_price_of_a_longer_prefix() -> None:
    deck = Deck("EUR", [priced("44", 1), priced("4470", 9), priced("44700000000000", 5)])
    for number, price in (("+44", 1), ("+447", 1), ("+4470", 9), ("+447000", 9), ("+447000000000001234567", 5)):
        found = deck.rate(number)
        assert found is not None
        assert found.per_minute == price


# A minute costs 0.10 at most; by hand: seconds billed, then price * billed / 60, rounded up to the micro.
COSTS = [
    # per minute, connect, first, step, answered, cost in micros
    (100_000, 0, 60, 6, 61 * SECOND, 110_000),  # 66 s
    (100_000, 0, 60, 6, 60 * SECOND, 100_000),
    (100_000, 0, 60, 6, 60 * SECOND + 1, 110_000),
    (100_000, 0, 60, 6, 1, 100_000),
    (100_000, 0, 1, 1, 61 * SECOND, 101_667),  # 101,666.67
    (100_000, 0, 60, 60, 61 * SECOND, 200_000),
    (100_000, 50_000, 30, 6, 31 * SECOND, 110_000),  # 36 s: 60,000, and the fee
    (100_000, 50_000, 30, 6, 0, 100_000),  # answered for an instant: 30 s
    (1, 0, 1, 1, SECOND, 1),  # a sixtieth of a micro is one
    (1, 0, 1, 1, 61 * SECOND, 2),
    (0, 20_000, 1, 1, 3600 * SECOND, 20_000),
    (7_300, 0, 60, 60, 3600 * SECOND, 438_000),
    (7_300, 0, 1, 1, 3599 * SECOND + MICROSECOND, 438_000),
]


@pytest.mark.parametrize(("per_minute", "connect", "first", "step", "answered", "cost"), COSTS)
def test_a_call_costs_what_was_worked_out_by_hand(
    per_minute: int, connect: int, first: int, step: int, answered: int, cost: int
) -> None:
    rate = unpack(Deck("EUR", [Rate("44", "", per_minute, connect, first, step)]).pack()).rate("+442079460000")
    assert rate is not None
    assert rate.cost(answered) == cost
