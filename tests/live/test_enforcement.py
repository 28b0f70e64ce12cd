"""The whole guard against others who change the kernel's rules, and on a host with iptables only."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest

from tests.lab.cases.case import Lab
from tests.lab.client import Client
from tests.lab.errors import LabError
from tests.lab.processor import Moment, had, moment
from tests.lab.wait import until
from tests.live.guard import IPTABLES, Guard, blocked, guarding
from tests.live.traffic import answered, guess_until_silent

pytestmark = [pytest.mark.root, pytest.mark.lab]


class Knocker:
    """Asks again and again, from a banned address; notes when an answer came."""

    def __init__(self, client: Client) -> None:
        self.answers: list[Moment] = []
        self._client = client
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(LabError):
                self._client.ask(self._client.request("OPTIONS", "monitor"), seconds=0.05)
                self.answers.append(moment())

    def __enter__(self) -> list[Moment]:
        self._thread.start()
        return self.answers

    def __exit__(self, *_args: object) -> None:
        self._ended.set()
        self._thread.join()


def agreed(guard: Guard) -> bool:
    """Tell whether the kernel was found to hold all that it should."""
    found = guard.packet["enforced"]
    return bool(found["wanted"] == found["held"] and found["wanted"] >= 1 and not found["behind"])


@pytest.mark.parametrize("more", ["", IPTABLES], ids=["nftables", "iptables"])
def test_flushing_in_a_loop_during_an_attack_exposes_for_less_than_a_second_each(stage: Lab, more: str) -> None:
    world, address = stage.world, "203.0.113.91"
    name = "flushing" + str(len(more))
    with (
        guarding(world, name, more=more) as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        guard.ban(address)
        assert not answered(client)
        world.pbx.run("nft", "add", "table", "inet", "theirs")
        exposed = []
        with Knocker(client) as answers:
            for _flush in range(6):
                world.pbx.run("nft", "add", "set", "inet", "theirs", "kept", "{ type ipv4_addr; }", check=False)
                began = moment()
                world.pbx.run("nft", "flush", "ruleset")
                time.sleep(1.5)
                exposed.append(max((had(began, answer) for answer in answers if answer >= began), default=0.0))
        assert max(exposed) < 1.0, exposed
        assert not answered(client)
        assert "put back" in guard.cli("status")
        if not more:
            assert address in blocked(world.pbx)
            until(lambda: agreed(guard), "desired and actual agreeing")
        guard.cli("off")
        assert answered(client)


def test_on_a_host_with_iptables_a_guesser_is_cut_off_and_off_opens_all(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.92"
    with (
        guarding(world, "iptables", more=IPTABLES) as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        assert guard.packet["gate"]["by"] == "iptables"
        assert "packets wait for their verdict, queued by iptables" in guard.cli("status")
        assert guess_until_silent(client) == 5
        until(lambda: address in blocked(world.pbx), "the ban")
        assert not answered(client)
        assert address in world.pbx.run("ipset", "list", "sipguard_blocked4").stdout
        guard.cli("unban", address)
        assert answered(client)
        guard.ban(address)
        assert not answered(client)
        guard.process.signal(signal.SIGKILL)
        guard.process.wait(seconds=30.0)
        assert not answered(client), "a dead guard's bans stay"
        guard.cli("off", code=0)
        assert answered(client)
