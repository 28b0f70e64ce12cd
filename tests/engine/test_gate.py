"""What the gate says of each datagram: the bad one is kept back alone, and nobody else pays for it."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import parse_network
from sipguard.detect.accountnets import AccountNetworks
from sipguard.model import (
    EVERY_OTHER,
    HOUR,
    SECOND,
    Account,
    Alert,
    Hook,
    Names,
    Order,
    OrderVerb,
    Pair,
    Role,
    SetName,
    VerdictKind,
)
from sipguard.policy.schema import Policy
from tests.engine.gated import asked, text, verdict
from tests.engine.story import PBX, Sent, Story, ip, udp

STRANGER = "203.0.113.66"
OFFICE = "198.51.100.20"
OWNER = Account("1001", "pbx")
ACCEPT, DROP, DEFER, REFUSE = VerdictKind.ACCEPT, VerdictKind.DROP, VerdictKind.DEFER, VerdictKind.REFUSE
SCANNER = "User-Agent: friendly-scanner"


def sent(number: int, method: str = "REGISTER", user: str = "1001", source: str = STRANGER) -> Sent:
    """Say what `text` wrote, for an answer."""
    return Sent(source, 5062, method, f"{method}-{number}", number + 1, f"z9hG4bK{method}{number}", user)


def bound(story: Story, source: str, number: int = 900, nonce: str = "") -> str:
    """Have a source given a nonce of its own."""
    nonce = nonce or f"nonce-{source}"
    asked(story, source, text("REGISTER", number))
    story.answer(sent(number, source=source), 401, nonce=nonce)
    return nonce


def guess(story: Story, number: int, source: str = STRANGER, user: str = "1001", nonce: str = "") -> VerdictKind:
    return asked(story, source, text("REGISTER", number, user=user, nonce=nonce or f"nonce-{source}"))


# --- Strangers --------------------------------------------------------------------------------------------------------


def test_the_first_packet_of_a_fingerprinted_stranger_is_dropped_and_so_is_its_copy() -> None:
    story = Story()
    scan = text("OPTIONS", 1, more=SCANNER)
    assert asked(story, STRANGER, scan) is DROP
    assert asked(story, STRANGER, scan) is DROP
    assert asked(story, STRANGER, text("OPTIONS", 2, more=SCANNER)) is DROP
    assert asked(story, STRANGER, text("OPTIONS", 3)) is ACCEPT  # unproven: the packet is dropped, alone
    assert story.held() == []


@pytest.mark.parametrize("role", [Role.LIFELINE, Role.OPERATOR])
def test_who_must_not_be_banned_may_still_stand_before_strangers_whose_packets_are_dropped(role: Role) -> None:
    story = Story()
    story.tell(Names(role, "needed", (parse_network(STRANGER),)))
    assert asked(story, STRANGER, text("OPTIONS", 1, more=SCANNER)) is DROP
    assert asked(story, STRANGER, text("OPTIONS", 2)) is ACCEPT
    assert story.held() == []


def test_what_is_only_reported_and_who_is_allowed_is_let_through() -> None:
    policy = Policy(allowed=(parse_network("203.0.113.0/24"),))
    assert asked(Story(policy), STRANGER, text("OPTIONS", 1, more=SCANNER)) is ACCEPT
    assert asked(Story(policy), "198.51.100.9", text("OPTIONS", 1, more=SCANNER)) is DROP


def test_a_registered_device_is_not_cut_off_for_how_it_writes() -> None:
    story = Story()
    story.register(OFFICE)
    assert asked(story, OFFICE, text("OPTIONS", 1, more=SCANNER)) is ACCEPT


def test_bytes_that_are_no_message_have_a_verdict_and_keep_alives_pass() -> None:
    story = Story()
    for payload in (b"", b"\r\n\r\n", b"\0" * 30, b"INVITE", bytes(range(256))):
        assert asked(story, STRANGER, payload) in {ACCEPT, DROP}
    assert verdict(story, b"\x45\0").kind is ACCEPT
    assert verdict(story, b"").kind is ACCEPT


# --- Guesses in flight ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proven", [True, False])
def test_no_more_guesses_are_on_their_way_than_may_fail(*, proven: bool) -> None:
    story = Story()
    nonce = bound(story, STRANGER) if proven else "anybody's"
    assert [guess(story, number, nonce=nonce) for number in range(7)] == [ACCEPT] * 5 + [DEFER] * 2
    story.answer(sent(0), 200)  # one was right: its place is free again
    assert guess(story, 5, nonce=nonce) is ACCEPT
    assert guess(story, 6, nonce=nonce) is DEFER


def test_failures_and_attempts_count_together_until_the_ban() -> None:
    story = Story()
    bound(story, STRANGER)
    for number in range(4):
        assert guess(story, number) is ACCEPT
        story.answer(sent(number), 401, nonce=f"more-{number}")
    assert guess(story, 4) is ACCEPT
    assert guess(story, 5) is DEFER
    story.answer(sent(4), 401, nonce="last")
    assert story.held() == [STRANGER]
    assert guess(story, 6) is DROP


def test_a_copy_of_a_guess_on_its_way_passes_and_another_answer_under_its_key_is_a_guess() -> None:
    story = Story()
    bound(story, STRANGER)
    first = text("REGISTER", 0, nonce=f"nonce-{STRANGER}")
    for _ in range(4):
        assert asked(story, STRANGER, first) is ACCEPT
    kinds = [
        asked(story, STRANGER, first.replace(b'response="0000', b'response="%d000' % number)) for number in range(1, 8)
    ]
    assert kinds == [ACCEPT] * 4 + [DEFER] * 3


def test_an_unanswered_guess_gives_its_place_back_after_half_a_minute() -> None:
    story = Story()
    bound(story, STRANGER)
    for number in range(5):
        guess(story, number)
    assert guess(story, 5) is DEFER
    story.wait(33)
    assert guess(story, 5) is ACCEPT


def test_hopping_ports_and_addresses_of_one_ipv6_network_gains_nothing() -> None:
    story = Story()
    kinds = [
        verdict(story, udp(f"2001:db8:66::{number}", 5000 + number, "2001:db8:0:1::10", 5060, text(
            "REGISTER", number, nonce="any"
        ))).kind
        for number in range(8)
    ]  # fmt: skip
    assert kinds == [ACCEPT] * 5 + [DEFER] * 3


def test_what_was_kept_back_is_no_evidence_and_nobody_is_banned_for_it() -> None:
    story = Story()
    bound(story, STRANGER)
    for number in range(50):
        guess(story, number)
    assert story.findings() == []
    assert story.engine.counters()["guesses_deferred"] == 45


def test_forged_guesses_neither_use_up_a_phones_attempts_nor_shut_it_out() -> None:
    story = Story()
    for number in range(20):  # somebody else, in the phone's name
        if guess(story, number, source=OFFICE, nonce="forged") is ACCEPT:
            story.answer(sent(number, source=OFFICE), 401, nonce=f"n{number}")
    nonce = bound(story, OFFICE)
    assert guess(story, 100, source=OFFICE, nonce=nonce) is ACCEPT
    story.answer(sent(100, source=OFFICE), 200)


def test_where_nonces_prove_nothing_a_rate_is_left_and_never_zero() -> None:
    story = Story()
    passed = 0
    for number in range(120):
        story.wait(10)
        nonce = bound(story, STRANGER, 1000 + number, nonce=f"shared-{number}")
        bound(story, OFFICE, 5000 + number, nonce=nonce)  # a default Kamailio gives the same to all within a second
        if guess(story, number, nonce=nonce) is ACCEPT:
            passed += 1
            story.answer(sent(number), 401, nonce=f"n{number}")
    assert 5 + 5 <= passed <= 5 * 3 + 3  # in twenty minutes of ten-minute windows


def test_one_wrong_phone_keeps_no_other_of_its_office_out() -> None:
    story = Story()
    story.register(OFFICE, user="1002")
    nonce = bound(story, OFFICE)
    for number in range(12):
        if guess(story, number, source=OFFICE, user="1001", nonce=nonce) is ACCEPT:
            story.answer(sent(number, user="1001", source=OFFICE), 401, nonce=f"n{number}")
    assert story.held() == []
    for number, user in enumerate(("1002", "1003"), start=50):
        assert guess(story, number, source=OFFICE, user=user, nonce=nonce) is ACCEPT
        story.answer(sent(number, user=user, source=OFFICE), 200)


def test_many_wrong_phones_of_an_office_keep_none_out_that_was_healthy() -> None:
    story = Story()
    for user in ("1002", "1003"):
        story.register(OFFICE, user=user)
    nonce = bound(story, OFFICE)
    passed = 0
    for number in range(120):
        if guess(story, number, source=OFFICE, user=f"2{number % 12:03}", nonce=nonce) is ACCEPT:
            passed += 1
            story.answer(sent(number, user=f"2{number % 12:03}", source=OFFICE), 401, nonce=f"n{number}")
    assert passed == 20  # four times the limit: a guesser there is held back as well
    for number, user in enumerate(("1002", "1003"), start=500):
        assert guess(story, number, source=OFFICE, user=user, nonce=nonce) is ACCEPT
        story.answer(sent(number, user=user, source=OFFICE), 200)


def test_an_unban_forgives_what_the_gate_remembers() -> None:
    story = Story()
    bound(story, STRANGER)
    for number in range(5):
        guess(story, number)
        story.answer(sent(number), 401, nonce=f"n{number}")
    assert guess(story, 9) is DROP
    story.tell(Order(OrderVerb.UNBAN, parse_network(STRANGER)))
    assert guess(story, 10) is ACCEPT


@pytest.mark.parametrize("then", ["report", "off"])
def test_where_guessing_is_only_reported_nothing_is_kept_back(then: str) -> None:
    policy = Policy()
    credentials = replace(policy.detect.credentials, enabled=then != "off")
    if then == "report":
        credentials = replace(credentials, then=type(credentials.then).REPORT)
    story = Story(replace(policy, detect=replace(policy.detect, credentials=credentials)))
    for number in range(20):
        assert guess(story, number, nonce=bound(story, STRANGER, 100 + number, nonce=f"n{number}")) is ACCEPT


# --- Accounts ---------------------------------------------------------------------------------------------------------


def call(
    story: Story, number: int, source: str = OFFICE, user: str = "1001", uri: str = "", nonce: str = ""
) -> VerdictKind:
    written = text("INVITE", number, user=user, nonce=nonce)
    return asked(story, source, written.replace(b"sip:2000@", b"sip:%b@" % uri.encode()) if uri else written)


def quarantined(ward: Account | Pair = OWNER) -> Story:
    story = Story()
    story.register(OFFICE, user="1001")
    story.register(OFFICE, user="1002")
    story.engine._force.wards.quarantine(ward, story.now + HOUR, doubted=False)
    return story


def test_an_account_under_quarantine_may_register_and_not_call_and_the_others_there_may() -> None:
    story = quarantined()
    nonce = bound(story, OFFICE)
    assert call(story, 1, nonce=nonce) is REFUSE
    assert call(story, 2) is REFUSE  # without a credential: a device of that name is registered there
    assert call(story, 3, user="1002", nonce=nonce) is ACCEPT
    assert call(story, 4, user="1002") is ACCEPT
    assert guess(story, 5, source=OFFICE, nonce=nonce) is ACCEPT
    assert [each.kind for each in story.actions if isinstance(each, Alert)].count("call-refused") == 1


def test_all_but_the_healthy_accounts_of_a_place_may_be_under_quarantine() -> None:
    story = quarantined(Pair(parse_network(OFFICE), EVERY_OTHER))
    nonce = bound(story, OFFICE)
    assert call(story, 1, user="1001", nonce=nonce) is ACCEPT
    assert call(story, 2, user="1077", nonce=nonce) is REFUSE


def test_only_who_holds_his_address_is_told_that_he_is_refused() -> None:
    story = quarantined()
    assert call(story, 1, source=STRANGER, nonce="forged") is DROP
    nonce = bound(story, STRANGER)
    assert call(story, 2, source=STRANGER, nonce=nonce) is REFUSE


def test_a_name_in_from_gets_nobody_refused() -> None:
    assert call(quarantined(), 1, source=STRANGER) is ACCEPT


def test_a_refused_call_and_its_copies_have_one_answer_and_its_ack_is_taken_in() -> None:
    story = quarantined()
    nonce = bound(story, OFFICE)
    written = text("INVITE", 1, nonce=nonce)
    first, again = (verdict(story, udp(OFFICE, 5062, PBX, 5060, written)) for _ in range(2))
    assert first is again
    assert (first.kind, first.code) == (REFUSE, 403)
    acknowledgement = text("INVITE", 1).replace(b"INVITE sip", b"ACK sip").replace(b"2 INVITE", b"2 ACK")
    assert asked(story, OFFICE, acknowledgement) is DROP
    assert asked(story, OFFICE, acknowledgement.replace(b"INVITE-1", b"INVITE-2")) is ACCEPT
    assert story.held(SetName.WATCHED) == [OFFICE]  # or the ACK would not be held


def test_calls_for_help_are_never_refused_where_devices_are() -> None:
    story = quarantined()
    nonce = bound(story, OFFICE)
    for number, uri in enumerate(("112", "0112", "9911")):
        assert call(story, number, uri=uri, nonce=nonce) is ACCEPT
    for number, uri in enumerate(("1121", "00112", "112252", f"112{'-' * 61}252", "112%3B252"), 10):
        assert call(story, number, uri=uri, nonce=nonce) is REFUSE
    sos = text("INVITE", 30, nonce=nonce).replace(f"sip:2000@{PBX}".encode(), b"urn:service:sos.fire")
    assert asked(story, OFFICE, sos) is ACCEPT


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\n", b" ", b"\t", b"\0", b"\r\n\r\n"])
@pytest.mark.parametrize("method", [b"INVITE", b"Invite", b"invite"])
def test_nothing_written_before_or_in_the_method_makes_it_another_call(before: bytes, method: bytes) -> None:
    story = quarantined()
    nonce = bound(story, OFFICE)
    written = before + text("INVITE", 1, nonce=nonce).replace(b"INVITE sip", method + b" sip", 1)
    assert asked(story, OFFICE, written) is REFUSE


def test_a_call_for_help_is_no_way_to_guess_passwords() -> None:
    story = Story()
    nonce = bound(story, STRANGER)
    kinds = [call(story, number, source=STRANGER, uri="112", nonce=nonce) for number in range(8)]
    assert kinds == [ACCEPT] * 5 + [DEFER] * 3


def test_a_phone_that_earned_no_trust_reaches_help_while_others_guess_from_its_address() -> None:
    story = Story()
    for _ in range(2):
        story.guess(OFFICE)
    story.register(OFFICE)  # its owner's own mistakes: registered, and not trusted
    assert story.held(SetName.TRUSTED) == []
    nonce = bound(story, OFFICE)
    for number in range(6):
        guess(story, number, source=OFFICE, user=f"2{number:03}", nonce=nonce)
    assert call(story, 50, nonce=nonce) is DEFER
    assert call(story, 51, uri="112", nonce=nonce) is ACCEPT
    assert call(story, 52, user="1002", uri="112", nonce=nonce) is DEFER


def test_what_belongs_to_a_known_dialog_passes_under_quarantine() -> None:
    story = Story()
    story.register(OFFICE)
    sent_call = story.ask(OFFICE, method="INVITE")
    story.answer(sent_call, 200, tag="known")
    story.engine._force.wards.quarantine(OWNER, story.now + HOUR, doubted=False)
    for method in ("BYE", "PRACK", "CANCEL", "INVITE"):
        inside = text(method, 7).replace(f"<sip:1001@{PBX}>\r\nCall-ID: {method}-7".encode(), b"")
        inside = text(method, 7, nonce="x").replace(
            f"To: <sip:1001@{PBX}>\r\nCall-ID: {method}-7".encode(),
            f"To: <sip:1001@{PBX}>;tag=known\r\nCall-ID: {sent_call.call_id}".encode(),
        )
        assert asked(story, OFFICE, inside) is ACCEPT, method


def test_a_shielded_account_is_tried_from_its_own_places_only() -> None:
    story = Story()
    story.register(OFFICE)
    story.engine._force.wards.shield(OWNER, story.now + HOUR)
    stranger, home = bound(story, STRANGER), bound(story, OFFICE)
    assert guess(story, 1, nonce=stranger) is DROP
    assert guess(story, 2, user="1002", nonce=stranger) is ACCEPT
    assert guess(story, 3, source=OFFICE, nonce=home) is ACCEPT


def test_an_account_that_belongs_to_networks_calls_from_nowhere_else_not_even_once() -> None:
    nets = replace(Policy().detect.accountnets, account=(AccountNetworks("1001", (parse_network("10.0.0.0/8"),)),))
    story = Story(replace(Policy(), detect=replace(Policy().detect, accountnets=nets)))
    nonce = bound(story, STRANGER)
    assert call(story, 1, source=STRANGER, nonce=nonce) is REFUSE
    assert call(story, 2, source=STRANGER, user="1002", nonce=nonce) is ACCEPT
    assert guess(story, 3, nonce=nonce) is ACCEPT


def test_what_is_remembered_is_bounded_whatever_comes() -> None:
    story = Story()
    for number in range(3_000):
        source = f"203.0.{number % 250}.{number % 199}"
        asked(story, source, text("REGISTER", number, nonce="x", more=SCANNER))
    counters = story.engine.counters()
    assert counters["gate_said"] <= 20_000
    assert counters["guessers"] <= 50_000
    assert story.now < 100_000 * SECOND


@given(st.lists(st.tuples(st.sampled_from([6, 17]), st.binary(max_size=120), st.booleans()), max_size=6))
def test_whatever_is_held_has_exactly_one_verdict(packets: list[tuple[int, bytes, bool]]) -> None:
    story = Story()
    for protocol, data, whole in packets:
        ports = struct.pack("!HH", 5062, 5060)
        head = ports + (struct.pack("!HH", 8 + len(data), 0) if protocol == 17 else bytes(8) + b"\x50\x18" + bytes(6))
        packet = ip(protocol, STRANGER, PBX, head + data) if whole else data
        for hook in (Hook.PREROUTING, Hook.OUTPUT):
            said = verdict(story, packet, hook)
            assert (said.packet is None) or said.kind in {ACCEPT, VerdictKind.MASK}
