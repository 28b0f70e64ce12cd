"""Whose call it is that leaves: every origin, with each hint and with none, and nobody blamed for another's."""

from __future__ import annotations

import pytest

from sipguard.call import CallOrigin
from sipguard.event import CallAttempted, CallDiverted, Event
from sipguard.model import Account
from sipguard.sip.message import SipRequest
from tests.calls.world import (
    CARRIER,
    CARRIER2,
    NUMBER,
    PBX,
    PHONE,
    PHONE2,
    PHONE3,
    STRANGER,
    UNLISTED,
    World,
)

EXTENSION, FORWARDED = CallOrigin.EXTENSION, CallOrigin.FORWARDED
TRANSFERRED, ORPHAN = CallOrigin.TRANSFERRED, CallOrigin.ORPHAN
MOBILE = "+4915112345678"
BOB, ALICE = Account("1002", "pbx"), Account("1001", "pbx")


def test_an_extensions_call_is_its_accounts() -> None:
    world = World()
    world.dials()
    world.leaves()
    call = world.call
    assert (call.origin, call.account, call.trunk, call.called.dialled) == (EXTENSION, ALICE, "alpha", NUMBER)
    assert call.source == bytes((192, 0, 2, 101))


def test_a_prefix_that_the_pbx_takes_away_or_adds_is_no_other_number() -> None:
    for dialled, sent in (
        ("0" + NUMBER, NUMBER),
        (NUMBER, "+25261123456"),
        ("0112", "112"),
        ("5551234", "12125551234"),
    ):
        world = World()
        world.dials(number=dialled)
        world.leaves(number=sent)
        assert world.call.origin is EXTENSION, dialled


def test_a_trunk_that_nobody_listed_is_one_as_well_and_a_phone_is_none() -> None:
    world = World()
    world.dials()
    world.leaves(carrier=UNLISTED)
    assert (world.call.trunk, world.call.origin) == ("", EXTENSION)
    world.leaves(number="1003", carrier=PHONE3)
    assert len(world.outbound) == 1


def test_a_proxys_call_is_known_by_its_call_id_before_anything_is_answered() -> None:
    world = World()
    inside = world.dials(call_id="p1")
    world.leaves(number="999888777", call_id="p1", tag=inside.tag)
    assert (world.call.origin, world.call.account) == (EXTENSION, ALICE)


def test_the_name_in_from_blames_nobody() -> None:
    world = World()
    inside = world.dialog(STRANGER, user="1002", outgoing=False)
    world.invite(inside)
    world.leaves(user="1002")
    assert (world.call.origin, world.call.account) == (ORPHAN, None)


def test_a_credential_that_nobody_asked_for_blames_nobody() -> None:
    world = World()
    inside = world.dialog(STRANGER, user="1002", outgoing=False)
    world.invite(inside, account="1002")
    world.answer(inside, 183)
    world.leaves(user="1002")
    assert (world.call.origin, world.call.account) == (FORWARDED, None)


def test_an_invite_that_was_challenged_led_to_nothing() -> None:
    world = World()
    inside = world.dialog(PHONE2, user="1002", outgoing=False)
    world.invite(inside)
    world.answer(inside, 100)
    world.answer(inside, 401)
    world.leaves(user="1002")
    assert world.call.origin is ORPHAN


def test_a_guess_that_some_pbxs_say_100_to_is_not_blamed_once_it_is_rejected() -> None:
    world = World()
    inside = world.dialog(STRANGER, user="1002", outgoing=False)
    world.invite(inside)
    world.answer(inside, 407)
    world.again(inside, account="1002")
    world.answer(inside, 100)
    world.leaves()
    world.answer(inside, 407)
    assert (world.call.origin, world.call.account, world.call.source) == (ORPHAN, None, None)


def test_two_who_dial_the_same_are_told_apart_by_whom_the_pbx_names() -> None:
    hints = f"P-Asserted-Identity: <sip:1002@{PBX}>", f'Remote-Party-ID: "x" <sip:1002@{PBX}>;party=calling', ""
    for hint in hints:
        world = World()
        world.dials()
        world.dials(PHONE2, user="1002", account="1002")
        world.leaves(user="anonymous" if hint else "1002", extra=hint)
        assert (world.call.origin, world.call.account) == (EXTENSION, BOB), hint
        world.leaves(user="x")
        assert world.outbound[1].account == ALICE


def test_two_who_dial_the_same_and_cannot_be_told_apart_are_both_innocent() -> None:
    world = World()
    world.dials()
    world.dials(PHONE2, user="1002", account="1002")
    world.leaves(user="4930555")
    assert (world.call.origin, world.call.account, world.call.ambiguous) == (ORPHAN, None, True)


def test_nobody_who_dialled_long_ago_or_another_number_is_blamed() -> None:
    world = World()
    world.dials()
    world.wait(30)
    world.leaves(user="someone")
    world.dials(PHONE2, number="0049301234", user="1002", account="1002")
    world.leaves(number="0088812345", user="someone")
    assert [call.origin for call in world.outbound] == [ORPHAN, ORPHAN]


def test_a_short_cut_is_known_by_whom_the_pbx_names_if_nobody_else_calls() -> None:
    world = World()
    world.dials(number="*21")
    world.leaves(user="1001")
    assert (world.call.origin, world.call.account) == (EXTENSION, ALICE)
    other = World()
    other.dials(number="*21")
    other.dials(PHONE2, number="*97", user="1002", account="1002")
    other.leaves(user="1002")
    assert other.call.origin is ORPHAN


@pytest.mark.parametrize(
    "hint",
    [
        f"Diversion: <sip:4930123@{PBX}>;reason=unconditional",
        f"History-Info: <sip:4930123@{PBX}>;index=1,\n <sip:{NUMBER}@{PBX};cause=302>;index=1.1",
        "P-Asserted-Identity: <sip:+4917012345@x>",
        "Remote-Party-ID: <sip:04917012345@x>",
        "",
    ],
)
def test_an_inbound_call_that_leaves_again_was_forwarded(hint: str) -> None:
    world = World()
    world.comes()
    world.leaves(user="pbx", extra=hint)
    assert (world.call.origin, world.call.account) == (FORWARDED, None)
    assert world.call.source == bytes((198, 51, 100, 1))


def test_a_forward_after_ringing_is_known_by_its_caller_and_by_having_happened_before() -> None:
    world = World()
    world.comes()
    world.wait(25)
    world.leaves(user="+4917012345")
    world.comes(user="+4917099999")
    world.wait(25)
    world.leaves(user="pbx")
    assert [call.origin for call in world.outbound] == [FORWARDED, FORWARDED]


def test_of_two_inbound_calls_neither_is_said_to_be_the_one_without_a_hint() -> None:
    world = World()
    world.comes()
    world.comes(number="4930124", user="+4917099999")
    world.leaves(user="pbx")
    assert (world.call.origin, world.call.ambiguous) == (ORPHAN, True)


def test_a_phone_that_pretends_to_forward_is_still_its_callers() -> None:
    world = World()
    inside = world.dialog(PHONE, outgoing=False)
    world.invite(inside, "Diversion: <sip:1003@x>")
    world.answer(inside, 401)
    world.again(inside, "Diversion: <sip:1003@x>", account="1001")
    world.answer(inside, 100)
    world.dials(PHONE2, number="1003", user="1002", account="1002")
    world.leaves(extra="Diversion: <sip:1003@x>")
    assert (world.call.origin, world.call.account) == (EXTENSION, ALICE)


def test_a_phone_that_answers_302_had_the_call_forwarded() -> None:
    world = World()
    world.comes()
    ringing = world.leaves(number="1001", user="+4917012345", carrier=PHONE)
    world.answer(ringing, 302, f"Contact: <sip:{MOBILE}@{PBX}>")
    diverted = [each for each in world.events if isinstance(each, CallDiverted)]
    assert [(each.target.dialled, each.referred) for each in diverted] == [(MOBILE, False)]
    world.wait(9)
    world.leaves(number=MOBILE, user="x")
    assert (world.call.origin, world.call.caller) == (FORWARDED, "1001")


def test_a_blind_transfer_is_the_doing_of_who_sent_it() -> None:
    world = World()
    inside = world.dials(number="1003")
    world.talks(inside)
    world.wait(60)
    world.request(inside, "REFER", by_pbx=False, extra=f"Refer-To: <sip:{NUMBER}@{PBX}>")
    world.reply(inside, "REFER", 202, by_pbx=True)
    world.leaves(user="whoever")
    assert (world.call.origin, world.call.account) == (TRANSFERRED, ALICE)
    assert [each.referred for each in world.events if isinstance(each, CallDiverted)] == [True]


def test_a_transfer_that_the_pbx_does_not_accept_is_none() -> None:
    world = World()
    inside = world.dials(number="1003")
    world.talks(inside)
    world.wait(60)
    world.request(inside, "REFER", by_pbx=False, extra=f"Refer-To: <sip:{NUMBER}@{PBX}>")
    world.reply(inside, "REFER", 403, by_pbx=True)
    world.leaves(user="whoever")
    assert world.call.origin is ORPHAN


def test_an_attended_transfer_hands_on_the_call_that_it_replaces() -> None:
    world = World()
    first = world.comes()
    ringing = world.leaves(number="1001", user="x", carrier=PHONE)
    world.talks(ringing)
    world.talks(first)
    second = world.dials()
    leg = world.leaves()
    world.talks(leg)
    world.talks(second)
    replaces = f"{second.call_id}%3Bto-tag%3D{second.other}%3Bfrom-tag%3D{second.tag}"
    world.request(ringing, "REFER", by_pbx=False, extra=f"Refer-To: <sip:{NUMBER}@{PBX}?Replaces={replaces}>")
    assert world.call.origin is EXTENSION
    world.reply(ringing, "REFER", 202, by_pbx=True)
    world.bye(second, by_pbx=False)
    world.bye(ringing, by_pbx=False)
    assert (world.call.origin, world.call.account) == (TRANSFERRED, ALICE)
    assert world.running() == [world.call]
    world.bye(leg, by_pbx=True)
    assert world.running() == []


def test_nobody_hands_on_anothers_call() -> None:
    world = World()
    second = world.dials()
    world.talks(world.leaves())
    world.talks(second)
    own = world.dials(PHONE2, number="1003", user="1002", account="1002")
    world.talks(own)
    replaces = f"{second.call_id}%3Bto-tag%3D{second.other}%3Bfrom-tag%3D{second.tag}"
    world.request(own, "REFER", by_pbx=False, extra=f"Refer-To: <sip:{NUMBER}@{PBX}?Replaces={replaces}>")
    world.reply(own, "REFER", 202, by_pbx=True)
    assert world.call.origin is EXTENSION


def test_referred_by_alone_tells_a_transfer() -> None:
    world = World()
    world.leaves(extra="Referred-By: <sip:1001@x>", user="x")
    assert (world.call.origin, world.call.caller, world.call.account) == (TRANSFERRED, "1001", None)


def test_a_leg_that_nobody_dialled_is_an_orphan() -> None:
    world = World()
    world.leaves(user="ghost")
    assert (world.call.origin, world.call.account, world.call.ambiguous) == (ORPHAN, None, False)


def test_an_inbound_call_is_told_when_the_pbx_takes_it_up() -> None:
    world = World()
    outside = world.dialog(CARRIER2, "4930123", "x", outgoing=False)
    assert not world.invite(outside)
    told = world.answer(outside, 100)
    assert [type(each) for each in told] == [CallAttempted]
    assert isinstance(told[0], CallAttempted)
    assert (told[0].call.direction, told[0].call.trunk) == ("inbound", "beta")
    strange = world.dialog(STRANGER, "4930123", "x", outgoing=False)
    world.invite(strange)
    assert not world.answer(strange, 100), "some PBXs say so before they challenge"


def test_a_preview_says_what_will_be_and_changes_nothing() -> None:
    world = World()
    world.dials()
    leg = world.dialog(CARRIER, outgoing=True)
    before = world.calls.counters()
    heard = world.heard(leg, world.invite_text(leg), by_pbx=True)
    assert isinstance(heard.message, SipRequest)
    seen = [world.calls.preview(world.now, heard, heard.message) for _ in range(3)]
    assert world.calls.counters() == before
    world.now -= 1_000_000
    world.invite(leg)
    for each in seen:
        call = world.call
        assert (each.key, each.origin, each.account, each.trunk) == (call.key, call.origin, call.account, call.trunk)
    assert world.calls.preview(world.now, heard, heard.message) is world.call


def test_a_refused_call_is_told_once_and_runs_nowhere() -> None:
    world = World()
    world.dials()
    told: list[Event] = []
    for carrier in (CARRIER, CARRIER, CARRIER2):
        leg = world.dialog(carrier, outgoing=True)
        heard = world.heard(leg, world.invite_text(leg), by_pbx=True)
        assert isinstance(heard.message, SipRequest)
        told += world.calls.refused(world.now, heard, heard.message)
    assert [type(each).__name__ for each in told] == ["CallRefused"]
    assert world.running() == []
    assert list(world.calls.live()) == []
