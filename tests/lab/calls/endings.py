"""How calls end, and how they only seem to: races, what is lost, and what somebody else sends."""

from __future__ import annotations

from tests.lab.agent import Agent, Leg
from tests.lab.asterisk import STRANGER
from tests.lab.calls.plain import NOTHING
from tests.lab.calls.stage import CallCase, Stage, connect, dial, expect, talk
from tests.lab.spoof import Spoofer

PORT = 5060


def cancel_race(stage: Stage) -> None:
    """1001 gives up while it rings; then just as it is answered, before and after the PBX knows."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1001")
        inside = dial(phone, "90037120000001")
        outside = carrier.called()
        outside.ring()
        inside.progress()
        talk(0.5)
        expect(inside.cancel().code, 200)
        carrier.answer(outside.coming("CANCEL"), 200, tag=outside.tag)
        outside.refuse(487, "Request Terminated")
        expect(inside.final().code, 487)
        talk(0.3)
        # the carrier's 200 crosses the PBX's CANCEL: the PBX must acknowledge and hang up at once
        inside = dial(phone, "90037120000002")
        outside = carrier.called()
        outside.ring()
        inside.progress()
        expect(inside.cancel().code, 200)
        cancelled = outside.coming("CANCEL")
        outside.pick_up_unheard()
        carrier.answer(cancelled, 200, tag=outside.tag)
        outside.hung_up()
        inside.final()
        talk(0.3)
        # the phone's CANCEL crosses the PBX's 200: too late, the call stands until the phone hangs up
        inside = dial(phone, "90037120000003")
        outside = carrier.called()
        outside.ring()
        inside.progress()
        outside.pick_up()
        inside.cancel()
        expect(inside.final().code, 200)
        talk(1.1)
        phone.send(inside.text("BYE"))
        outside.hung_up()


def lost_bye(stage: Stage) -> None:
    """Let the carrier miss a BYE twice; then let the phone vanish without one, until the carrier ends the call."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1001")
        inside, outside = connect(phone, "900252610000001", carrier)
        talk(2.2)
        phone.send(inside.text("BYE"))
        carrier.deaf(1.2)
        outside.hung_up()
        talk(0.3)
        inside, outside = connect(phone, "900252610000002", carrier)
        talk(1.0)
        phone.close()
        talk(4.0)
        expect(outside.hang_up().code, 200)


def lost_bye_for_good(stage: Stage) -> None:
    """Let the carrier vanish during a call; the phone hangs up, and the PBX's BYE is never answered."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1001")
        inside, _ = connect(phone, "900252610000003", carrier)
        talk(1.5)
        carrier.close()
        expect(inside.hang_up().code, 200)
        talk(33.0)  # RFC 3261 timer F: 64 times T1


def forged_bye(stage: Stage) -> None:
    """Somebody sends BYEs into a call of 1001; what the PBX does with each stands in the case's README."""
    carrier = stage.carrier()
    with stage.recording(), Spoofer(stage.world.attacker) as spoofer:
        phone = stage.phone("1001")
        inside, outside = connect(phone, "900252610000001", carrier)
        talk(0.8)
        forge(spoofer, stage, phone, inside, cseq=inside.cseq - 1)
        talk(0.4)
        forge(spoofer, stage, phone, inside, cseq=inside.cseq)
        talk(0.4)
        forge(spoofer, stage, phone, inside, cseq=inside.cseq + 1, tag="guessed")
        talk(1.3)
        forge(spoofer, stage, phone, inside, cseq=inside.cseq + 5, source=(STRANGER.v4, PORT))
        outside.hung_up()


def forge(
    spoofer: Spoofer,
    stage: Stage,
    phone: Agent,
    leg: Leg,
    *,
    cseq: int,
    tag: str = "",
    source: tuple[str, int] = ("", 0),
) -> None:
    """Send a BYE of the phone's leg from elsewhere, by default under the phone's own address."""
    text = leg.text("BYE", cseq=cseq)
    if tag:
        text = text.replace(leg.remote, f"{leg.remote.partition(';tag=')[0]};tag={tag}")
    spoofer.send(source if source[0] else (phone.address, phone.port), (stage.world.pbx.v4, PORT), text.encode())


CASES = (
    CallCase(
        "calls/cancel-race", cancel_race,
        "1001 gives up three calls: while it rings; when the carrier's 200 crosses the PBX's CANCEL; when its own "
        "CANCEL crosses the PBX's 200.",
        "CANCEL and 200 sent within a millisecond of each other", NOTHING,
    ),
    CallCase(
        "calls/lost-bye", lost_bye,
        "The carrier misses the first transmissions of a BYE; then a phone vanishes without one, and the call runs on "
        "until the carrier ends it, the PBX's BYE to the phone never answered.",
        "the carrier reads nothing for 1.2 s; the phone's socket is closed", NOTHING,
    ),
    CallCase(
        "calls/lost-bye-for-good", lost_bye_for_good,
        "The carrier vanishes during a call. The phone hangs up; the PBX's BYE to the trunk is never answered, and "
        "it gives up after 32 s.",
        "the carrier's socket is closed, and its host does not say so", "a call that is open for ever; " + NOTHING,
    ),
    CallCase(
        "calls/forged-bye", forged_bye,
        "BYEs that the phone did not send: with a CSeq below and equal to the last, with a guessed To-tag, all under "
        "the phone's address; at last a right one from a third address.",
        "raw packets from the attacker's namespace", "an end before the last BYE; " + NOTHING,
    ),
)  # fmt: skip
