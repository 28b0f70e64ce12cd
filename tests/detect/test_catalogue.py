"""What every detector owes: a page that is true, a table in the policy, and three recorded cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.detect.render import PAGES, SECTIONS, module_of, names, options, page, sections

PCAPS = Path(__file__).resolve().parents[2] / "pcaps"
# Recorded before there was one folder for each detector.
ELSEWHERE = {
    "credentials": ("register/guessing-port-hopping", "register/guessing-below", "evasion/compact-odd-case"),
    "samekey": ("register/four-under-one-key", "register/retransmission-storm", "evasion/leading-bytes"),
}


@pytest.mark.parametrize("name", names())
def test_a_detector_says_what_an_operator_wants_to_know(name: str) -> None:
    found = sections(name)
    assert tuple(found) == SECTIONS
    assert all(found.values())


@pytest.mark.parametrize("name", names())
def test_the_options_that_are_told_are_those_that_are_there(name: str) -> None:
    told = [each.strip() for each in sections(name)["Options"].split(",")]
    assert told == options(name)
    assert told[0] == "enabled"
    assert told[-1] == "then"


@pytest.mark.parametrize("name", names())
def test_the_page_is_this_programs(name: str) -> None:
    assert (PAGES / f"{name}.md").read_text(encoding="utf-8") == page(name), "run python -m tests.detect.render"


def test_no_page_is_left_of_a_detector_that_is_gone() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(names())


@pytest.mark.parametrize("name", names())
def test_a_detectors_name_is_its_files(name: str) -> None:
    assert name == module_of(name).NAME


@pytest.mark.parametrize("name", names())
def test_a_detector_has_a_case_that_fires_one_below_and_an_evasion(name: str) -> None:
    if name in ELSEWHERE:
        fires, below, evasion = (PCAPS / each for each in ELSEWHERE[name])
    else:
        fires, below = PCAPS / name / "fires", PCAPS / name / "below"
        evasion = next(iter(sorted((PCAPS / name).glob("evasion*"))), PCAPS / name / "evasion")
    mark = f'"detector":"{name}"'
    assert mark in (fires / "expected.jsonl").read_text(encoding="utf-8")
    assert mark not in (below / "expected.jsonl").read_text(encoding="utf-8")
    assert (evasion / "expected.jsonl").exists()
    assert list(evasion.glob("traffic.pcap*"))
