"""Trust, exemptions, the ladder, orders, and what survives."""

from __future__ import annotations

from dataclasses import replace

from sipguard.address import parse_network
from sipguard.decide import ladder
from sipguard.model import (
    ACCEPTED,
    DAY,
    EVERY_OTHER,
    HOUR,
    MINUTE,
    SECOND,
    Account,
    Alert,
    Decision,
    DecisionVerdict,
    Frame,
    Held,
    Hook,
    Names,
    Offence,
    Order,
    OrderVerb,
    Origin,
    Pair,
    Record,
    Role,
    Sensor,
    SensorKind,
    SetName,
    State,
    Trust,
    Verdict,
    VerdictKind,
)
from sipguard.policy.schema import Policy, Strangers, Trunk
from tests.engine.story import PBX, START, Story, udp

GUESSER = "203.0.113.66"
OFFICE = "198.51.100.20"


def guesses(story: Story, source: str = GUESSER, count: int = 5, user: str = "1001") -> None:
    for _ in range(count):
        story.guess(source, user=user)


def state_of(story: Story) -> State:
    """Fold the deltas that a story recorded, as the store does."""
    deltas = [each.what for each in story.actions if isinstance(each, Record)]
    return State(
        decisions=[each for each in deltas if isinstance(each, Decision) and each.until > story.now],
        offences=[each for each in deltas if isinstance(each, Offence)],
        trust=[each for each in deltas if isinstance(each, Trust)],
    )


def test_a_registration_earns_trust_for_as_long_as_it_stands() -> None:
    story = Story()
    story.register(OFFICE, expires=120)
    assert story.held(SetName.TRUSTED) == [OFFICE]
    story.wait(119)
    assert story.held(SetName.TRUSTED) == [OFFICE]
    story.wait(2)
    assert story.held(SetName.TRUSTED) == []


def test_unregistering_ends_trust_unless_another_phone_is_there() -> None:
    story = Story()
    story.register(OFFICE, user="1001")
    story.register(OFFICE, user="1002")
    story.register(OFFICE, user="1001", expires=0)
    assert story.held(SetName.TRUSTED) == [OFFICE]
    story.register(OFFICE, user="1002", expires=0)
    assert story.held(SetName.TRUSTED) == []


def test_whoever_failed_on_another_account_is_not_trusted_for_its_own() -> None:
    story = Story()
    story.guess(GUESSER, user="1001")
    story.register(GUESSER, user="own")
    assert story.held(SetName.TRUSTED) == []


def test_whoever_guesses_and_then_gets_it_right_is_not_trusted() -> None:
    story = Story()
    guesses(story, count=3)
    story.register(GUESSER)
    assert story.held(SetName.TRUSTED) == []


def test_one_wrong_password_costs_no_trust() -> None:
    story = Story()
    story.guess(OFFICE)
    story.register(OFFICE)
    assert story.held(SetName.TRUSTED) == [OFFICE]


def test_a_failing_source_is_watched() -> None:
    story = Story()
    story.register(OFFICE)
    story.guess(OFFICE, user="1002")
    assert story.held(SetName.WATCHED) == [OFFICE]


def test_an_office_with_one_wrong_phone_is_not_banned_and_the_phone_is_named() -> None:
    story = Story()
    story.register(OFFICE, user="1001")
    for _ in range(120):
        story.guess(OFFICE, user="1050")
        story.wait(30)
    assert story.ordered() == []
    alerts = [each for each in story.actions if isinstance(each, Alert)]
    assert "1050" in alerts[0].text
    assert story.decisions()[0].subject == Pair(parse_network(OFFICE), Account("1050", "pbx"))


def test_a_guesser_in_an_office_costs_the_office_nothing_but_the_accounts_that_are_not_healthy() -> None:
    story = Story()
    story.register(OFFICE, user="1001")
    story.register(OFFICE, user="1002")
    for count in range(100):
        story.guess(OFFICE, user=f"2{count:03}")
    assert story.ordered() == []
    (decision,) = story.decisions()
    assert decision.verdict is DecisionVerdict.QUARANTINE
    assert decision.subject == Pair(parse_network(OFFICE), EVERY_OTHER)
    assert story.held(SetName.WATCHED) == [OFFICE]


def test_a_guesser_that_first_registers_its_own_account_is_banned_by_its_speed() -> None:
    story = Story()
    story.register(GUESSER, user="own")
    guesses(story, count=60, user="1001")
    assert story.held() == [GUESSER]


def test_allowed_trunk_and_own_networks_are_reported_and_never_banned() -> None:
    policy = Policy(
        allowed=(parse_network("203.0.113.0/26"),),
        trunks=(Trunk("carrier", (parse_network("203.0.113.66"),)),),
    )
    for source, role in (("203.0.113.5", "allowed"), (GUESSER, "trunk"), ("2001:db8:0:1::bad", "own")):
        story = Story(policy)
        guesses(story, source, 10)
        assert story.held() == []
        assert {decision.verdict for decision in story.decisions()} == {DecisionVerdict.EXEMPT}
        assert {decision.rule for decision in story.decisions()} == {role}


def test_addresses_that_are_no_senders_are_never_banned() -> None:
    story = Story()
    for source in ("fe80::bad", "127.0.0.9", "224.0.0.1", "0.0.0.0"):
        guesses(story, source, 10)
        story.tell(Order(OrderVerb.BAN, parse_network(source), HOUR))
    assert story.ordered() == []


def test_each_further_ban_lasts_longer_until_the_maximum_and_memory_ends() -> None:
    policy = Policy(ban=ladder.Config(first=HOUR, factor=4, maximum=10 * HOUR, memory=DAY))
    story = Story(policy)
    spans = []
    for _ in range(4):
        guesses(story)
        last = story.decisions()[-1]
        spans.append(last.until - last.at)
        story.wait((last.until - story.now) / SECOND + 1)
    assert spans == [HOUR, 4 * HOUR, 10 * HOUR, 10 * HOUR]
    story.wait(DAY / SECOND + 1)
    guesses(story)
    last = story.decisions()[-1]
    assert last.until - last.at == HOUR


def test_a_ban_ends_by_itself_and_its_traffic_is_not_read_meanwhile() -> None:
    story = Story()
    guesses(story)
    before = story.engine.counters()["messages"]
    guesses(story)
    story_messages = story.engine.counters()["messages"] - before
    assert story.engine.counters()["shut_out"] == 10
    assert story_messages == 10  # only the PBX's answers, which a live PBX would not even have sent
    story.wait(3601)
    assert story.held() == []


def test_state_of_earlier_records_brings_back_bans_offences_and_trust() -> None:
    story = Story()
    story.register(OFFICE)
    guesses(story)
    later = Story(state=state_of(story))
    later.now = story.now
    assert later.held() == [GUESSER]
    assert later.held(SetName.TRUSTED) == [OFFICE]
    later.wait(3601)
    guesses(later)
    assert later.decisions()[-1].offence == 2


def test_bans_found_in_the_kernel_are_adopted_and_told() -> None:
    held = Held(SetName.BLOCKED, parse_network(GUESSER), START + HOUR)
    story = Story(state=State(adopted=[held]))
    story.wait(1)
    assert story.held() == [GUESSER]
    assert [decision.because for decision in story.decisions()] == [("adopted",)]


def test_a_ban_by_order_is_refused_for_whom_the_policy_allows() -> None:
    story = Story(Policy(allowed=(parse_network("203.0.113.0/26"),)))
    story.tell(Order(OrderVerb.BAN, parse_network("203.0.113.0/24"), HOUR, "spite"))
    assert story.held() == []
    assert story.decisions()[-1].verdict is DecisionVerdict.EXEMPT


def test_ban_and_unban_by_order() -> None:
    story = Story()
    story.tell(Order(OrderVerb.BAN, parse_network("2001:db8:bad::1"), 2 * HOUR))
    assert story.held() == ["2001:db8:bad::/64"]
    assert story.decisions()[-1].until == story.now + 2 * HOUR
    story.tell(Order(OrderVerb.UNBAN, parse_network("2001:db8:bad::/64")))
    assert story.held() == []
    story.tell(Order(OrderVerb.BAN, parse_network("203.0.113.0/24"), HOUR))
    guesses(story)
    assert story.findings() == []  # what the kernel drops is not read


def test_unbanning_forgives_so_that_the_next_ban_is_a_first_one() -> None:
    story = Story()
    guesses(story)
    story.tell(Order(OrderVerb.UNBAN, parse_network(GUESSER)))
    guesses(story)
    assert story.decisions()[-1].offence == 1


def test_an_address_that_becomes_allowed_is_let_go() -> None:
    story = Story()
    guesses(story)
    story.tell(Policy(allowed=(parse_network("203.0.113.0/24"),)))
    assert story.held() == []
    assert story.held(SetName.ALLOWED) == ["203.0.113.0/24"]
    story.tell(Policy())
    assert story.held(SetName.ALLOWED) == []


def test_a_resolved_name_is_allowed_and_replaced_when_it_moves() -> None:
    policy = Policy(trunks=(Trunk("carrier", (), ("sip.example.net",)),))
    story = Story(policy)
    story.tell(Names(Role.TRUNK, "sip.example.net", (parse_network(GUESSER),)))
    guesses(story, count=10)
    assert story.held() == []
    story.tell(Names(Role.TRUNK, "sip.example.net", (parse_network("203.0.113.67"),)))
    assert story.held(SetName.ALLOWED) == ["203.0.113.67"]
    story.tell(replace(policy, trunks=()))
    assert story.held(SetName.ALLOWED) == []


def test_a_closed_guard_reads_no_stranger_but_hears_answers() -> None:
    story = Story(Policy(strangers=Strangers.CLOSED, allowed=(parse_network("198.51.100.0/24"),)))
    guesses(story, count=10)
    assert story.findings() == []
    story.register(OFFICE)
    assert story.held(SetName.TRUSTED) == [OFFICE]


def test_a_gate_frame_is_answered_with_exactly_one_verdict() -> None:
    story = Story()
    for payload in (b"\r\n\r\n", b"junk", b"OPTIONS sip:x SIP/2.0\r\n\r\n"):
        done = story.inbound(GUESSER, 5060, payload, Origin.GATE)
        assert list(done) == [ACCEPTED]
    done = story.tell(Frame(b"", Hook.PREROUTING, Origin.GATE))
    assert list(done) == [ACCEPTED]
    guesses(story)
    done = story.tell(Frame(udp(GUESSER, 1, PBX, 5060, b"x"), Hook.PREROUTING, Origin.GATE))
    assert [each.kind for each in done if isinstance(each, Verdict)] == [VerdictKind.DROP]


def test_what_was_lost_is_counted_and_told_once_a_minute() -> None:
    story = Story()
    for _ in range(10):
        story.tell(Sensor(SensorKind.TAP_LOST, 7))
    assert story.engine.counters()["tap-lost"] == 70
    assert len([each for each in story.actions if isinstance(each, Alert)]) == 1
    story.now += 2 * MINUTE
    story.tell(Sensor(SensorKind.TAP_LOST, 1))
    assert len([each for each in story.actions if isinstance(each, Alert)]) == 2


def test_an_input_from_before_now_is_taken_as_of_now() -> None:
    story = Story()
    story.register(OFFICE, expires=60)
    story.wait(30)
    story.now -= 1000 * SECOND
    guesses(story)
    assert story.decisions()[-1].at >= START
