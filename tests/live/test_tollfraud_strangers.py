"""Nobody outside moves a counter: not by asking, not in another's name, not by forging ends or repeating answers."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.lab.agent import Leg
from tests.lab.calls.stage import Stage, connect
from tests.lab.client import Client
from tests.lab.spoof import Spoofer
from tests.live.site import settled
from tests.live.tolls import EXPENSIVE, OPEN, Scene, scene

# the first of them may have to fetch a Debian
pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(1500)]

THIRD = "203.0.113.200"
ACCOUNT = "1001@asterisk"
TOTAL = ("account", ACCOUNT, "limits.account.total")
PLAIN = OPEN + "[detect.credentials]\nenabled = false\n"


class View(NamedTuple):
    """All that is counted and shown of calls, without what time alone changes; running calls pay by the minute."""

    limits: dict[tuple[str, str, str], int]
    accounts: dict[str, tuple[int, int, int, list[Any]]]
    calls: list[tuple[str, str, float, int]]
    invites: int


def view(site: Scene) -> View:
    """Ask for it as a script would, and the carriers' host what has come."""
    limits = {(row["scope"], row["subject"], row["rule"]): row["value"] for row in site.json("limits")["limits"]}
    rows = site.json("accounts")["accounts"]
    accounts = {row["account"]: (row["calls"], row["cost"], row["today"]["calls"], row["state"]) for row in rows}
    calls = [(row["id"], row["account"], row["answered"], row["cost"]) for row in site.json("calls")["calls"]]
    return View(limits, accounts, calls, site.invites)


def forged(leg: Leg, *, cseq: int = 0, tags: bool = True) -> bytes:
    """Write a BYE as the agent of a leg would, with its own tags or others."""
    asked, leg.cseq = leg.cseq, leg.cseq + 50
    text = leg.text("BYE", cseq=cseq)
    leg.cseq = asked
    return (text if tags else text.replace(";tag=", ";tag=x")).encode()


def repeated(outside: Leg) -> bytes:
    """Write the carrier's 200 once more, as he did."""
    asked, agent = outside.asked, outside.agent
    assert asked is not None
    body = agent.sdp()
    return (
        f"SIP/2.0 200 OK\r\n{asked.lines('Via', 'From')}To: {asked.header('To')};tag={outside.tag}\r\n"
        f"{asked.lines('Call-ID', 'CSeq')}Contact: {agent.contact}\r\nContent-Type: application/sdp\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def test_what_a_stranger_asks_for_in_whatever_name_counts_for_nobody(exchange: Stage) -> None:
    world = exchange.world
    with (
        scene(exchange, "asked", more=PLAIN) as site,
        Client(world.attacker, world.pbx.v4, address="203.0.113.171") as stranger,
        Spoofer(world.attacker) as spoofer,
    ):
        phone, carrier = site.phone(), site.carrier()
        inside, outside = connect(phone, f"{EXPENSIVE}0001", carrier)
        site.answered()
        before = view(site)
        assert before.limits[TOTAL] == 1
        for number in range(40):
            text = stranger.request("INVITE", "1001", to=f"{EXPENSIVE}1{number:03}", call_id=f"asked{number}")
            stranger.send(text)
            spoofer.send((phone.address, 5060), (world.pbx.v4, 5060), text.replace(b"asked", b"spoofed"))
            spoofer.send((carrier.address, 5060), (world.pbx.v4, 5060), text.replace(b"asked", b"carried"))
        settled(site.guard)
        assert view(site) == before
        inside.hang_up()
        outside.hung_up()
        site.idle()


def test_forged_ends_and_repeated_answers_change_nothing(exchange: Stage) -> None:
    world = exchange.world
    pbx = (world.pbx.v4, 5060)
    with scene(exchange, "forged", more=PLAIN) as site, Spoofer(world.attacker) as spoofer:
        phone, carrier = site.phone(), site.carrier()
        first, old = connect(phone, f"{EXPENSIVE}0001", carrier)
        first.hang_up()
        old.hung_up()
        inside, outside = connect(phone, f"{EXPENSIVE}0002", carrier)
        site.answered()
        before = view(site)
        assert before.limits[TOTAL] == 2
        for source in ((THIRD, 5060), (phone.address, 5060), (carrier.address, 5060)):
            for leg in (inside, outside):
                spoofer.send(source, pbx, forged(leg, tags=False))
            spoofer.send(source, pbx, forged(inside, cseq=1))
            spoofer.send(source, pbx, repeated(old))
            spoofer.send(source, pbx, repeated(outside))
        settled(site.guard)
        assert view(site) == before
        assert site.stage.server.channels == 2
        assert inside.hang_up().code == 200
        outside.hung_up()
        site.idle()
        spoofer.send((carrier.address, 5060), pbx, repeated(outside))
        settled(site.guard)
        after = view(site)
        assert (after.calls, after.invites) == ([], before.invites)
        assert after.accounts[ACCOUNT] == (0, 0, 2, [])
        assert after.limits[TOTAL] == 2


def test_an_end_that_the_pbx_believes_is_the_end_for_the_guard_as_well(exchange: Stage) -> None:
    """A BYE with the tags of the dialog ends a call of Asterisk's wherever it comes from."""
    world = exchange.world
    with scene(exchange, "believed", more=PLAIN) as site, Spoofer(world.attacker) as spoofer:
        phone, carrier = site.phone(), site.carrier()
        inside, outside = connect(phone, f"{EXPENSIVE}0003", carrier)
        site.answered()
        spoofer.send((THIRD, 5060), (world.pbx.v4, 5060), forged(inside))
        outside.hung_up()
        site.idle()
        assert site.json("calls", "--ended", "1h")["total"] == 1
