"""What holds for any traffic: no exception, nothing exempt in any ban, and a state that folds back to itself."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.capture import files
from sipguard.engine import Engine
from sipguard.model import (
    ACCEPTED,
    HOUR,
    Decision,
    Frame,
    Held,
    Hook,
    Names,
    Offence,
    Order,
    OrderVerb,
    Origin,
    Record,
    Role,
    SetName,
    State,
    Trust,
    Verdict,
)
from sipguard.netset import NetSet
from sipguard.policy.schema import Policy
from sipguard.track import limits
from sipguard.wire.link import strip
from tests.engine.story import PBX, Story, udp

PCAPS = Path(__file__).resolve().parents[2] / "pcaps"
SEEDS = [
    packet
    for path in sorted(PCAPS.glob("*/*/traffic.pcap"))
    for captured in list(files.read(path))[:40]
    if (packet := strip(captured.linktype, captured.data)) is not None
]
HOOKS = st.sampled_from([Hook.PREROUTING, Hook.OUTPUT, Hook.FORWARD, Hook.UNKNOWN])
SOURCES = st.integers(1, 12).map(lambda host: f"203.0.113.{host}")
PREFIXES = st.sampled_from(["203.0.113.4", "203.0.113.0/29", "203.0.113.8/30", "203.0.113.0/24", "203.0.112.0/22"])


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Take a real packet and change some bytes of it, cut it, or put two together."""
    packet = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 8))):
        packet[draw(st.integers(0, len(packet) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(packet)))
    return bytes(packet[:cut]) if draw(st.booleans()) else bytes(packet)


@given(st.lists(st.tuples(st.one_of(mangled(), st.binary(max_size=200)), HOOKS), max_size=40))
def test_no_packet_makes_the_engine_raise_and_each_gate_frame_gets_one_verdict(
    packets: list[tuple[bytes, Hook]],
) -> None:
    engine = Engine(Policy(), State())
    for at, (packet, hook) in enumerate(packets):
        actions = engine.feed(at * 1_000_000, Frame(packet, hook, Origin.GATE))
        verdicts = [action for action in actions if isinstance(action, Verdict)]
        assert verdicts == [ACCEPTED] or len(verdicts) == 1
        assert actions[-1] is verdicts[0]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("guess"), SOURCES),
            st.tuples(st.just("register"), SOURCES),
            st.tuples(st.just("ban"), PREFIXES),
            st.tuples(st.just("unban"), PREFIXES),
            st.tuples(st.just("allow"), PREFIXES),
            st.tuples(st.just("own"), PREFIXES),
        ),
        max_size=40,
    )
)
def test_nothing_exempt_is_ever_held_as_blocked_or_throttled(steps: list[tuple[str, str]]) -> None:
    story = Story()
    for what, who in steps:
        if what == "guess":
            for _ in range(5):
                story.guess(who)
        elif what == "register":
            story.register(who)
        elif what in {"ban", "unban"}:
            story.tell(Order(OrderVerb(what), parse_network(who), HOUR))
        else:
            story.tell(Names(Role.ALLOWED if what == "allow" else Role.OWN, "test", (parse_network(who),)))
            exempt = NetSet([parse_network(who)])
            held = [each for each in story.engine.wanted() if each.set in {SetName.BLOCKED, SetName.THROTTLED}]
            assert not any(exempt.overlaps(each.network) for each in held)
        for each in story.engine.wanted():
            if each.set in {SetName.BLOCKED, SetName.THROTTLED}:
                assert not story.engine.spared(each.network)


@given(st.lists(st.tuples(st.sampled_from(["guess", "register", "leave", "wait"]), SOURCES), max_size=30))
def test_a_state_folded_from_the_records_wants_what_the_engine_wanted(steps: list[tuple[str, str]]) -> None:
    story = Story()
    for what, who in steps:
        if what == "guess":
            story.guess(who)
        elif what == "wait":
            story.wait(200)
        else:
            story.register(who, expires=600 if what == "register" else 0)
    decisions: dict[object, Decision] = {}
    trust: dict[object, Trust] = {}
    offences: dict[Network, Offence] = {}
    for action in story.actions:
        what_kept = action.what if isinstance(action, Record) else None
        if isinstance(what_kept, Decision):
            decisions[what_kept.subject] = what_kept
        elif isinstance(what_kept, Trust):
            trust[(what_kept.network, what_kept.account)] = what_kept
        elif isinstance(what_kept, Offence):
            offences[what_kept.network] = what_kept
    story.wait(0)
    live = [each for each in decisions.values() if each.until > story.now]
    state = State(live, list(offences.values()), [each for each in trust.values() if each.until > story.now])
    kept = {SetName.BLOCKED, SetName.THROTTLED, SetName.TRUSTED}
    assert wanted(Story(state=state), kept) == wanted(story, kept)


def wanted(story: Story, kept: set[SetName]) -> set[Held]:
    return {held for held in story.engine.wanted() if held.set in kept}


def test_a_spoofed_flood_from_one_network_fills_its_share_and_no_more() -> None:
    policy = Policy(track=limits.Config(transactions=1000, nonces=1000))
    story = Story(policy)
    story.register("198.51.100.20")
    for number in range(3000):  # one /24 of spoofed sources, with credentials that nobody can have
        source = f"203.0.113.{number % 250}"
        story.answer(story.ask(source, f"invented{number}", user=f"u{number}"), 401, nonce=f"n{number}")
    counters = story.engine.counters()
    assert counters["nonces"] == policy.track.nonces // 8 + 1  # its share, and the phone's one
    assert counters["transactions"] == policy.track.transactions // 8 + 1
    assert story.held(SetName.TRUSTED) == ["198.51.100.20"]
    assert story.held() == []


def test_a_frame_to_a_port_that_is_not_sips_is_not_read() -> None:
    story = Story()
    story.tell(Frame(udp("203.0.113.1", 1, PBX, 53, b"OPTIONS sip:x SIP/2.0\r\n\r\n"), Hook.PREROUTING))
    assert story.engine.counters()["other_ports"] == 1
    assert story.engine.counters()["messages"] == 0
