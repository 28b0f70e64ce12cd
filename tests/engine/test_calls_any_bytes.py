"""What holds of calls and money for any traffic: no exception, no counter below nothing, no call told twice or lost."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sipguard.address import Address, parse_address
from sipguard.call import CallOrigin, CallState, LimitReset, NumberClass, Rate
from sipguard.capture import files
from sipguard.decide.limitset import Scope
from sipguard.engine import Engine
from sipguard.model import (
    HOUR,
    MILLISECOND,
    MINUTE,
    SECOND,
    Account,
    Action,
    Frame,
    Hook,
    Instant,
    Order,
    OrderVerb,
    Origin,
    Rates,
    Record,
    State,
    Verdict,
)
from sipguard.numbering import deckfile
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.wire.link import strip

PCAPS = Path(__file__).resolve().parents[2] / "pcaps"
FRAUD = (
    "costlycalls",
    "firstabroad",
    "longcalls",
    "newdestination",
    "orphancalls",
    "prefixburst",
    "testcall",
    "tollfreepump",
    "wangiri",
)
STRICT = """
mode = "enforce"
pbx = ["192.0.2.10"]
[[trunk]]
name = "First"
addresses = ["203.0.113.10"]
channels = 3
calls_per_second = 2
daily_spend = 1
max_rate = 1
[[trunk]]
name = "Second"
addresses = ["203.0.113.20"]
[numbering]
country = "GB"
outside = ["9"]
[[group]]
name = "All"
accounts = ["100", "101", "1001"]
[limits]
misdials = 1
running = 100
subjects = 100
[limits.account]
calls = {warn = 1, critical = 2}
concurrent = {warn = 1, critical = 2}
duration = {warn = "10s", critical = "20s"}
spend_hour = {warn = 0.1, critical = 0.2}
[limits.group]
minutes = {critical = 1}
[calls]
home = ["GB"]
deny = ["premium", "SO"]
highest_rate = 3
[[calls.rule]]
trunks = ["Second"]
international = false
"""


def _packets() -> list[list[tuple[bytes, Hook]]]:
    """Read every recorded call and fraud, by case."""
    cases = []
    for path in sorted(
        [
            *PCAPS.glob("calls/*/traffic.pcap"),
            *(each for name in FRAUD for each in PCAPS.glob(f"{name}/*/traffic.pcap")),
        ]
    ):
        found = []
        for captured in list(files.read(path))[:120]:
            packet = strip(captured.linktype, captured.data)
            if packet is not None:
                found.append((packet, Hook.OUTPUT if packet[12:16] == bytes([192, 0, 2, 10]) else Hook.PREROUTING))
        cases.append(found)
    return cases


CASES = _packets()
DECK = Rates(deckfile.read((PCAPS / "calls" / "rates.csv").read_bytes(), date(2026, 1, 1)).deck.pack())
ORIGINS = (Origin.TAP, Origin.GATE, Origin.REHEARSAL)
GAPS = (0, MILLISECOND, SECOND, 33 * SECOND, 6 * MINUTE, HOUR)


def traffic(seed: int) -> list[tuple[int, bytes, Hook, Origin]]:
    """Take cases, mix them, and lose, repeat, turn round and mangle what is in them."""
    chance = Random(seed)
    packets = [each for _ in range(chance.randint(1, 3)) for each in chance.choice(CASES)]
    for _ in range(chance.randint(0, 20)):
        at, other = chance.randrange(len(packets)), chance.randrange(len(packets))
        packet, hook = packets[at]
        match chance.randrange(6):
            case 0 if len(packets) > 1:
                del packets[at]
            case 1:
                packets.insert(other, packets[at])
            case 2:
                packets[at], packets[other] = packets[other], packets[at]
            case 3:
                packets[at] = packet[: (cut := chance.randrange(len(packet)))] + packets[other][0][cut:], hook
            case _:
                changed = bytearray(packet)
                for _ in range(chance.randint(1, 6)):
                    changed[chance.randrange(min(28, len(changed) - 1), len(changed))] = chance.randrange(256)
                packets[at] = bytes(changed), hook
    origin = chance.choice(ORIGINS)
    return [(chance.choice(GAPS) if not chance.randrange(10) else MILLISECOND, *each, origin) for each in packets]


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
INSTANTS = st.one_of(st.just(0), st.integers(-(1 << 60), 1 << 60), st.integers(-HOUR, HOUR))
ADDRESSES: st.SearchStrategy[Address | None] = st.sampled_from(
    [None, parse_address("192.0.2.20"), parse_address("::1")]
)
RATES = st.one_of(
    st.none(),
    st.builds(
        Rate, TEXTS, TEXTS, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 600), st.integers(1, 600)
    ),
)
STATES: st.SearchStrategy[CallState] = st.builds(
    CallState,
    TEXTS,
    INSTANTS,
    INSTANTS,
    INSTANTS,
    st.one_of(st.none(), st.builds(Account, TEXTS, TEXTS)),
    TEXTS,
    ADDRESSES,
    st.sampled_from(CallOrigin),
    TEXTS,
    TEXTS,
    TEXTS,
    st.sampled_from(NumberClass),
    st.sampled_from(["", "SO", "GB"]),
    RATES,
    TEXTS,
)
RESETS = st.builds(LimitReset, INSTANTS, st.sampled_from([str(each) for each in Scope]), TEXTS)


class Watched:
    """An engine, and what was told of calls by it."""

    def __init__(self, policy: Policy, state: State) -> None:
        self.engine = Engine(policy, state)
        self.now: Instant = 10 * HOUR
        self.start = self.now
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.feed(DECK)

    def feed(self, what: Any, gap: int = 0) -> list[Action]:
        self.now += gap
        told = list(self.engine.feed(self.now, what))
        for each in told:
            if isinstance(each, Record) and isinstance(each.what, CallState):
                state = each.what
                assert not state.ended or state.ended >= min(state.began, self.start)
                assert state.cost >= 0
                self.begun[state.key] += not state.answered and not state.ended
                self.ended[state.key] += bool(state.ended)
        return told

    def check(self) -> None:
        limits = self.engine._tolls.limits
        for scope in Scope:
            for book in limits._shelf._books[scope].values():
                counts = book.running, book.expensive, book.committed, book.lasting, book.doubted, book.doubting
                assert min(counts) >= 0, (scope, book.name)
                assert all(sums is None or sums.total >= 0 for sums in book.sums)
        assert all(value >= 0 for value in self.engine.counters().values())
        assert all(count <= 1 for count in self.ended.values())


@settings(max_examples=40, phases=(Phase.explicit, Phase.generate))
@given(
    st.integers(0, 1 << 32), st.lists(STATES, max_size=6, unique_by=lambda each: each.key), st.lists(RESETS, max_size=3)
)
def test_no_packet_and_no_state_makes_calls_raise_or_a_counter_negative(
    seed: int, states: list[CallState], resets: list[LimitReset]
) -> None:
    policy = load(STRICT)
    watched = Watched(policy, State(calls=states, resets=resets))
    for number, (gap, packet, hook, origin) in enumerate(traffic(seed)):
        told = watched.feed(Frame(packet, hook, origin, 1), gap)
        if origin is Origin.GATE:
            assert sum(isinstance(each, Verdict) for each in told) == 1
        if number % 40 == 39:
            watched.feed(Order(OrderVerb.RESET, "1001", 0, scope="account"))
            watched.feed(load(STRICT.replace("misdials = 1", "misdials = 2") if number % 80 == 79 else STRICT))
    watched.check()
    for call in list(watched.engine._tracker.calls.live()):
        watched.feed(Order(OrderVerb.HANG_UP, call.key, 0))
    for gap in (MINUTE, HOUR, 25 * HOUR, 25 * HOUR, 25 * HOUR):
        watched.feed(Frame(b"", Hook.OUTPUT, Origin.TAP), gap)
    watched.check()
    assert list(watched.engine._tracker.calls.live()) == []
    limits = watched.engine._tolls.limits
    for scope in Scope:
        for book in limits._shelf._books[scope].values():
            counts = book.running, book.expensive, book.committed, book.lasting, book.doubted, book.doubting
            assert not any(counts), (scope, book.name)
