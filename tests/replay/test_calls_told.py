"""What the engine makes of `pcaps/calls` is what their tables say: legs, origins, seconds and cents, each call once."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sipguard.call import MICROS, CallState
from sipguard.engine import Engine
from sipguard.model import SECOND, Action, Frame, Rates, Record, State
from sipguard.numbering.deckfile import read
from sipguard.policy.load import load
from sipguard.wire.link import strip
from sipguard.wire.pcap import Reader

FAMILY = Path(__file__).resolve().parents[2] / "pcaps" / "calls"
CASES = sorted(path.parent for path in FAMILY.glob("*/traffic.pcap"))


def told(case: Path) -> tuple[list[CallState], float]:
    """Give the outbound calls that the engine records of a case, the last word of each, and the first packet's time."""
    policy = load((case / "policy.toml").read_text(encoding="utf-8"))
    engine = Engine(policy, State())
    deck = read((FAMILY / "rates.csv").read_bytes(), date(2026, 1, 1), "EUR").deck
    assert deck is not None
    calls: dict[str, CallState] = {}
    first = last = 0

    def note(actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Record) and isinstance(action.what, CallState):
                calls[action.what.key] = action.what

    reader = Reader()
    for captured in reader.feed((case / "traffic.pcap").read_bytes()):
        if not first:
            first = captured.at
            engine.feed(first, Rates(deck.pack()))
        last = captured.at
        packet = strip(captured.linktype, captured.data)
        note(engine.feed(last, Frame(packet)) if packet is not None else ())
    while (due := engine.next_deadline()) is not None and due < last + 120 * SECOND:
        note(engine.advance(due))
    return sorted(calls.values(), key=lambda each: each.began), first


def cents(call: CallState) -> Decimal:
    """Give what a call cost, to a hundredth of a cent."""
    if not call.answered or call.rate is None:
        return Decimal(0)
    return Decimal(call.rate.cost(call.ended - call.answered)) / MICROS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_call_is_told_once_as_the_table_has_it(case: Path) -> None:
    rows: list[dict[str, Any]] = tomllib.loads((case / "calls.toml").read_text(encoding="utf-8"))["call"]
    outbound = [row for row in rows if row["direction"] == "outbound"]
    calls, first = told(case)
    said = [(str(each.origin), each.account.username if each.account else each.caller, each.e164) for each in calls]
    expected = [(row.get("then", row["origin"]), row["e164"]) for row in outbound]
    assert [(origin, e164) for origin, _, e164 in said] == expected
    known = [row["account"] for row in outbound if row["account"]]
    assert [whose for (_, whose, _), row in zip(said, outbound, strict=True) if row["account"]] == known
    blamed = [each.account for each, row in zip(calls, outbound, strict=True) if not row["account"]]
    assert blamed == [None] * len(blamed)
    for call, row in zip(calls, outbound, strict=True):
        if "answered" in row:
            assert round((call.answered - first) / SECOND, 3) == pytest.approx(row["answered_at"], abs=0.0011)
            assert round((call.ended - call.answered) / SECOND, 3) == pytest.approx(row["answered"], abs=0.0021)
        if "cost" in row:
            assert cents(call) == Decimal(row["cost"])
        elif "least_cost" in row:  # its end is in doubt
            assert not call.ended
