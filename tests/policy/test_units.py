"""Durations, sizes, networks and host names are read in one writing only, and written back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.model import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from sipguard.policy import units
from sipguard.policy.units import UnfitError


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("10m", 10 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("90s", 90 * SECOND),
        ("7d", 7 * DAY),
        ("500ms", 500 * MILLISECOND),
        ("1d2h3m4s5ms", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5 * MILLISECOND),
        ("0s", 0),
        ("36h", 36 * HOUR),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, span: int) -> None:
    assert units.parse_duration(text) == span


NO_DURATIONS = "10 m 10M 30m1h 1h1h 1.5h -1h +1h 1w 1hour \u0661m 1e3s 9999999999d 10ns"


@pytest.mark.parametrize("text", ["", "10 m", " 10m", "10m\n", "1h 5m", *NO_DURATIONS.split()])
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(UnfitError):
        units.parse_duration(text)


@given(st.integers(0, 400 * DAY // MILLISECOND).map(lambda count: count * MILLISECOND))
def test_a_duration_is_written_as_it_is_read(span: int) -> None:
    assert units.parse_duration(units.write_duration(span)) == span


def test_a_duration_is_said_in_words() -> None:
    assert units.say_duration(HOUR + 30 * MINUTE) == "1 hour 30 minutes"
    assert units.say_duration(0) == "no time"


@given(st.integers(0, 2**39))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert units.parse_size(units.write_size(size)) == size


@pytest.mark.parametrize("text", ["", "64", "64KB", "64kib", "64 KiB", "0.5MiB", "-1B", "1TiB", "64KiB\n", "٦B"])
def test_nothing_else_is_a_size(text: str) -> None:
    with pytest.raises(UnfitError):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("office.example.net", "office.example.net"),
        ("Office.Example.NET.", "office.example.net"),
        ("_sip._udp.example.com", "_sip._udp.example.com"),
        ("_sips._tcp.example.com", "_sips._tcp.example.com"),
        ("xn--bro-hoa.example", "xn--bro-hoa.example"),
        ("3com.example", "3com.example"),
        ("1.2.3.example", "1.2.3.example"),
        ("beef.cafe", "beef.cafe"),
    ],
)
def test_a_place_is_a_network_or_a_host_name(text: str, shown: str) -> None:
    assert str(units.parse_place(text)) == shown


NO_PLACES = """
. a a..b .a.b -a.example a-.example a_b.example a.b/24 a.b:5060 192.0.2 10/8 192.0.2.1/ 192.0.2.1/24 192.0.2.0/-1
192.0.2.0/024x 010.0.0.1 1.2.3.4.5 fe80::1%eth0 [::1] [::1]:5060 2001:db8:::1 ::/129 a.123 sip:a.example a@b.example
_sip.example.com _._udp.example.com \u00f6.example *.example.com _sip._udp. _sip._udp.a 0x7f.0.0.1 3232235777
\u0661.\u0662.\u0663.\u0664
"""


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2.1 ", " 192.0.2.1", "a.b\n", "192.0.2.1\n", f"a.{'b' * 64}", "a." * 127 + "bc", *NO_PLACES.split()],
)
def test_nothing_else_is_a_place(text: str) -> None:
    with pytest.raises(UnfitError):
        units.parse_place(text)


@given(st.text(max_size=300) | st.text(alphabet="0123456789abcdef.:/_-%[]", max_size=60))
def test_any_text_is_a_place_or_unfit(text: str) -> None:
    try:
        read = units.parse_place(text)
    except UnfitError:
        return
    assert units.parse_place(str(read)) == read
