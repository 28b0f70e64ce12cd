"""Where no packet may be touched, the gate tells what it would have done, and everything else is as without it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import parse_network
from sipguard.decide.dialled import Config as Refuse
from sipguard.decide.rehearsal import EACH_MINUTE, TOLD_MOST
from sipguard.model import (
    MILLISECOND,
    Action,
    Alert,
    Frame,
    Hook,
    Names,
    Origin,
    Record,
    Role,
    SetName,
    Verdict,
    VerdictKind,
)
from sipguard.policy.schema import Policy
from tests.engine.gated import ACK, PSH, SYN, tcp, text
from tests.engine.story import PBX, Sent, Story, udp

STRANGER = "203.0.113.66"
OFFICE = "198.51.100.20"
SCANNER = "User-Agent: friendly-scanner"
KINDS = ("accept", "drop", "defer", "refuse")


def came(story: Story, source: str, payload: bytes, *, origin: Origin = Origin.REHEARSAL) -> list[Action]:
    """Let a datagram arrive that goes on whatever is said of it: there is no verdict."""
    said = list(story.inbound(source, 5062, payload, origin))
    assert not any(isinstance(each, Verdict) for each in said)
    return said


def would(story: Story) -> dict[str, int]:
    """Give what the gate would have done so far, and never did."""
    counts = story.engine.counters()
    assert not any(counts[f"gate_{kind}"] for kind in VerdictKind)
    return {kind: counts[f"would_{kind}"] for kind in KINDS if counts[f"would_{kind}"]}


def told(story: Story) -> list[tuple[str, str]]:
    return [(each.kind, each.subject) for each in story.actions if isinstance(each, Alert)]


def guess(story: Story, number: int, nonce: str) -> None:
    came(story, STRANGER, text("REGISTER", number, nonce=nonce))


def answered(story: Story, number: int, nonce: str) -> None:
    sent = Sent(STRANGER, 5062, "REGISTER", f"REGISTER-{number}", number + 1, f"z9hG4bKREGISTER{number}", "1001")
    story.answer(sent, 401, nonce=nonce)


# --- What is told -----------------------------------------------------------------------------------------------------


def test_a_packet_that_would_have_been_dropped_is_counted_each_time_and_told_once() -> None:
    story = Story()
    for _ in range(3):
        came(story, STRANGER, text("OPTIONS", 1, more=SCANNER))
    came(story, STRANGER, text("OPTIONS", 2))
    assert would(story) == {"accept": 1, "drop": 3}
    assert told(story) == [("would-drop", STRANGER)]


def test_guesses_too_many_would_have_waited_and_are_judged_by_the_pbx_all_the_same() -> None:
    story = Story()
    came(story, STRANGER, text("REGISTER", 90))
    answered(story, 90, "mine")
    for number in range(7):
        guess(story, number, "mine")
    assert would(story) == {"accept": 6, "defer": 2}
    assert told(story) == [("would-defer", STRANGER)]
    for number in range(7):
        answered(story, number, f"next{number}")
    assert story.held() == [STRANGER]  # it was heard that each of them was wrong


def test_a_call_that_would_have_been_refused_is_told_as_that_and_goes_on() -> None:
    story = Story(Policy(refuse=Refuse(destinations=("+252",))))
    packet = udp(PBX, 5060, "198.51.100.99", 5060, text("INVITE", 1).replace(b"sip:2000@", b"sip:0025261000@"))
    said = story.tell(Frame(packet, Hook.OUTPUT, Origin.REHEARSAL))
    assert would(story) == {"refuse": 1}
    assert told(story) == [("would-refuse", "refuse.destinations")]
    assert "would have been refused" in next(each.text for each in said if isinstance(each, Alert))


def test_over_tcp_each_message_is_told_of() -> None:
    story = Story()
    ends = (STRANGER, 40_000, PBX, 5060)
    back = (*ends[2:], *ends[:2])
    stream = text("OPTIONS", 1, more=SCANNER) + text("OPTIONS", 2)
    for packet, hook in (
        (tcp(*ends, 999, 0, SYN, b""), Hook.PREROUTING),
        (tcp(*back, 8_999, 1_000, SYN | ACK, b""), Hook.OUTPUT),
        (tcp(*ends, 1_000, 9_000, ACK | PSH, stream), Hook.PREROUTING),
    ):
        story.tell(Frame(packet, hook, Origin.REHEARSAL))
    assert would(story) == {"accept": 1, "drop": 1}


def test_a_crowd_of_forged_senders_does_not_drown_what_else_is_told() -> None:
    story = Story()
    for number in range(2 * TOLD_MOST):
        came(story, f"100.{64 + (number >> 8)}.{number & 255}.1", text("OPTIONS", number, more=SCANNER))
    assert would(story) == {"drop": 2 * TOLD_MOST}
    alerts = [kind for kind, _ in told(story) if kind == "would-drop"]
    assert EACH_MINUTE <= len(alerts) <= EACH_MINUTE + 3
    assert story.engine.counters()["would_untold"] == 2 * TOLD_MOST - len(alerts)


# --- What would have been held ----------------------------------------------------------------------------------------

REST = b" sip:2000@192.0.2.10 SIP/2.0\r\n"
WHO = ("stranger", "trusted", "allowed", "watched")
HELD = {  # as `tests/enforce/test_gate_rules.py` has it of the kernel
    b"REGISTER" + REST: (True, False, False, True),
    b"INVITE" + REST: (True, True, True, True),
    b"\r\nINVITE" + REST: (True, True, True, True),
    b"\tInvite" + REST: (True, True, True, True),
    b"\0INVITE" + REST: (True, True, True, True),
    b"REFER" + REST: (True, True, True, True),
    b"BYE" + REST: (True, False, False, True),
    b"ACK" + REST: (True, False, False, True),
    b"SIP/2.0 200 OK\r\nVia: x\r\n": (False, False, False, False),
    b"\r\n\r\n": (False, False, False, False),
    b"x" * 19: (False, False, False, False),
    b"x" * 20: (True, True, True, True),
}


def known_as(who: str) -> Story:
    story = Story()
    if who == "trusted":
        story.register(OFFICE)
    elif who == "allowed":
        story.tell(Names(Role.ALLOWED, "office", (parse_network(OFFICE),)))
    elif who == "watched":
        story.register(OFFICE)
        story.guess(OFFICE)
        assert SetName.WATCHED in {held.set for held in story.engine.wanted()}
    return story


@pytest.mark.parametrize("place", range(4), ids=WHO)
def test_only_what_the_kernel_would_have_held_is_rehearsed(place: int) -> None:
    for payload, wanted in HELD.items():
        story = known_as(WHO[place])
        came(story, OFFICE, payload)
        assert bool(would(story)) is wanted[place], payload


@pytest.mark.parametrize(
    ("who", "method", "wanted"),
    [
        ("stranger", "INVITE", True),
        ("trusted", "INVITE", False),
        ("allowed", "INVITE", True),
        ("stranger", "BYE", False),
    ],
)
def test_of_what_leaves_calls_are_rehearsed_but_for_those_to_registered_devices(
    who: str, method: str, *, wanted: bool
) -> None:
    story = known_as(who)
    packet = udp(PBX, 5060, OFFICE, 5062, text(method, 1))
    story.tell(Frame(packet, Hook.OUTPUT, Origin.REHEARSAL))
    assert bool(would(story)) is wanted


# --- All else is as without it ----------------------------------------------------------------------------------------

STEP = st.tuples(
    st.sampled_from((STRANGER, OFFICE, "203.0.113.67")),
    st.sampled_from(("REGISTER", "OPTIONS", "INVITE", "ACK", "BYE")),
    st.integers(0, 5),
    st.sampled_from(("", "", SCANNER)),
    st.sampled_from(("", "mine")),
    st.sampled_from((0, 200, 401, 403)),
)


@given(st.lists(STEP, max_size=40))
def test_what_is_found_and_decided_is_the_same_with_and_without_a_rehearsal(
    steps: list[tuple[str, str, int, str, str, int]],
) -> None:
    kept = []
    for origin in (Origin.TAP, Origin.REHEARSAL):
        story = Story()
        story.register(OFFICE)
        for source, method, number, more, nonce, code in steps:
            came(story, source, text(method, number, more=more, nonce=nonce), origin=origin)
            if code:
                sent = Sent(source, 5062, method, f"{method}-{number}", number + 1, f"z9hG4bK{method}{number}", "1001")
                story.answer(sent, code, nonce="mine" if code == 401 else "")
            story.now += 10 * MILLISECOND
        story.wait(40)
        kept.append([each for each in story.actions if isinstance(each, Record)])
    assert kept[0] == kept[1]
