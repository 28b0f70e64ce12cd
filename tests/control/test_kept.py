"""What is gathered of an earlier life: every noun comes out as it went in, and bans take little room."""

from __future__ import annotations

import tracemalloc

from sipguard.address import Network, parse_network
from sipguard.control.kept import Kept
from sipguard.model import Account, Decision, DecisionVerdict, Held, Offence, SetName, Trust

HOME = parse_network("192.0.2.1")
ACCOUNT = Account("1001", "pbx")


def decision(verdict: DecisionVerdict, until: int = 7, rule: str = "ban.first") -> Decision:
    return Decision(1, verdict, HOME, until, ("credentials",), rule)


def test_what_comes_out_is_what_went_in_and_in_its_order() -> None:
    ordered = decision(DecisionVerdict.BLOCK, rule="order")
    ward = Decision(1, DecisionVerdict.QUARANTINE, ACCOUNT, 5, ("x",), "y")
    nouns = [
        decision(DecisionVerdict.BLOCK),
        Offence(HOME, 2, 9),
        ordered,
        decision(DecisionVerdict.THROTTLE),
        Trust(HOME, ACCOUNT, 3),
        ward,
        decision(DecisionVerdict.BLOCK, 0),
    ]
    bans = [
        Held(SetName.BLOCKED, HOME, 7),
        ordered,
        Held(SetName.THROTTLED, HOME, 7),
        ward,
        Held(SetName.BLOCKED, HOME),
    ]
    kept = Kept(nouns)
    assert len(kept) == len(nouns)
    assert list(kept) == [bans[0], nouns[1], ordered, bans[2], nouns[4], ward, bans[4]]
    assert list(kept.decisions()) == bans == list(kept.decisions()), "it may be gone through again"
    assert kept.of(Offence) == [nouns[1]]
    assert kept.of(Trust) == [nouns[4]]


def test_an_end_beyond_all_numbers_of_64_bits_is_kept() -> None:
    assert list(Kept([decision(DecisionVerdict.BLOCK, 1 << 70)])) == [Held(SetName.BLOCKED, HOME, 1 << 70)]


def test_a_ban_that_waits_takes_no_object_of_its_own() -> None:
    networks, many = [Network(number.to_bytes(4), 32) for number in range(20_000)], 20_000
    bans = [Held(SetName.BLOCKED, network, 1 << 60) for network in networks]
    kept = Kept()
    tracemalloc.start()
    try:
        for ban in bans:
            kept.add(ban)
        assert tracemalloc.get_traced_memory()[0] < 24 * many
    finally:
        tracemalloc.stop()
