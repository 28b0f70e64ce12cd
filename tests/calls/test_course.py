"""What becomes of a call: asked twice, tried elsewhere, answered, hung up, forged, forgotten; once each."""

from __future__ import annotations

from sipguard.call import CallOrigin
from sipguard.model import SECOND
from tests.calls.world import CARRIER, CARRIER2, NUMBER, PBX, STRANGER, Dialog, World

WHOLE = ["Attempted", "Answered", "Ended"]


def talking(world: World) -> tuple[Dialog, Dialog]:
    inside = world.dials()
    leg = world.leaves()
    world.talks(leg)
    world.talks(inside)
    return inside, leg


def test_a_call_is_told_when_it_leaves_when_it_is_answered_and_when_it_is_over() -> None:
    world = World()
    _, leg = talking(world)
    world.wait(90)
    world.bye(leg, by_pbx=True)
    assert world.told() == WHOLE
    assert 90 * SECOND < world.call.lasted(world.now) < 91 * SECOND
    assert world.running() == []


def test_copies_change_nothing() -> None:
    world = World()
    inside = world.dials()
    world.invite(inside, account="1001")
    leg = world.leaves()
    for _ in range(3):
        world.invite(leg)
        world.answer(leg, 180)
    for _ in range(3):
        world.answer(leg, 200)
        world.request(leg, "ACK", by_pbx=True)
    world.request(leg, "BYE", by_pbx=True)
    for _ in range(3):
        world.reply(leg, "BYE", 200, by_pbx=False)
    world.invite(leg)
    world.answer(leg, 200)
    assert world.told() == WHOLE


def test_a_call_that_the_carrier_challenges_is_one() -> None:
    world = World()
    world.dials()
    leg = world.leaves()
    world.answer(leg, 407)
    world.request(leg, "ACK", by_pbx=True)
    world.again(leg, account="trunk-user")
    world.talks(leg)
    world.bye(leg, by_pbx=False)
    assert world.told() == WHOLE


def test_a_carriers_challenge_that_a_proxy_passes_on_is_one_call() -> None:
    world = World()
    inside = world.dialog("192.0.2.101", call_id="p", tag="t", outgoing=False)
    world.invite(inside)
    world.answer(inside, 100)
    leg = world.leaves(call_id="p", tag="t")
    world.answer(leg, 407)
    world.answer(inside, 407)
    world.again(inside, account="1001")
    world.answer(inside, 100)
    world.again(leg, account="1001")
    world.talks(leg)
    world.wait(10)
    world.bye(leg, by_pbx=False)
    assert world.told() == WHOLE
    assert world.call.origin is CallOrigin.EXTENSION


def test_a_call_that_fails_over_to_a_second_trunk_is_one() -> None:
    for code in (408, 503, 0):
        world = World()
        inside = world.dials()
        first = world.leaves()
        if code:
            world.answer(first, code)
        else:
            world.wait(32)
        second = world.leaves(carrier=CARRIER2)
        assert world.call.trunk == "beta"
        world.talks(second)
        world.talks(inside)
        world.wait(60)
        world.bye(second, by_pbx=True)
        assert world.told() == WHOLE, code


def test_an_orphan_that_fails_over_is_one_call_and_one_that_comes_later_another() -> None:
    world = World()
    world.answer(world.leaves(user="x"), 503)
    world.answer(world.leaves(user="x", carrier=CARRIER2), 503)
    world.wait(10)
    assert world.told() == ["Attempted", "Ended"]
    assert world.call.code == 503
    world.leaves(user="x")
    assert len(world.outbound) == 2


def test_a_second_call_of_one_account_to_one_number_is_another() -> None:
    world = World()
    talking(world)
    talking(world)
    assert len(world.running()) == 2
    assert {call.account for call in world.running()} == {world.outbound[0].account}


def test_a_refused_call_ends_with_its_inside_leg_or_soon_after() -> None:
    world = World()
    inside = world.dials()
    world.answer(world.leaves(), 486)
    assert world.told() == ["Attempted"]
    world.answer(inside, 486)
    assert world.told() == ["Attempted", "Ended"]
    other = World()
    other.dials()
    other.answer(other.leaves(), 486)
    other.wait(5)
    assert other.told() == ["Attempted", "Ended"]
    assert other.call.code == 486


def test_the_first_of_several_forks_that_answers_is_the_call() -> None:
    world = World()
    world.dials()
    leg = world.leaves()
    world.answer(leg, 180, tag="one")
    world.answer(leg, 180, tag="two")
    world.answer(leg, 200, tag="two")
    world.answer(leg, 200, tag="one")
    world.bye(leg, by_pbx=True)
    assert world.told() == ["Attempted", "Answered"], "the loser was hung up, not the call"
    leg.other = "two"
    world.bye(leg, by_pbx=True)
    assert world.told() == WHOLE


def test_a_proxy_that_forks_to_two_carriers_makes_one_call() -> None:
    world = World()
    inside = world.dials(call_id="p")
    one = world.leaves(call_id="p", tag=inside.tag)
    two = world.leaves(call_id="p", tag=inside.tag, carrier=CARRIER2)
    world.answer(one, 486)
    world.talks(two)
    world.bye(two, by_pbx=True)
    assert world.told() == WHOLE


def test_a_call_id_used_again_by_a_phone_hides_no_call() -> None:
    world = World()
    inside = world.dials(call_id="p")
    one = world.leaves(call_id="p", tag=inside.tag)
    world.talks(one)
    again = world.dialog(inside.far, call_id="p", tag=inside.tag, outgoing=False)
    again.branch, again.cseq, again.other = "z9hG4bK-second", 7, "b-second"
    world.invite(again, account="1001")
    world.answer(again, 100)
    two = world.dialog(CARRIER, call_id="p", tag=inside.tag, outgoing=True)
    two.branch, two.cseq, two.other = "z9hG4bK-leaves-second", 7, "c-second"
    world.invite(two)
    world.talks(two)
    assert len(world.running()) == 2
    world.bye(two, by_pbx=False)
    assert len(world.running()) == 1
    world.bye(one, by_pbx=False)
    assert world.running() == []


def test_an_answer_that_crosses_a_cancel_is_an_answer() -> None:
    world = World()
    world.dials()
    leg = world.leaves()
    world.answer(leg, 180)
    world.request(leg, "CANCEL", by_pbx=True)
    world.answer(leg, 200)
    assert world.told() == ["Attempted", "Answered"]
    world.wait(60)
    assert world.running() == [world.call], "a CANCEL ends nothing by itself"
    world.bye(leg, by_pbx=True)
    assert world.told() == WHOLE


def test_a_cancelled_call_ends_with_487_or_when_nobody_waits_for_it_any_more() -> None:
    world = World()
    inside = world.dials()
    leg = world.leaves()
    world.answer(leg, 180)
    world.request(inside, "CANCEL", by_pbx=False)
    world.answer(inside, 487)
    world.request(leg, "CANCEL", by_pbx=True)
    world.answer(leg, 487)
    assert world.told() == ["Attempted", "Ended"]
    lost = World()
    lost.dials()
    leg = lost.leaves()
    lost.answer(leg, 180)
    lost.request(leg, "CANCEL", by_pbx=True)
    lost.wait(50)
    assert lost.told() == ["Attempted", "Ended"]


def test_an_attempt_that_nobody_answers_ends() -> None:
    world = World()
    leg = world.leaves()
    world.answer(leg, 180)
    world.wait(150)
    world.answer(leg, 180)
    world.wait(150)
    assert world.told() == ["Attempted"]
    world.wait(60)
    assert world.told() == ["Attempted", "Unconfirmed"], "it fills no cap from now on"
    world.wait(3400)
    assert world.told() == ["Attempted", "Unconfirmed", "Ended"]
    assert world.call.code == 408


def test_a_call_that_rings_for_longer_than_anybody_waits_is_known_when_it_is_answered_after_all() -> None:
    """Nothing in Asterisk ends the ringing, and whoever is called chooses when to answer."""
    for rings in (205, 1000, 3500):
        world = World()
        inside = world.dials()
        world.answer(inside, 180)
        leg = world.leaves()
        world.answer(leg, 183)
        world.wait(rings)
        world.talks(leg)
        world.answer(inside, 200)
        assert world.told() == ["Attempted", "Unconfirmed", "Confirmed", "Answered"]
        assert world.running() == [world.call]
        assert world.calls.leg(world.call)[1] is not None, "the caller's own leg, to hang up by"


def test_what_was_cancelled_is_not_waited_for() -> None:
    world = World()
    leg = world.leaves()
    world.answer(leg, 180)
    world.request(leg, "CANCEL", by_pbx=True)
    world.wait(60)
    assert world.told() == ["Attempted", "Ended"]


def test_a_call_ends_with_its_bye_answered_and_not_before() -> None:
    for by_pbx in (True, False):
        for code, ends in ((200, True), (481, True), (400, False), (500, False), (401, False), (408, False)):
            world = World()
            _, leg = talking(world)
            world.request(leg, "BYE", by_pbx=by_pbx)
            assert len(world.running()) == 1
            world.reply(leg, "BYE", code, by_pbx=not by_pbx)
            assert (not world.running()) is ends, code


def test_a_bye_with_a_low_cseq_that_the_pbx_rejects_ends_nothing() -> None:
    world = World()
    _, leg = talking(world)
    world.request(leg, "BYE", by_pbx=False, cseq=1)
    world.reply(leg, "BYE", 500, by_pbx=True)
    world.wait(240)
    assert world.running() == [world.call]
    assert world.call.lasted(world.now) >= 240 * SECOND


def test_a_bye_of_somebody_else_and_its_answer_end_nothing() -> None:
    world = World()
    _, leg = talking(world)
    world.request(leg, "BYE", by_pbx=False, source=STRANGER)
    world.reply(leg, "BYE", 200, by_pbx=True, source=STRANGER)
    world.reply(leg, "BYE", 200, by_pbx=True)
    assert world.running() == [world.call]


def test_an_answer_to_a_bye_that_nobody_sent_ends_nothing() -> None:
    world = World()
    _, leg = talking(world)
    leg.last, leg.last_cseq = "z9hG4bK-invented", 102
    world.reply(leg, "BYE", 200, by_pbx=False)
    world.request(leg, "BYE", by_pbx=False)
    world.reply(leg, "BYE", 200, by_pbx=False)
    assert world.running() == [world.call]


def test_hanging_up_inside_ends_nothing_outside() -> None:
    world = World()
    inside, leg = talking(world)
    world.bye(inside, by_pbx=False)
    assert world.running() == [world.call]
    world.bye(leg, by_pbx=True)
    assert world.running() == []


def test_a_lost_bye_leaves_a_call_that_becomes_unconfirmed_when_the_pbx_gives_up() -> None:
    world = World()
    _, leg = talking(world)
    world.request(leg, "BYE", by_pbx=True)
    world.wait(31)
    assert world.call.confirmed
    world.wait(2)
    assert not world.call.confirmed
    assert world.told() == ["Attempted", "Answered", "Unconfirmed"]
    world.request(leg, "UPDATE", by_pbx=False)
    assert world.call.confirmed
    assert world.told()[-1] == "Confirmed"


def test_a_call_with_media_stays_confirmed_and_one_of_which_nobody_knows_does_for_an_hour() -> None:
    world = World(media=lambda _: True)
    talking(world)
    world.wait(20 * 3600)
    assert world.call.confirmed
    other = World()
    _, leg = talking(other)
    other.wait(3590)
    other.request(leg, "INVITE", by_pbx=True)
    other.wait(3590)
    assert other.call.confirmed
    other.wait(20)
    assert not other.call.confirmed
    other.wait(24 * 3600)
    assert other.told()[-1] == "Ended"


def test_a_final_answer_that_nobody_asked_for_answers_nothing() -> None:
    world = World()
    world.dials()
    leg = world.leaves()
    old = Dialog(CARRIER, leg.call_id, NUMBER, "1001", outgoing=True, tag=leg.tag)
    old.branch = "z9hG4bK-of-another-call"
    world.answer(old, 200)
    world.answer(leg, 200, source=STRANGER)
    other = Dialog(CARRIER, leg.call_id, NUMBER, "1001", outgoing=True, tag="another")
    other.branch = leg.branch
    world.answer(other, 200)
    assert world.told() == ["Attempted"]
    world.answer(leg, 503)
    world.answer(leg, 200)
    assert "Answered" not in world.told()


def test_refreshes_and_glare_change_nothing() -> None:
    world = World(media=lambda _: False)
    _, leg = talking(world)
    for turn in range(20):
        method = ("INVITE", "UPDATE", "INFO")[turn % 3]
        world.request(leg, method, by_pbx=turn % 2 == 0, extra="Session-Expires: 1800;refresher=uac")
        world.reply(leg, method, 491 if turn % 5 == 0 else 200, by_pbx=turn % 2 == 1)
        world.wait(290)
    assert world.told() == ["Attempted", "Answered"]
    assert world.call.confirmed
    world.bye(leg, by_pbx=False)
    assert world.told() == WHOLE


def test_what_is_needed_to_hang_up_is_known_of_both_legs() -> None:
    world = World()
    inside = world.dials()
    leg = world.leaves(extra=f"Contact: <sip:1001@{PBX}:5060>")
    world.answer(leg, 180)
    world.answer(leg, 200, f"Contact: <sip:x@{CARRIER}:5070>\nRecord-Route: <sip:{CARRIER};lr>")
    world.answer(inside, 200, f"Contact: <sip:pbx@{PBX}>")
    outer, inner = world.calls.leg(world.call)
    assert outer is not None
    assert inner is not None
    assert outer.far_contact == f"<sip:x@{CARRIER}:5070>".encode()
    assert outer.pbx_contact == f"<sip:1001@{PBX}:5060>".encode()
    assert outer.routes == (f"<sip:{CARRIER};lr>".encode(),)
    assert (outer.tag.decode(), outer.other.decode()) == (leg.tag, leg.other)
    assert (inner.far_cseq, inner.call_id.decode()) == (inside.cseq, inside.call_id)
    world.request(inside, "INFO", by_pbx=False)
    assert inner.far_cseq == inside.next_cseq == inside.cseq + 1
    assert (outer.far_port, outer.pbx_port, outer.transport) == (5060, 5060, "udp")
