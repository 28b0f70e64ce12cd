"""Floods of three hundred thousand packets a second, as near as this machine comes, and a keeper that is stuck.

Calls go on, registered phones lose next to nothing, and who is banned already costs the guard next to nothing.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from tests.lab.cases.case import Lab
from tests.lab.cases.ordinary import call, calls
from tests.lab.client import Client
from tests.lab.flood import flood
from tests.lab.kamailio import ACCOUNTS
from tests.lab.wait import until
from tests.live.guard import IPTABLES, Guard, blocked, elements, guarding, shut
from tests.live.passing import counting
from tests.live.site import alerts, held
from tests.live.traffic import answered

pytestmark = [pytest.mark.root, pytest.mark.lab]

TICKS = os.sysconf("SC_CLK_TCK")
EACH = 0.05
"""Seconds between two packets of a registered phone that wait at the gate."""
LOST_SECONDS = 1.0
PHONES = (("1001", "198.51.100.21", 5061), ("1002", "198.51.100.22", 5062))


class Probing:
    """A registered phone that sends what is held and answered by 407, again and again; nothing is sent twice."""

    def __init__(self, client: Client, user: str) -> None:
        self._client, self._user = client, user
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = self.answered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self._client.send(self._client.request("MESSAGE", self._user, to="1002"))
            self.sent += 1
            self._hear(EACH)
        self._hear(5.0)

    def _hear(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.answered < self.sent + (seconds == EACH):
            if select.select([self._client.socket], [], [], left)[0]:
                self.answered += self._client.socket.recv(65_535).startswith(b"SIP/2.0 407")


def worked(pid: int) -> float:
    """Read for how many seconds a process has had a core, in the kernel's and its own name (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def dropped(guard: Guard) -> int:
    """Count what the kernel has dropped, of whomever."""
    return sum(int(guard.packet["kernel"][name]) for name in ("flooded", "crowded", "dropped", "throttled"))


def ready(guard: Guard, stage: Lab, client: Client, user: str) -> None:
    """Register the two phones that will call and the one that will ask, and have the gate shut."""
    call(stage, *PHONES)
    assert client.register(user, ACCOUNTS[user]).code == 200
    until(lambda: {client.address, *(where for _, where, _ in PHONES)} <= set(held(stage, "trusted4")), "trust")
    until(lambda: shut(guard.host), "the gate shut")


both = pytest.mark.parametrize("more", ["", IPTABLES], ids=["nftables", "iptables"])


@both
@pytest.mark.parametrize(("method", "senders"), [("INVITE", 1), ("INVITE", 200), ("OPTIONS", 200)])
def test_calls_and_registered_phones_go_through_a_flood_of_strangers(
    stage: Lab, method: str, senders: int, more: str
) -> None:
    world = stage.world
    with (
        guarding(world, f"flood-{method}-{senders}-{len(more)}", more=more) as guard,
        Client(world.phone, world.pbx.v4, address="198.51.100.80") as phone,
    ):
        ready(guard, stage, phone, "1003")
        before = dropped(guard)
        running = flood(world, "203.0.113.20", senders=senders, seconds=30.0, method=method)
        with Probing(phone, "1003") as probing:
            until(lambda: dropped(guard) > before, "the flood at the PBX")
            began = time.monotonic()
            call(stage, *PHONES, times=3)
            took = time.monotonic() - began
        running.stop()
        if senders > 1:  # one who sends from his own address is banned long before anybody counts
            until(lambda: alerts(guard, "flood") != [], "the flood being told of")
        lost = probing.sent - probing.answered
        status = guard.packet
        print(f"{method} of {senders}: {dropped(guard):,} dropped, calls {took:.1f} s, {lost} of {probing.sent} lost")  # noqa: T201 - for -rP
        assert lost * EACH <= LOST_SECONDS
        assert status["bugs"] == 0
        assert {where for _, where, _ in PHONES} <= set(held(stage, "trusted4"))
        assert not {"198.51.100.80", *(where for _, where, _ in PHONES)} & set(blocked(world.pbx))


@both
def test_a_flood_of_a_banned_sender_costs_the_guard_next_to_nothing(stage: Lab, more: str) -> None:
    world, source = stage.world, "203.0.113.19"
    with guarding(world, f"banned-{len(more)}", more=more) as guard:
        guard.ban(source)
        pids = guard.process.pid, guard.keeper
        before = sum(map(worked, pids))
        flooded = flood(world, source, seconds=5.0, method="INVITE").wait()
        share = (sum(map(worked, pids)) - before) / flooded.seconds
        print(f"{flooded.packets:,} packets, {flooded.rate:,.0f}/s: {100 * share:.1f} % of a core")  # noqa: T201 - for -rP
        until(lambda: guard.packet["kernel"].get("dropped", 0) >= flooded.packets * 0.99, "all of it dropped")
        assert share < 0.02
        assert answered_from(stage, "198.51.100.81")


def answered_from(stage: Lab, address: str) -> bool:
    with Client(stage.world.phone, stage.world.pbx.v4, address=address) as client:
        return answered(client)


def test_while_the_keeper_is_stuck_packets_are_judged_and_calls_go_on(stage: Lab) -> None:
    world, scanner = stage.world, "203.0.113.18"
    with (
        guarding(world, "stuck") as guard,
        counting(world.pbx, scanner) as passed,
        Client(world.attacker, world.pbx.v4, address=scanner, agent="friendly-scanner") as scanning,
    ):
        keeper = guard.keeper
        os.kill(keeper, signal.SIGSTOP)
        try:
            calls(stage)
            for _ in range(3):
                assert not answered(scanning)
            assert passed.count == 0
            assert elements(world.pbx, "alive") != []
        finally:
            os.kill(keeper, signal.SIGCONT)
        status = guard.packet
        assert guard.keeper == keeper
        assert int(status["counters"]["gate_accept"]) >= 6
        assert int(status["counters"]["gate_drop"]) == 3
        assert status["bugs"] == status["kernel"]["unheld"] == 0
