"""The registries' files as they are, and as they must not be: cut short, of another kind, or empty."""

from __future__ import annotations

import pytest

from sipguard.errors import AdapterError
from sipguard.geo.delegated import read

HEAD = "2|ripencc|1700000000|{count}|19830705|20231114|+0100"
LINES = """\
ripencc|*|asn|*|1|summary
ripencc|*|ipv4|*|6|summary
ripencc|*|ipv6|*|1|summary
ripencc|DE|asn|64500|1|20200101|allocated|abc
ripencc|DE|ipv4|192.0.2.0|256|20200101|allocated|abc
ripencc|FR|ipv4|198.51.100.0|96|20200101|assigned|def
ripencc||ipv4|203.0.113.0|128||available|
ripencc|ZZ|ipv4|203.0.113.128|64||reserved|
ripencc|ZZ|ipv4|203.0.113.192|32|20200101|allocated|x
ripencc|nl|ipv6|2001:db8::|32|20200101|allocated|ghi""".splitlines()
COUNT = 7


def text(lines: list[str], count: int = COUNT) -> list[str]:
    return [HEAD.format(count=count), *lines]


def test_networks_that_are_in_use_are_read_and_cut_into_prefixes() -> None:
    found = read("ripencc", text(LINES))
    assert [(str(network), country) for network, country in found.networks] == [
        ("192.0.2.0/24", "DE"),
        ("198.51.100.0/26", "FR"),
        ("198.51.100.64/27", "FR"),
        ("2001:db8::/32", "NL"),
    ]
    assert found.built == 1_699_920_000
    assert found.passed_over == 0


def test_comments_windows_line_ends_and_a_missing_last_field_do_not_matter() -> None:
    lines = ["# a comment", *(line + "\r\n" for line in text([line.rpartition("|")[0] for line in LINES]))]
    assert read("ripencc", lines).networks == read("ripencc", text(LINES)).networks


@pytest.mark.parametrize(
    "line",
    [
        "ripencc|DE|ipv4|300.1.1.1|256|20200101|allocated|x",
        "ripencc|DE|ipv4|192.0.2.0|many|20200101|allocated|x",
        "ripencc|DE|ipv4|255.255.255.0|512|20200101|allocated|x",
        "ripencc|DE|ipv4|192.0.2.0|0|20200101|allocated|x",
        "ripencc|DE|ipv6|2001:db8::1|32|20200101|allocated|x",
        "ripencc|DE|ipv6|2001:db8::|129|20200101|allocated|x",
        "ripencc|DE|ipv6|192.0.2.0|24|20200101|allocated|x",
        "ripencc|GERMANY|ipv4|192.0.2.0|256|20200101|allocated|x",
        "ripencc|DE|ipv4|192.0.2.0|99999999999999999999|20200101|allocated|x",
    ],
)
def test_a_line_that_cannot_be_meant_is_passed_over_and_counted(line: str) -> None:
    found = read("ripencc", text([*LINES, line], COUNT + 1))
    assert len(found.networks) == 4
    assert found.passed_over == 1


def test_a_file_that_breaks_off_is_refused() -> None:
    with pytest.raises(AdapterError, match="breaks off"):
        read("ripencc", text(LINES[:-2]))


@pytest.mark.parametrize("lines", [[], ["<html>"], ["<html>|a|b|c|d|e|f"], ["2|x|1|none|1|2|3"], text(LINES[:4], 1)])
def test_what_is_no_such_file_or_holds_nothing_is_refused(lines: list[str]) -> None:
    with pytest.raises(AdapterError):
        read("ripencc", lines)
