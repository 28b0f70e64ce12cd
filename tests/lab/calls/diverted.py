"""Calls that leave without an extension having dialled them: sent on, handed over, or made by the PBX itself."""

from __future__ import annotations

from tests.lab.agent import Agent, Leg
from tests.lab.asterisk import FORWARD_TARGET, LOCAL_NUMBER
from tests.lab.calls.plain import NOTHING
from tests.lab.calls.stage import CallCase, Stage, connect, expect, talk

OUTSIDER = "+447700900123"
EXPENSIVE = "90037120000002"


def come_in(carrier: Agent, phone: Agent, number: str) -> tuple[Leg, Leg]:
    """Let the carrier call a phone, and be answered; gives the leg outside and the leg inside."""
    outside = carrier.call(number)
    inside = phone.called()
    inside.ring()
    inside.pick_up()
    return outside.answered(), inside


def forwarded(stage: Stage) -> None:
    """Two calls come in for numbers that the dial plan sends abroad: one by name of 1003, one without a word."""
    carrier = stage.carrier()
    with stage.recording():
        carrier.user = OUTSIDER
        for last, seconds in (("8", 5.3), ("9", 2.6)):
            coming = carrier.call(f"{LOCAL_NUMBER}{last}")
            going = carrier.called(FORWARD_TARGET)
            going.ring()
            going.pick_up()
            coming.answered()
            talk(seconds)
            carrier.send(coming.text("BYE"))
            going.hung_up()
            talk(0.3)


def forwarded_by_phone(stage: Stage) -> None:
    """Let a call come in for 1002, whose phone says 302 to a number abroad."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1002")
        carrier.user = OUTSIDER
        coming = carrier.call(f"{LOCAL_NUMBER}2")
        ringing = phone.called()
        ringing.refuse(
            302, "Moved Temporarily", "Diversion: <sip:1002@192.0.2.10>;reason=unconditional\r\n",
            contact=f"<sip:{EXPENSIVE}@{phone.server}>",
        )  # fmt: skip
        going = carrier.called("+37120000002")
        going.ring()
        going.pick_up()
        coming.answered()
        talk(3.7)
        expect(going.hang_up().code, 200)
        coming.hung_up()


def transferred_blind(stage: Stage) -> None:
    """Let a call come in, which 1001 hands it on abroad by REFER; then 1001 call 1002, who hands it on."""
    carrier = stage.carrier()
    with stage.recording():
        first, second = stage.phones("1001", "1002")
        carrier.user = OUTSIDER
        coming, inside = come_in(carrier, first, f"{LOCAL_NUMBER}1")
        talk(0.8)
        expect(inside.refer(EXPENSIVE).code, 202)
        going = carrier.called("+37120000002")
        going.ring()
        going.pick_up()
        inside.handed_over()
        talk(3.3)
        expect(coming.hang_up().code, 200)
        going.hung_up()
        talk(0.3)
        calling = first.call("1002")
        calling.prove()
        called = second.called()
        called.ring()
        called.pick_up()
        calling.answered()
        talk(0.6)
        expect(called.refer("+37120000006").code, 202)
        going = carrier.called("+37120000006")
        going.pick_up()
        called.handed_over()
        talk(2.1)
        first.send(calling.text("BYE"))
        going.hung_up()


def transferred_attended(stage: Stage) -> None:
    """1001 has an inbound call, calls abroad beside it, joins the two by REFER with Replaces, and is out of it."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1001")
        carrier.user = OUTSIDER
        coming, inside = come_in(carrier, phone, f"{LOCAL_NUMBER}1")
        talk(0.5)
        consulting, going = connect(phone, EXPENSIVE, carrier)
        talk(1.2)
        expect(inside.refer(EXPENSIVE, replaces=consulting).code, 202)
        inside.handed_over()
        consulting.hung_up()
        talk(4.6)
        expect(going.hang_up().code, 200)
        coming.hung_up()
        talk(0.3)
        # two that leave, joined: they go on without anybody of the site
        first_in, first_out = connect(phone, "+37120000007", carrier)
        second_in, second_out = connect(phone, "+252610000007", carrier)
        talk(0.7)
        expect(first_in.refer("+252610000007", replaces=second_in).code, 202)
        first_in.handed_over()
        second_in.hung_up()
        talk(3.2)
        expect(first_out.hang_up().code, 200)
        second_out.hung_up()


def orphan(stage: Stage) -> None:
    """Let the manager originate a call, then a call file: no phone has dialled either."""
    carrier = stage.carrier()
    with stage.recording():
        stage.phone("1001")
        stage.server.manager(
            "Originate", Channel="PJSIP/+252610000009@trunk1", Application="Wait", Data="60", Async="true",
            CallerID="1001", Timeout="20000",
        )  # fmt: skip
        leg = carrier.called("+252610000009").pick_up()
        talk(2.4)
        stage.server.manager("Hangup", Channel="/^PJSIP/trunk1-.*$/")
        leg.hung_up()
        talk(0.3)
        stage.server.call_file(
            "night", {"Channel": "PJSIP/+37120000008@trunk1", "Application": "Wait", "Data": "60", "MaxRetries": "0"}
        )
        leg = carrier.called("+37120000008").pick_up()
        talk(1.9)
        expect(leg.hang_up().code, 200)


CASES = (
    CallCase(
        "calls/forwarded", forwarded,
        "Two inbound calls that the dial plan sends abroad, without a word of who sent them on.",
        "the carrier calls the site's own numbers; the PBX calls out through the same trunk", NOTHING,
    ),
    CallCase(
        "calls/forwarded-by-phone", forwarded_by_phone,
        "An inbound call for 1002, whose phone answers 302 with a number abroad.",
        "the PBX follows the 302 through its dial plan", NOTHING,
    ),
    CallCase(
        "calls/transferred-blind", transferred_blind,
        "1001 hands an inbound call on abroad by REFER; 1002 hands on 1001's call to it.",
        "REFER without Replaces, Referred-By given", NOTHING,
    ),
    CallCase(
        "calls/transferred-attended", transferred_attended,
        "1001 joins an inbound call and one abroad by REFER with Replaces; then two calls abroad with each other. "
        "What leaves goes on without it.",
        "REFER with Replaces between two dialogs of 1001", "an end of what still runs; " + NOTHING,
    ),
    CallCase(
        "calls/orphan", orphan,
        "Two calls that no phone dialled: originated by the manager under the name of 1001, and by a call file.",
        "AMI Originate; a file in the spool", "a charge to 1001; " + NOTHING,
    ),
)  # fmt: skip
