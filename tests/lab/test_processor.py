"""What a hypervisor keeps from this machine is read as proc(5) has it, and nothing where the kernel tells nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.processor import Moment, had, moment, starved

TICKS = os.sysconf("SC_CLK_TCK")


def test_the_eighth_figure_of_the_first_line_is_read(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(f"cpu  1 2 3 4 5 6 7 {250 * TICKS} 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert moment(stat).stolen == 250.0


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h i\n"])
def test_where_the_kernel_tells_nothing_nothing_was_kept(tmp_path: Path, text: str) -> None:
    stat = tmp_path / "stat"
    stat.write_text(text)
    assert moment(stat).stolen == 0.0
    assert moment(tmp_path / "absent").stolen == 0.0


def test_time_that_was_kept_is_not_counted_and_never_less_than_none() -> None:
    assert had(Moment(10.0, 1.0), Moment(12.5, 2.0)) == 1.5
    assert had(Moment(10.0, 1.0), Moment(12.5, 5.0)) == 0.0


def test_a_twentieth_of_all_processors_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert not starved(Moment(0.0, 0.0), Moment(10.0, 2.0))
    assert starved(Moment(0.0, 0.0), Moment(10.0, 2.1))
