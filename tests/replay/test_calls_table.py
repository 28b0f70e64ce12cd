"""What `pcaps/calls/*/calls.toml` says is what tshark reads in the captures, to the millisecond and the cent."""

from __future__ import annotations

import csv
import functools
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

FAMILY = Path(__file__).resolve().parents[2] / "pcaps" / "calls"
CASES = sorted(path.parent for path in FAMILY.glob("*/traffic.pcap"))
FIELDS = (
    "frame.time_relative", "ip.dst", "ipv6.dst", "sip.CSeq.method", "sip.Call-ID", "sip.Method", "sip.Status-Code",
    "sip.r-uri.user", "sip.auth.username",
)  # fmt: skip
Row = Mapping[str, object]

pytestmark = pytest.mark.lab("tshark")


@dataclass(slots=True)
class Read:
    """A dialog as tshark reads it: times in seconds from the first packet."""

    number: str = ""
    target: str = ""
    usernames: set[str] = field(default_factory=set)
    answered: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    byes: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)


@functools.cache
def dialogs(case: Path) -> dict[str, Read]:
    """Read the dialogs of a capture, by Call-ID, without registrations."""
    command = [
        "tshark",
        "-n",
        "-r",
        str(case / "traffic.pcap"),
        "-Y",
        "sip && sip.CSeq.method != REGISTER",
        "-T",
        "fields",
    ]
    command += [part for name in FIELDS for part in ("-e", name)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found: dict[str, Read] = {}
    for line in done.stdout.splitlines():
        at, v4, v6, method, call_id, asked, code, number, username = line.split("\t")
        read = found.setdefault(call_id, Read(number, v4 or v6))
        read.usernames.update(name.strip('"') for name in username.split(",") if name)
        if asked == "BYE":
            read.byes.append(float(at))
        if method == "INVITE" and code:
            read.codes.append(int(code))
        if code == "200" and method in ("INVITE", "BYE"):
            (read.answered if method == "INVITE" else read.ended).append(float(at))
    return found


def table(case: Path) -> list[Row]:
    """Give the calls of a case."""
    rows = tomllib.loads((case / "calls.toml").read_text(encoding="utf-8"))["call"]
    assert isinstance(rows, list)
    return rows


def legs(row: Row) -> list[str]:
    """Give the Call-IDs that a call names."""
    outside = row.get("outside", [])
    assert isinstance(outside, list)
    return [str(row[name]) for name in ("coming", "inside", "joined") if name in row] + outside


def paying(row: Row, read: Mapping[str, Read]) -> Read:
    """Give the leg whose times count."""
    outside = row.get("outside")
    return read[str(outside[-1] if isinstance(outside, list) else row["coming"])]


def price(e164: str, seconds: Decimal) -> Decimal:
    """Give the cost by the deck of the family."""
    with (FAMILY / "rates.csv").open(encoding="utf-8", newline="") as file:
        rates = [row for row in csv.DictReader(file) if e164.removeprefix("+").startswith(row["prefix"])]
    rate = max(rates, key=lambda row: len(row["prefix"]))
    billed, step = (Decimal(part) for part in rate["increment"].split("/"))
    while billed < seconds:
        billed += step
    return Decimal(rate["connect_fee"]) + Decimal(rate["rate"]) * billed / 60


def test_there_are_cases() -> None:
    assert len(CASES) == 17


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_of_calls_has_all_its_parts(case: Path) -> None:
    assert {path.name for path in case.iterdir()} >= {"README.md", "calls.toml", "expected.jsonl", "policy.toml"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table_names_every_dialog_and_no_other(case: Path) -> None:
    assert {leg for row in table(case) for leg in legs(row)} == set(dialogs(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table_has_the_times_that_tshark_reads(case: Path) -> None:
    read = dialogs(case)
    for row in table(case):
        leg = paying(row, read)
        if "code" in row:
            assert (leg.answered, leg.codes[-1]) == ([], row["code"])
            continue
        assert round(leg.answered[0], 3) == row["answered_at"]
        if "bye_at" in row:
            assert (round(leg.byes[0], 3), leg.ended) == (row["bye_at"], [])
            continue
        assert round(leg.ended[-1], 3) == row["ended_at"]
        assert round(Decimal(str(row["ended_at"])) - Decimal(str(row["answered_at"])), 3) == Decimal(
            str(row["answered"])
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table_has_the_numbers_and_accounts_that_tshark_reads(case: Path) -> None:
    read = dialogs(case)
    for row in table(case):
        leg = paying(row, read)
        assert leg.number == row["e164"]
        assert leg.target == row.get("carrier", "192.0.2.10")
        if row.get("known_by") == "authentication":
            assert read[str(row["inside"])].usernames == {row["account"]}
            assert read[str(row["inside"])].number == row["dialled"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table_has_the_cost_that_the_deck_gives(case: Path) -> None:
    for row in table(case):
        e164 = str(row["e164"])
        if "bye_at" in row:
            first = Decimal(str(row["answered_at"]))
            ends = [(str(row["least_cost"]), row["bye_at"]), (str(row["most_cost"]), row["given_up_at"])]
            assert [Decimal(cost) for cost, _ in ends] == [price(e164, Decimal(str(end)) - first) for _, end in ends]
        elif row["direction"] == "inbound" or "code" in row:
            assert row["cost"] == "0"
        else:
            assert Decimal(str(row["cost"])) == price(e164, Decimal(str(row["answered"])))
