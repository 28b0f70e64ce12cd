"""A stolen account gets as far as its limits: what is beyond them never leaves, and what runs is ended in time."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.agent import Agent
from tests.lab.asterisk import AsteriskSettings
from tests.lab.calls.stage import Stage, connect, talk
from tests.lab.calls.stage import stage as calls_stage
from tests.lab.wait import PATIENCE, until
from tests.live.speech import talking
from tests.live.tolls import CHEAP, DEAR, EXPENSIVE, MICROS, OPEN, Scene, scene

# the first of them may have to fetch a Debian
pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(1500)]

ALLOWED = 3
CAP = 12
SHORT = '[limits.account]\nduration = { critical = "10s" }\n'


SPENDING = OPEN.replace("spend_hour = {}", f"spend_hour = {{ critical = {CAP} }}", 1)
"""What one account may spend within an hour, and nothing else."""


def test_of_forty_expensive_numbers_not_one_beyond_the_limit_reaches_the_trunk(exchange: Stage) -> None:
    limit = OPEN.replace("expensive_numbers = {}", f'expensive_numbers = {{ critical = {ALLOWED}, window = "1h" }}', 1)
    with scene(exchange, "forty", more=limit) as site:
        phone, carrier = site.phone(), site.carrier()
        for number in range(ALLOWED):
            connect(phone, f"{EXPENSIVE}{1000 + number}", carrier)
        assert site.invites == ALLOWED
        codes = [site.refused(phone, f"{EXPENSIVE}{1000 + number}") for number in range(ALLOWED, 40)]
        assert {code // 100 for code in codes} == {4}, codes
        assert site.invites == ALLOWED
        assert "limits.account.expensive_numbers" in site.alert("call-refused")["text"]


def test_forty_that_are_dialled_at_once_are_no_more_than_one_after_another(exchange: Stage) -> None:
    limit = OPEN.replace("expensive_numbers = {}", f'expensive_numbers = {{ critical = {ALLOWED}, window = "1h" }}', 1)
    with scene(exchange, "at-once", more=limit + "[limits]\nmisdials = 200\n") as site:
        phone, carrier = site.phone(), site.carrier()
        legs = [phone.call(f"{EXPENSIVE}{2000 + number}") for number in range(40)]
        codes: list[int] = []
        for first in range(0, 40, 5):  # no more than may wait for an answer at a time: this phone repeats nothing
            batch = legs[first : first + 5]
            for leg in batch:
                leg.prove()
            for _ in range(ALLOWED if not first else 0):
                carrier.called().pick_up_unheard()
            codes += [leg.final().code for leg in batch]
        assert sorted(codes) == [200] * ALLOWED + [403] * (40 - ALLOWED)
        assert site.invites == ALLOWED


def test_calls_that_do_not_ring_yet_keep_no_other_of_the_same_phone_from_leaving(exchange: Stage) -> None:
    with scene(exchange, "slow") as site:
        phone, carrier = site.phone(), site.carrier()
        legs = [phone.call(f"901{number}14960123") for number in range(2, 10)]  # British towns
        for leg in legs:
            leg.prove()
            carrier.called()
        assert site.guard.packet["counters"]["guesses_deferred"] == 0


# --- A running call ---------------------------------------------------------------------------------------------------


def ends_in_time(site: Scene, phone: Agent, carrier: Agent, number: str) -> None:
    inside, outside = connect(phone, number, carrier)
    began = time.monotonic()
    assert outside.hung_up(seconds=20).method == "BYE"
    lasted = time.monotonic() - began
    assert inside.hung_up(seconds=20).method == "BYE"
    assert 9.5 < lasted < 13 * PATIENCE
    site.idle()
    assert "limits.account.duration" in site.alert("call-hung-up")["text"]


def test_over_udp_a_call_is_ended_at_its_longest_and_both_ends_are_told(exchange: Stage) -> None:
    with scene(exchange, "duration", more=SHORT) as site:
        ends_in_time(site, site.phone(), site.carrier(), f"{CHEAP}0001")


def test_over_tcp_too_and_a_call_for_help_leaves_under_quarantine() -> None:
    with calls_stage(AsteriskSettings(trunk_tcp=True)) as made, scene(made, "duration-tcp", more=SHORT) as site:
        phone, carrier = site.phone(tcp=True), site.carrier(tcp=True)
        site.guard.cli("quarantine", "1001")
        site.through(phone, "112", carrier)
        site.guard.cli("release", "1001")
        ends_in_time(site, phone, carrier, f"{CHEAP}0002")


# --- Money ------------------------------------------------------------------------------------------------------------


def test_what_is_spent_stops_short_of_the_cap(exchange: Stage) -> None:
    with scene(exchange, "cap", more=SPENDING) as site:
        phone, carrier = site.phone(), site.carrier()
        inside, outside = connect(phone, f"{DEAR}0001", carrier)
        began = time.monotonic()
        outside.hung_up(seconds=30)
        spent = time.monotonic() - began
        inside.hung_up()
        assert CAP - 4 <= spent <= CAP * PATIENCE
        site.idle()
        assert "limits.account.spend_hour" in site.alert("call-hung-up")["text"]
        assert site.refused(phone, f"{DEAR}0002") == 403
        (row,) = site.json("calls", "--ended", "1h")["calls"]
        assert spent - 1 <= row["cost"] / MICROS <= spent + 1


def test_the_cap_holds_over_the_violent_end_of_the_guard_in_the_middle_of_a_call(exchange: Stage) -> None:
    with scene(exchange, "killed", more=SPENDING) as site:
        phone, carrier = site.phone(), site.carrier()
        inside, outside = connect(phone, f"{DEAR}0003", carrier)
        began = time.monotonic()
        site.answered()
        talk(1.0)
        kill(site)
        site.guard.start()
        (row,) = site.running
        assert not row["confirmed"]
        heard = time.monotonic() - began
        outside.hung_up(seconds=30)  # nobody has said a word in its dialog since
        spent = time.monotonic() - began
        inside.hung_up(seconds=30)
        assert max(CAP - 4, heard) <= spent <= max(CAP, heard + 3) * PATIENCE
        site.idle()
        assert site.refused(phone, f"{DEAR}0004") == 403
        (row,) = site.json("calls", "--ended", "1h")["calls"]
        assert spent - 1 <= row["cost"] / MICROS <= spent + 1


def test_a_call_that_ended_while_the_guard_was_dead_is_found_out_and_keeps_nobody_from_calling(exchange: Stage) -> None:
    with scene(exchange, "ended-unseen", more=SPENDING) as site:
        phone, carrier = site.phone(), site.carrier()
        inside, outside = connect(phone, f"{DEAR}0005", carrier)
        began = time.monotonic()
        site.answered()
        talk(1.0)
        kill(site)
        inside.hang_up()
        outside.hung_up()
        site.guard.start()
        restarted = time.monotonic() - began
        (row,) = site.running
        assert not row["confirmed"]
        other, far = connect(phone, f"{CHEAP}0006", carrier)  # of the same account, and it goes on
        site.alert("call-was-over")
        (row,) = site.json("calls", "--ended", "1h")["calls"]
        assert row["cost"] / MICROS <= restarted + 1, "what it would have cost since is not counted"
        assert len(site.running) == 1
        assert exchange.server.channels == 2
        other.hang_up()
        far.hung_up()
        site.idle()


def test_a_silent_call_from_before_the_end_of_the_guard_can_be_hung_up_by_hand(exchange: Stage) -> None:
    with scene(exchange, "by-hand") as site:
        phone, carrier = site.phone(), site.carrier()
        inside, outside = connect(phone, f"{CHEAP}0007", carrier)
        (before,) = site.answered()
        talk(1.0)
        kill(site)
        site.guard.start()
        (row,) = site.running
        assert row["id"] == before["id"]
        assert not row["confirmed"]
        site.guard.cli("hangup", row["id"])
        assert outside.hung_up(seconds=20).method == "BYE"
        assert inside.hung_up(seconds=20).method == "BYE"
        site.idle()


def test_over_tcp_too_a_silent_call_from_before_the_end_of_the_guard_costs_no_more_once_it_is_hung_up() -> None:
    with calls_stage(AsteriskSettings(trunk_tcp=True)) as made, scene(made, "by-hand-tcp") as site:
        phone, carrier = site.phone(tcp=True), site.carrier(tcp=True)
        _, outside = connect(phone, f"{CHEAP}0009", carrier)
        site.answered()
        talk(1.0)
        kill(site)
        site.guard.start()
        (row,) = site.running
        site.guard.cli("hangup", row["id"])
        assert outside.hung_up(seconds=20).method == "BYE"
        site.idle()  # the phone is told in its connection, of which nothing is known since: it learns it when it speaks


def test_a_silent_call_whose_media_flow_is_known_to_run_again_after_the_end_of_the_guard(exchange: Stage) -> None:
    with scene(exchange, "talking") as site:
        phone, carrier = site.phone(), site.carrier()
        with talking(phone, f"{CHEAP}0008", carrier):
            site.answered()
            talk(4.0)  # until the kernel takes it for a connection that lasts
            kill(site)
            site.guard.start()
            (row,) = site.running
            assert not row["confirmed"]
            until(lambda: site.running[0]["confirmed"], "the call being confirmed by its media")
            assert site.guard.packet["tap"]["media_found"] >= 2
        site.idle()


def kill(site: Scene) -> None:
    """End the guard as nobody should: both its processes, at once."""
    os.killpg(site.guard.process.pid, signal.SIGKILL)
    site.guard.process.wait(seconds=10)
