"""Two thousand dialled strings mean, under five dial plans, what the table beside this says (`make_table.py`)."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from sipguard.numbering.plans import Plans
from sipguard.numbering.world import World
from tests.numbering.make_table import ROWS, TABLE, Row, table
from tests.numbering.oracle import PLANS


def lines() -> list[Row]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [Row(*row) for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]


def test_the_table_has_two_thousand_lines_under_five_plans() -> None:
    assert Counter(row.plan for row in lines()) == dict.fromkeys(PLANS, ROWS)
    assert len(lines()) == 2000


def test_the_table_is_what_its_script_writes() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), "run tests/numbering/make_table.py"


@pytest.mark.parametrize("plan", PLANS)
def test_every_string_means_what_the_table_says(plan: str) -> None:
    plans = Plans(PLANS[plan], world=World())
    wrong = []
    for row in lines():
        if row.plan == plan:
            read = (plans.default if row.leg == "site" else plans.of_trunk("")).read(row.dialled.encode())
            if (read.e164, read.kind, read.country) != (row.e164, row.kind, row.country):
                wrong.append(f"{row} reads {read.e164} {read.kind} {read.country} {read.why}")
    assert not wrong, "\n".join(wrong)
