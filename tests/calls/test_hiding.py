"""Ways to make a call that nobody counts, or one that counts for somebody else or for ever: none of them does."""

from __future__ import annotations

import pytest

from sipguard.call import CallOrigin, CallState, NumberClass, Rate
from sipguard.model import SECOND, Account
from tests.calls.world import CARRIER, PBX, PHONE, PHONE2, Dialog, World


def in_dialog(world: World, leg: Dialog, number: int = 1) -> None:
    """Let the PBX send an INVITE with a To-tag."""
    leg.branch, leg.cseq = f"z9hG4bK-{leg.call_id}-{number}", number
    start = f"INVITE sip:{leg.number}@{PBX} SIP/2.0"
    text = world.text(leg, start, f"{number} INVITE", leg.branch, reverse=False, tagged=True, extra="")
    world.say(leg, text, by_pbx=True)


@pytest.mark.parametrize("later", [6, 40, 4000])
def test_the_same_request_sent_again_after_the_end_is_another_call(later: int) -> None:
    world = World()
    leg = world.leaves()
    world.talks(leg)
    world.bye(leg, by_pbx=True)
    world.wait(1)
    world.invite(leg)
    assert len(world.outbound) == 1, "it was on its way while the call ended"
    world.wait(later)
    world.invite(leg)
    world.talks(leg)
    one, two = world.outbound
    assert one.key != two.key
    assert world.running() == [two]
    assert two.answered > one.ended
    world.bye(leg, by_pbx=True)
    assert world.running() == []


def test_the_same_request_sent_again_after_a_restart_takes_no_other_calls_name() -> None:
    world = World()
    leg = world.leaves()
    world.talks(leg)
    world.bye(leg, by_pbx=True)
    states = [world.calls.state_of(world.call)]
    world.calls = world._made()
    world.calls.restore(states)
    world.wait(60)
    world.invite(leg)
    assert len({each.key for each in world.outbound}) == 2


def test_an_invented_dialog_is_a_call_once_all_real_ones_have_been_heard_of() -> None:
    world = World()
    world.comes()
    before = world.dialog(CARRIER, outgoing=True)
    in_dialog(world, before)
    assert world.outbound == []
    world.wait(3700)
    invented = world.dialog(CARRIER, outgoing=True)
    in_dialog(world, invented)
    in_dialog(world, invented)
    world.talks(invented)
    assert world.told() == ["Attempted", "Answered"]
    in_dialog(world, invented, 2)  # holds the line
    world.answer(invented, 200)
    world.bye(invented, by_pbx=True)
    assert world.told() == ["Attempted", "Answered", "Ended"]


def test_holding_a_line_is_no_call_however_long_it_has_lasted() -> None:
    world = World()
    leg = world.leaves()
    world.talks(leg)
    inbound = world.comes()
    world.answer(inbound, 200)
    for _ in range(3):
        world.wait(1700)
        world.request(leg, "INVITE", by_pbx=True)
        world.request(inbound, "INVITE", by_pbx=True)
    assert len(world.outbound) == 1


def test_no_call_outlives_legs_that_had_to_go() -> None:
    world = World()
    for number in range(40):
        leg = world.dialog(CARRIER, f"00252{number:07}", outgoing=True, call_id="one", tag=f"t{number}")
        leg.branch = f"z9hG4bK-{number}"
        leg.other = f"o{number}"
        world.invite(leg)
        world.talks(leg)
    assert len(world.running()) == 40
    for _ in range(30):
        world.wait(3600)
    assert world.running() == []


def test_a_restored_call_of_which_no_leg_is_known_ends_in_time() -> None:
    world = World()
    rate = Rate("", "", 1, 0, 1, 1)
    kind, origin = NumberClass.MOBILE, CallOrigin.ORPHAN
    state = CallState("k", SECOND, SECOND, 0, None, "", None, origin, "", "1", "+1", kind, "", rate, "")
    world.calls.restore([state])
    for _ in range(30):
        world.wait(3600)
    assert world.running() == []
    assert world.told() == ["Ended"]


def test_whoever_writes_a_diversion_himself_makes_nobody_else_pay() -> None:
    world = World()
    world.calls._origins._named = lambda name: Account(name, "pbx")
    world.dials(PHONE2, number="1003", user="1002", account="1002")  # rings at 1003
    inside = world.dialog(PHONE, "77", outgoing=False)  # a short cut that the PBX makes a long number of
    world.invite(inside, "Diversion: <sip:1003@x>", account="1001")
    world.answer(inside, 100)
    world.leaves(extra="Diversion: <sip:1003@x>")
    assert world.call.account != Account("1003", "pbx")


def test_a_real_forward_is_still_the_account_that_set_it() -> None:
    world = World()
    world.calls._origins._named = lambda name: Account(name, "pbx")
    world.comes(number="1003")
    world.leaves(user="+4917012345", extra="Diversion: <sip:1003@x>")
    assert world.call.account == Account("1003", "pbx")


def test_one_call_id_and_tag_for_many_requests_are_many_calls_behind_a_proxy() -> None:
    world = World()
    inside = world.dials(call_id="p")
    for number in range(2, 6):  # a caller behind a proxy: one Call-ID, one tag, ever new requests for the same number
        again = world.dialog(inside.far, call_id="p", tag=inside.tag, outgoing=False)
        again.branch, again.cseq, again.other = f"z9hG4bK-in{number}", number * 10, f"b{number}"
        world.invite(again, account="1001")
        world.answer(again, 100)
        leg = world.dialog(CARRIER, call_id="p", tag=inside.tag, outgoing=True)
        leg.branch, leg.cseq, leg.other = f"z9hG4bK-out{number}", number * 10, f"c{number}"
        start = f"INVITE sip:{leg.number}@{PBX} SIP/2.0"
        text = world.text(leg, start, f"{leg.cseq} INVITE", leg.branch, reverse=False, tagged=False, extra="")
        via = f"Via: SIP/2.0/UDP {PBX};branch={leg.branch}\n"
        world.say(leg, text.replace(via, f"{via}Via: SIP/2.0/UDP {PHONE};branch={again.branch}\n"), by_pbx=True)
        world.talks(leg)
    assert len(world.running()) == 4
