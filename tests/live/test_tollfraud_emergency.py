"""A call for help always leaves: closed, quarantined, spent, stopped or dead; and only a call for help does."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from tests.lab.agent import Agent, Leg
from tests.lab.asterisk import CARRIER, FIRST_CARRIER, STRANGER
from tests.lab.calls.stage import Stage, connect
from tests.lab.client import Client
from tests.lab.kamailio import ACCOUNTS, Settings, kamailio
from tests.lab.wait import until
from tests.lab.world import PHONE, world
from tests.live.guard import elements, guarding
from tests.live.passing import counting
from tests.live.tolls import CHEAP, OPEN, Invites, scene

# the first of them may have to fetch a Debian
pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(1500)]

HELP = ("112", "911", "999", "000")
LINES = f"[refuse]\nemergency = {[*HELP]}\n"
"""000 is no number for help in Great Britain, but one of this policy."""
CLOSED = "[calls]\noutbound = false\n"
_PLAIN = f"""
[numbering]
country = "GB"
outside = ["9"]
[[trunk]]
name = "Carrier"
addresses = ["{FIRST_CARRIER}"]
"""
SPENT = OPEN.replace("[limits.account]\n", '[limits.account]\ntotal = { critical = 1, window = "1h" }\n')


def helped(phone: Agent, carrier: Agent, number: str) -> None:
    """Dial, and be answered by a carrier that was asked for the number for help."""
    inside, outside = connect(phone, number, carrier)
    asked = outside.asked
    assert asked is not None
    assert asked.number == number[-3:]
    assert inside.hang_up().code == 200
    outside.hung_up()


@pytest.mark.parametrize("how", ["quarantined", "closed"])
def test_whatever_is_closed_a_call_for_help_leaves_and_is_told(exchange: Stage, how: str) -> None:
    with scene(exchange, f"help-{how}", more=LINES + (SPENT if how == "quarantined" else CLOSED)) as site:
        phone, carrier = site.phone(), site.carrier()
        if how == "quarantined":
            site.through(phone, f"{CHEAP}1001", carrier)
            assert site.refused(phone, f"{CHEAP}1002") == 403
            for number in HELP:
                helped(phone, carrier, number)
            site.guard.cli("quarantine", "1001")
        assert site.refused(phone, f"{CHEAP}1003") == 403
        numbers = [f"9{each}" for each in HELP] if how == "quarantined" else HELP
        for number in numbers:
            helped(phone, carrier, number)
        for number in HELP:
            assert site.alert("emergency-call", f"to {number} by 1001")
        assert site.refused(phone, "1125551234") == 403
        assert site.refused(phone, f"{CHEAP}1004") == 403


def test_a_tel_uri_for_help_leaves_and_a_service_urn_reaches_the_pbx(exchange: Stage) -> None:
    with scene(exchange, "help-uris", more=CLOSED) as site:
        phone, carrier = site.phone(), site.carrier()
        site.guard.cli("quarantine", "1001")
        for uri in ("tel:112", "tel:911;phone-context=+44"):
            inside = Leg(phone, phone.fresh("call"), uri, phone.fresh("tag"))
            inside.invite()
            inside.prove()
            outside = carrier.called(uri[4:7])
            outside.pick_up()
            inside.answered().hang_up()
            outside.hung_up()
        with counting(exchange.world.pbx, phone.address) as passed:
            for number, uri in enumerate(("urn:service:sos", "urn:service:sos.fire")):
                Leg(phone, phone.fresh("call"), uri, phone.fresh("tag")).invite()  # which Asterisk 22 cannot read
                until(lambda most=number + 1: passed.count == most, f"the PBX being asked for {uri}")  # type: ignore[misc]


def test_a_service_urn_leaves_through_a_pbx_that_can_read_it() -> None:
    """Kamailio relays it to the carrier as it is, with the dialog's own names on both legs."""
    with (
        world((STRANGER, PHONE, CARRIER)) as made,
        kamailio(made, Settings(gateway=FIRST_CARRIER)),
        contextlib.closing(Invites(made.hosts["carrier"])) as invites,
        guarding(made, "help-urn", more=_PLAIN + CLOSED) as guard,
        Agent(made.phone, made.pbx.v4, "1001", ACCOUNTS["1001"], address="198.51.100.21") as phone,
        Agent(made.hosts["carrier"], made.pbx.v4, "switch", address=FIRST_CARRIER) as carrier,
    ):
        phone.register()
        until(lambda: "1001" in guard.cli("accounts"), "the phone being known")
        guard.cli("quarantine", "1001")
        for seen, judged in ((2, True), (4, False)):
            refused = Leg(phone, phone.fresh("call"), f"sip:{CHEAP}1001@{made.pbx.v4}", phone.fresh("tag"))
            if judged:
                refused.invite()
                assert refused.final().code == 403
            else:
                guard.process.signal(signal.SIGKILL)
                until(lambda: elements(made.pbx, "alive") == [], "the gate being open")
            for uri in ("urn:service:sos", "urn:service:sos.fire"):
                inside = Leg(phone, phone.fresh("call"), uri, phone.fresh("tag"))
                inside.invite()
                inside.prove()
                outside = carrier.called()
                assert outside.asked is not None
                assert outside.asked.start == f"INVITE {uri} SIP/2.0"
                outside.pick_up_unheard()
                inside.answered()
                outside.coming("ACK")
                inside.agent.send(inside.text("BYE"))
                outside.hung_up()
            assert invites.count == seen
            if judged:
                told = [line["text"] for line in guard.events() if line.get("alert") == "emergency-call"]
                assert len(told) == 2, told


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_when_nobody_judges_a_call_for_help_leaves(exchange: Stage, number: signal.Signals) -> None:
    with scene(exchange, f"help-{number.name}", more=CLOSED + LINES) as site:
        phone, carrier = site.phone(), site.carrier()
        site.guard.cli("quarantine", "1001")
        assert site.refused(phone, f"{CHEAP}1002") == 403
        site.guard.process.signal(number)
        until(lambda: elements(exchange.world.pbx, "alive") == [], "the gate being open")
        for each in HELP:
            helped(phone, carrier, each)
        site.guard.process.signal(signal.SIGCONT)


def test_a_strangers_flood_of_calls_for_help_stops_nobodys_calls(exchange: Stage) -> None:
    world = exchange.world
    with scene(exchange, "help-flood") as site, contextlib.ExitStack() as kept:
        phone, carrier = site.phone(), site.carrier()
        stranger = kept.enter_context(Client(world.attacker, world.pbx.v4, address="203.0.113.170"))
        over = threading.Event()
        flood = [stranger.request("INVITE", "911", to="911", call_id=f"help{number}") for number in range(400)]

        def fire() -> None:
            while not over.is_set():
                for text in flood:
                    stranger.send(text)
                over.wait(0.5)

        firing = threading.Thread(target=fire)
        firing.start()
        try:
            before = site.invites
            helped(phone, carrier, "112")
            site.through(phone, f"{CHEAP}1001", carrier)
            helped(site.phone("1002"), carrier, "999")
            assert site.invites == before + 3
        finally:
            over.set()
            firing.join()
        assert site.guard.packet["counters"]["calls_for_help"] == 2
        assert site.guard.packet["bugs"] == 0
