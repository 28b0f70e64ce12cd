"""The operator's word holds from the next call on, and on those that run; what he is told is what goes on."""

from __future__ import annotations

import pytest

from tests.lab.calls.stage import Stage, connect
from tests.lab.wait import until
from tests.live.tolls import CHEAP, DEAR, OPEN, scene

# the first of them may have to fetch a Debian
pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(1500)]


def test_quarantine_holds_from_the_next_invite_on_and_so_does_release(exchange: Stage) -> None:
    with scene(exchange, "quarantine") as site:
        phone, other, carrier = site.phone(), site.phone("1002"), site.carrier()
        inside, outside = connect(phone, f"{CHEAP}0001", carrier)
        theirs, away = connect(other, f"{CHEAP}0002", carrier)
        site.answered(2)
        assert "under quarantine" in site.guard.cli("quarantine", "1001")
        assert site.refused(phone, f"{CHEAP}0003") == 403
        outside.hung_up()
        inside.hung_up()
        assert "quarantine" in site.alert("call-hung-up")["text"]
        phone.register()
        assert site.refused(phone, f"{CHEAP}0003") == 403
        (row,) = site.answered()
        assert row["account"] == "1002@asterisk"
        site.guard.cli("release", "1001")
        site.through(phone, f"{CHEAP}0003", carrier)
        theirs.hang_up()
        away.hung_up()


def test_a_running_call_is_shown_told_and_hung_up(exchange: Stage) -> None:
    with scene(exchange, "shown", more=OPEN) as site:
        phone, other, carrier = site.phone(), site.phone("1002"), site.carrier()
        inside, outside = connect(phone, f"{DEAR}0001", carrier)
        theirs, away = connect(other, f"{CHEAP}0002", carrier)
        site.answered(2)
        until(lambda: site.running[0]["cost"] > 2_000_000, "a call that costs")
        first, second = site.json("calls")["calls"]
        assert (first["account"], first["number"], first["trunk"]) == ("1001@asterisk", "+37120000001", "Carrier")
        assert (first["origin"], first["source"], second["account"]) == ("extension", phone.address, "1002@asterisk")
        told = site.guard.cli("calls")
        assert first["id"][:8] in told
        assert "+37120000001" in told
        (row,) = site.json("accounts", "1001")["accounts"]
        assert (row["calls"], row["registered"][0]["network"]) == (1, phone.address)
        assert row["cost"] >= first["cost"]
        story = site.json("incident", "1001")
        assert [each["number"] for each in story["running"]] == ["+37120000001"]
        assert phone.address in story["addresses"]
        assert "What to do now" in site.guard.cli("incident", "1001")
        assert "is being hung up" in site.guard.cli("hangup", first["id"][:8])
        outside.hung_up()
        inside.hung_up()
        (row,) = site.answered()
        assert row["id"] == second["id"]
        site.guard.cli("hangup", "ffffffff", code=1)
        (ended,) = site.json("calls", "--ended", "1h")["calls"]
        assert (ended["number"], ended["account"]) == ("+37120000001", "1001@asterisk")
        theirs.hang_up()
        away.hung_up()


def test_counters_that_are_set_to_nothing_leave_room_at_once(exchange: Stage) -> None:
    limit = OPEN.replace("[limits.account]\n", '[limits.account]\ntotal = { critical = 1, window = "1h" }\n')
    with scene(exchange, "reset", more=limit) as site:
        phone, carrier = site.phone(), site.carrier()
        site.through(phone, f"{CHEAP}0001", carrier)
        assert site.refused(phone, f"{CHEAP}0002") == 403
        assert "1001@asterisk is counted anew" in site.guard.cli("limits", "reset", "1001")
        site.through(phone, f"{CHEAP}0002", carrier)
        assert site.refused(phone, f"{CHEAP}0003") == 403
