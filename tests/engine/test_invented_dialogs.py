"""A stranger's To-tag hides nothing, unless the PBX gave it to him; and nobody's telephone call is mistaken for one."""

from __future__ import annotations

import pytest

from sipguard.address import parse_network
from sipguard.model import HOUR, SECOND, DecisionVerdict
from sipguard.policy.schema import Policy, Trunk
from sipguard.track import proof
from sipguard.track.limits import Config as Limits
from tests.detect.only import kinds, only
from tests.engine.story import PBX, PBX6, Sent, Story

STRANGER, PHONE = "203.0.113.66", "198.51.100.20"
SCANNER = "User-Agent: friendly-scanner"
METHODS = ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "NOTIFY", "REFER", "INFO", "UPDATE", "PUBLISH")


def grown(story: Story | None = None) -> Story:
    """Let the hour pass in which dialogs from before the start may be spoken in."""
    story = story or Story()
    story.wait(3601)
    return story


def knock(story: Story, source: str = STRANGER, method: str = "OPTIONS", **more: object) -> int:
    """Let a scanner ask within a dialog of his own making; tells how many findings there are."""
    story.ask(source, method=method, extra=SCANNER, **{"to_tag": "made-up", **more})  # type: ignore[arg-type]
    return len(story.findings())


@pytest.mark.parametrize("method", METHODS)
def test_a_scanner_is_known_though_he_pretends_to_speak_within_a_dialog(method: str) -> None:
    story = grown()
    assert knock(story, method=method) == 1
    assert story.findings()[0].detector == "fingerprint"


@pytest.mark.parametrize("method", ["ACK", "BYE", "CANCEL", "PRACK"])
def test_what_ends_or_confirms_something_is_never_asked(method: str) -> None:
    assert knock(grown(), method=method) == 0


def test_a_tag_of_any_length_is_none_that_was_given() -> None:
    assert knock(grown(), to_tag="x" * 200) == 1


def test_an_hour_after_the_start_no_dialog_is_doubted() -> None:
    story = Story()
    story.wait(3590)
    assert knock(story) == 0
    story.wait(20)
    assert knock(story) == 1


@pytest.mark.parametrize("source", [STRANGER, "2001:db8:66::1"])
def test_a_call_that_the_pbx_let_ring_is_a_dialog_for_its_caller_alone(source: str) -> None:
    story = grown()
    sent = story.ask(source, method="INVITE", uri=f"sip:+4930123@{PBX}")
    story.answer(sent, 180, tag="given")
    assert knock(story, source, "INVITE", to_tag="given", again=sent) == 0
    assert knock(story, source, "INFO", to_tag="given", again=sent) == 0
    thief = Sent("203.0.113.67", 5060, "INFO", sent.call_id, 9, "b", sent.user)
    assert knock(story, thief.source, "INFO", to_tag="given", again=thief) == 1
    assert knock(story, source, "INFO", to_tag="another", again=sent) == 2


def test_any_address_of_the_callers_64_may_speak_in_his_call() -> None:
    story = grown()
    sent = story.ask("2001:db8:66::1", method="INVITE", uri=f"sip:+4930123@{PBX6}")
    story.answer(sent, 200, tag="given")
    moved = Sent("2001:db8:66::2", 5062, "INFO", sent.call_id, 2, "b", sent.user)
    assert knock(story, moved.source, "INFO", to_tag="given", again=moved) == 0


def test_the_tag_of_a_refusal_begins_no_dialog() -> None:
    story = grown()
    sent = story.ask(STRANGER, method="INVITE", uri=f"sip:+4930123@{PBX}")
    story.answer(sent, 404, tag="refused")
    assert knock(story, method="INFO", to_tag="refused", again=sent) == 1


@pytest.mark.parametrize("method", ["INVITE", "SUBSCRIBE", "REFER", "UPDATE", "NOTIFY"])
def test_whoever_the_pbx_calls_may_speak_in_that_call_which_proves_no_address(method: str) -> None:
    story = grown()
    out = [
        f"{method} sip:+4930123@{STRANGER} SIP/2.0",
        f"Via: SIP/2.0/UDP {PBX};branch=z9hG4bKout",
        f"From: <sip:1001@{PBX}>;tag=ours",
        f"To: <sip:+4930123@{STRANGER}>",
        "Call-ID: out",
        f"CSeq: 1 {method}",
        "Content-Length: 0\r\n\r\n",
    ]
    story.outbound(STRANGER, 5060, "\r\n".join(out).encode())
    theirs = Sent(STRANGER, 5060, "INVITE", "out", 1, "b", "1001")
    assert knock(story, method="INVITE", to_tag="ours", again=theirs) == 0
    assert story.engine.counters()["proven"] == 0


@pytest.mark.parametrize("method", ["SUBSCRIBE", "REFER", "UPDATE"])
def test_what_the_pbx_lets_in_begins_a_dialog_which_proves_no_address(method: str) -> None:
    story = grown()
    sent = story.ask(STRANGER, method=method)
    story.answer(sent, 200, tag="given")
    assert knock(story, method="INFO", to_tag="given", again=sent) == 0
    assert story.engine.counters()["proven"] == 0


def test_devices_and_trunks_may_speak_in_calls_that_nobody_remembers() -> None:
    story = grown(Story(Policy(trunks=(Trunk("carrier", (parse_network("192.0.2.64/28"),)),))))
    story.register(PHONE)
    assert knock(story, PHONE, "INVITE") == 0
    assert knock(story, "192.0.2.70", "INVITE") == 0


def test_a_carrier_nobody_named_whose_calls_are_forgotten_makes_no_ghost_calls() -> None:
    story = only("ghostcall")
    grown(story)
    for number in range(30):
        sent = story.ask(STRANGER, method="INVITE", uri=f"sip:{100 + number}@{PBX}", to_tag=f"forgotten{number}")
        story.answer(sent, 200, tag=f"forgotten{number}")
    assert kinds(story) == []


def test_a_flood_in_dialogs_that_are_none_is_a_flood() -> None:
    story = only("flood", base=50)
    grown(story)
    for number in range(51):
        story.ask(STRANGER, method="INFO", to_tag=f"made-up{number}")
    assert kinds(story) == [("INFO", False)]
    assert [each.verdict for each in story.decisions()] == [DecisionVerdict.THROTTLE]


def test_dialogs_are_capped_and_one_network_pushes_out_its_own_alone() -> None:
    proofs = proof.Proofs(1000, 1000)
    mine = bytes((198, 51, 100, 20))
    proofs.given(mine, b"mine", b"tag")
    for number in range(5000):
        proofs.given(bytes((203, 0, 113, number % 256)), b"%d" % number, b"tag")
    assert proofs.counters()["dialogs"] <= 126
    assert proofs.counters()["dialogs_evicted"] >= 4874
    assert proofs.knows(mine, b"mine", b"tag")
    assert Limits().dialogs == 20_000


def test_a_tag_that_proves_goes_on_proving_when_it_is_given_again() -> None:
    proofs, address = proof.Proofs(1000, 1000), bytes((203, 0, 113, 9))
    proofs.tagged(address, b"call", b"tag")
    proofs.given(address, b"call", b"tag")
    proofs.repeated(SECOND, address, b"call", b"tag")
    assert proofs.proven(2 * SECOND, address)
    assert not proofs.proven(2 * HOUR, address)
