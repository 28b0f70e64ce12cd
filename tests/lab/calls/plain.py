"""Calls of extensions through a trunk, and calls that come in."""

from __future__ import annotations

from tests.lab.asterisk import FIRST_CARRIER, LOCAL_NUMBER, SECOND_CARRIER, TRUNK_USER, AsteriskSettings
from tests.lab.calls.stage import CallCase, Stage, connect, dial, expect, talk
from tests.lab.tools import sipp_arguments

NOTHING = "a call that is not in `calls.toml`, an origin, a second or a cent other than there"


def extension(stage: Stage) -> None:
    """1001 calls three times: hangs up, is hung up on, meets a busy line."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1001")
        inside = dial(phone, "90037167000001")
        outside = carrier.called("+37167000001")
        outside.ring(183)
        inside.progress(183)
        talk(0.4)
        outside.pick_up()
        inside.answered()
        talk(6.2)
        phone.send(inside.text("BYE"))
        outside.hung_up()
        talk(0.3)
        inside, outside = connect(phone, "902079460111", carrier)
        talk(2.5)
        expect(outside.hang_up().code, 200)
        inside.hung_up()
        talk(0.3)
        inside = dial(phone, "+37167000002")
        carrier.called().refuse(486, "Busy Here")
        expect(inside.final().code, 486)


def extension_tcp(stage: Stage) -> None:
    """Call and be hung up on by either side, phone and trunk over TCP."""
    carrier = stage.carrier(tcp=True)
    with stage.recording():
        phone = stage.phone("1001", tcp=True)
        inside, outside = connect(phone, "90037167000001", carrier)
        talk(3.1)
        phone.send(inside.text("BYE"))
        outside.hung_up()
        talk(0.3)
        inside, outside = connect(phone, "902079460111", carrier)
        talk(1.7)
        expect(outside.hang_up().code, 200)
        inside.hung_up()


def challenged(stage: Stage) -> None:
    """Let the PBX challenge the phone, and the carrier the PBX: two INVITEs on each leg, one call."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1002")
        inside = dial(phone, "900252610000001")
        outside = carrier.called("+252610000001").challenged()
        outside.ring()
        outside.pick_up()
        inside.answered()
        talk(4.4)
        phone.send(inside.text("BYE"))
        asked = outside.coming("BYE")
        carrier.answer(asked, 200)


def inbound(stage: Stage) -> None:
    """Two calls come in: the phone ends one, the carrier the other; a third rings in vain."""
    carrier = stage.carrier()
    with stage.recording():
        phone = stage.phone("1001")
        carrier.user = "+447700900123"
        for who in (phone, carrier):
            outside = carrier.call(f"{LOCAL_NUMBER}1")
            inside = phone.called()
            inside.ring()
            inside.pick_up()
            outside.answered()
            talk(1.5)
            near, far = (inside, outside) if who is phone else (outside, inside)
            expect(near.hang_up().code, 200)
            far.hung_up()
            talk(0.3)
        outside = carrier.call(f"{LOCAL_NUMBER}1")
        inside = phone.called()
        inside.ring()
        outside.progress()
        expect(outside.cancel().code, 200)
        cancelled = inside.coming("CANCEL")
        phone.answer(cancelled, 200, tag=inside.tag)
        inside.refuse(487, "Request Terminated")
        expect(outside.final().code, 487)


def failover(stage: Stage) -> None:
    """Let the first carrier say 503 and the second take the call; then let both refuse."""
    first, second = stage.carrier(), stage.carrier(SECOND_CARRIER)
    with stage.recording():
        phone = stage.phone("1001")
        inside = dial(phone, "900252610000002")
        first.called("+252610000002").refuse(503, "Service Unavailable")
        outside = second.called("+252610000002").challenged()
        outside.ring()
        outside.pick_up()
        inside.answered()
        talk(3.4)
        expect(outside.hang_up().code, 200)
        inside.hung_up()
        talk(0.3)
        inside = dial(phone, "900252610000003")
        first.called().refuse(503, "Service Unavailable")
        second.called().refuse(503, "Service Unavailable")
        expect(inside.final().code >= 500, wanted=True)


def together(stage: Stage) -> None:
    """1001 and 1002 dial the same number at the same moment; the carrier's answers cross."""
    carrier = stage.carrier()
    with stage.recording():
        phones = stage.phones("1001", "1002")
        inside = [phone.call("90037120000005") for phone in phones]
        for leg in inside:
            leg.prove()
        first, second = carrier.called(), carrier.called()
        second.ring()
        first.ring()
        second.pick_up()
        talk(0.7)
        first.pick_up()
        for leg in inside:
            leg.answered()
        talk(2.2)
        phones[0].send(inside[0].text("BYE"))
        ended = carrier.receive(lambda m: m.method == "BYE" and not m.code, "a BYE")
        carrier.answer(ended, 200)
        talk(1.6)
        other = second if ended.header("Call-ID") == first.call_id else first
        expect(other.hang_up().code, 200)
        inside[1].hung_up()


def by_sipp(stage: Stage) -> None:
    """Let SIPp be phone and carrier: four calls, begun half a second apart, of 2.4 s each."""
    world, password = stage.world, stage.server.settings.extensions["1001"]
    phone = ("-s", "1001", "-key", "caller", "1001", "-au", "1001", "-ap", password, f"{stage.pbx}:5060")
    with stage.recording():
        world.phone.run(*sipp_arguments("register", SIPP_PHONE, 5060, calls=1), *phone)
        answering = world.hosts["carrier"].start(*sipp_arguments("called", FIRST_CARRIER, 5060, calls=4))
        called = ("-s", "902079460112", *phone[2:])
        world.phone.run(*sipp_arguments("caller", SIPP_PHONE, 5060, calls=4), "-r", "2", "-d", "2400", *called)
        expect(answering.wait(seconds=20.0), 0)


SIPP_PHONE = "198.51.100.21"
IDENTITY = {"from_user": TRUNK_USER, "send_pai": "yes", "trust_id_outbound": "yes"}
CASES = (
    CallCase(
        "calls/extension", extension,
        "1001 calls through the trunk thrice: early media and a BYE of its own; a BYE of the carrier; a busy line.",
        "outside digit 9 and plain international form", NOTHING,
    ),
    CallCase(
        "calls/extension-tcp", extension_tcp,
        "1001 calls twice, phone and trunk over TCP; each side ends one.",
        "one TCP connection that the phone opened, one that the PBX opened", NOTHING,
        AsteriskSettings(trunk_tcp=True),
    ),
    CallCase(
        "calls/extension-v6", extension,
        "As `calls/extension`, where the PBX, the phone and the carrier speak IPv6.",
        "outside digit 9 and plain international form", NOTHING,
        AsteriskSettings(v6=True),
    ),
    CallCase(
        "calls/extension-sipp", by_sipp,
        "1001 makes four calls to one number, begun half a second apart, so that they overlap.",
        "the phone registers first, by a run of its own", NOTHING, agents="SIPp {sipp} as the phone and as the carrier",
    ),
    CallCase(
        "calls/challenged", challenged,
        "One call, its INVITE challenged and repeated on both legs; From on the trunk names the trunk's account only.",
        "`from_user` and `send_pai` set on the trunk", "two calls, or one counted twice; " + NOTHING,
        AsteriskSettings(identity=IDENTITY),
    ),
    CallCase(
        "calls/inbound", inbound,
        "Three calls from the carrier to 1001: each side ends one, the third is given up while it rings.",
        "the carrier calls the site's own number", "a cost; " + NOTHING,
    ),
    CallCase(
        "calls/failover", failover,
        "The first carrier answers 503; the second challenges, and takes the call. A second call is refused by both.",
        "the dial plan tries the second trunk", "two calls where one was dialled; " + NOTHING,
    ),
    CallCase(
        "calls/together", together,
        "Two extensions dial the same number at the same moment.",
        "the carrier answers in the other order", "a pair that is crossed; " + NOTHING,
    ),
)  # fmt: skip
