"""The seed list knows the destinations that carriers warn of; it scores, and never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.numbering.highrisk import _LIST, DATED, reason, risk

# FIELD: Latvia, Lithuania, Serbia, Somalia, both Congos, Chad, Gambia, Sierra Leone, Guinea, Pacific and Caribbean.
WARNED = "371 370 381 252 242 243 235 220 232 224 677 674 688 682 1876 1767 1473 1809 509"
SATELLITE_AND_PREMIUM = "8701 8816 8817 8818 8819 88213 88216 882 883 979 1900 449 49900 3389"


@pytest.mark.parametrize("prefix", [*WARNED.split(), *SATELLITE_AND_PREMIUM.split()])
def test_what_carriers_warn_of_has_a_high_score(prefix: str) -> None:
    assert risk(f"+{prefix}1234567") >= 6


@pytest.mark.parametrize(
    "number", ["+442079460000", "+4930123456", "+12025550100", "+61291234567", "+112", "+", "", "252"]
)
def test_what_is_not_listed_scores_nothing(number: str) -> None:
    assert risk(number) == 0


def test_the_longest_prefix_counts() -> None:
    personal, premium = reason("+447012345678"), reason("+449012345678")
    assert personal is not None
    assert premium is not None
    assert (personal.score, premium.score) == (7, 8)
    assert risk("+447912345678") == 0


@given(st.text(max_size=20))
def test_any_text_has_a_score_between_0_and_10(text: str) -> None:
    assert 0 <= risk(text) <= 10
    assert 0 <= risk(f"+{text}") <= 10


def test_every_entry_has_a_score_a_reason_and_a_source_and_stands_once() -> None:
    prefixes = [prefix for _, _, listed, _ in _LIST for prefix in listed.split()]
    assert len(prefixes) == len(set(prefixes))
    assert all(1 <= score <= 10 and sources and why for score, sources, _, why in _LIST)
    assert len(DATED) == 10
