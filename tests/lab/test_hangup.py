"""A real back-to-back user agent, its phones and its carriers see proper ends of the calls that the guard hangs up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from sipguard.control.ami import Ami
from sipguard.control.secret import Secret
from sipguard.errors import AdapterError
from tests.lab.agent import Agent
from tests.lab.asterisk import MANAGER_PORT, MANAGER_SECRET, MANAGER_USER, AsteriskSettings
from tests.lab.calls.stage import Stage, connect, dial, stage
from tests.lab.errors import LabError
from tests.lab.guarding import Guard, guarding
from tests.lab.wait import PATIENCE, until

# the first of them may have to fetch a Debian
pytestmark = [pytest.mark.root, pytest.mark.lab("tcpdump", "tshark"), pytest.mark.timeout(1500)]


def heard(guard: Guard, count: int = 1) -> None:
    """Wait until the guard knows of so many calls that are answered."""
    until(lambda: len([call for call in guard.calls if call.answered]) == count, "the guard hearing of the call")


def connections(calls: Stage, phone: Agent) -> str:
    """Give what the PBX's host knows of connections with a phone."""
    return calls.world.pbx.run("ss", "-Htn", "dst", phone.address).stdout


def over(guard: Guard, calls: Stage) -> None:
    until(lambda: calls.server.channels == 0, "no channel left")
    until(lambda: not len(guard.endings), "nothing more to be said")
    assert guard.alerts() == ["call-hung-up"]
    assert guard.unsent == 0


def quiet(*agents: Agent) -> None:
    """Hear that nobody repeats anything for three seconds."""
    for agent in agents:
        with pytest.raises(LabError, match="in vain"):
            agent.receive(lambda m: not m.code and m.method in ("BYE", "CANCEL", "INVITE"), "anything", seconds=1.5)


def test_over_udp_both_ends_get_a_bye_and_nothing_is_repeated(calls: Stage) -> None:
    phone, carrier = calls.phone("1001"), calls.carrier()
    with guarding(calls.world) as guard:
        inside, outside = connect(phone, "90037167000001", carrier)
        heard(guard)
        began = time.monotonic()
        guard.hang_up()
        assert "sipguard" not in outside.hung_up().header("Via")
        assert time.monotonic() - began < 2 * PATIENCE
        assert "sipguard" in inside.hung_up().header("Via")
        over(guard, calls)
        assert [len(order.injections) for order in guard.orders()] == [2]
        quiet(phone, carrier)
    phone.register()
    inside, outside = connect(phone, "90037167000002", carrier)
    inside.hang_up()
    outside.hung_up()


def test_over_tcp_both_ends_get_a_bye_and_the_phone_registers_again(calls_over_tcp: Stage) -> None:
    calls = calls_over_tcp
    with guarding(calls.world) as guard:
        phone, carrier = calls.phone("1001", tcp=True), calls.carrier(tcp=True)
        inside, outside = connect(phone, "90037167000001", carrier)
        heard(guard)
        guard.hang_up()
        outside.hung_up()
        inside.hung_up()
        over(guard, calls)
        until(lambda: not connections(calls, phone), "the PBX without the phone's connection")
        with pytest.raises(OSError, match="reset"):
            phone.register()
        phone.close()
        again = calls.phone("1001", tcp=True)
        inside, outside = connect(again, "90037167000002", carrier)
        inside.hang_up()
        outside.hung_up()
        quiet(carrier)


def test_a_call_that_rings_is_cancelled(calls: Stage) -> None:
    phone, carrier = calls.phone("1001"), calls.carrier()
    with guarding(calls.world) as guard:
        inside = dial(phone, "90037167000001")
        outside = carrier.called()
        outside.ring()
        inside.progress()
        until(lambda: len(guard.calls) == 1, "the guard hearing of the call")
        guard.hang_up()
        carrier.answer(outside.coming("CANCEL"), 200, tag=outside.tag)
        outside.refuse(487, "Request Terminated")
        assert inside.final().code == 487
        over(guard, calls)
        quiet(phone, carrier)


def test_a_call_that_nobody_dialled_is_hung_up_at_both_its_ends(calls: Stage) -> None:
    carrier = calls.carrier()
    with guarding(calls.world) as guard:
        calls.server.manager(
            "Originate", Channel="PJSIP/+252610000009@trunk1", Application="Wait", Data="60", Async="true",
            CallerID="1001", Timeout="20000",
        )  # fmt: skip
        outside = carrier.called("+252610000009").pick_up()
        heard(guard)
        guard.hang_up()
        assert "sipguard" in outside.hung_up().header("Via")
        over(guard, calls)
        quiet(carrier)


def test_a_pbx_that_listens_for_no_datagrams_is_told_in_the_connection() -> None:
    with stage(AsteriskSettings(trunk_tcp=True, udp=False)) as calls, guarding(calls.world) as guard:
        phone, carrier = calls.phone("1001", tcp=True), calls.carrier(tcp=True)
        inside, outside = connect(phone, "90037167000001", carrier)
        heard(guard)
        guard.hang_up()
        outside.hung_up()
        inside.hung_up()
        over(guard, calls)
        until(lambda: not connections(calls, phone), "the PBX without the phone's connection")
        phone.close()
        inside, outside = connect(calls.phone("1001", tcp=True), "90037167000002", carrier)
        inside.hang_up()
        outside.hung_up()


def test_a_connection_that_another_call_uses_is_left_alone(calls_over_tcp: Stage) -> None:
    calls = calls_over_tcp
    with guarding(calls.world) as guard:
        phone, carrier = calls.phone("1001", tcp=True), calls.carrier(tcp=True)
        _, outside = connect(phone, "90037167000001", carrier)
        until(lambda: len(guard.calls) == 1, "the guard hearing of the call")
        second, other = connect(phone, "90037167000002", carrier)
        heard(guard, 2)
        guard.hang_up_one("+37167000001")
        outside.hung_up()
        until(lambda: guard.alerts() == ["call-hung-up"] and not len(guard.endings), "the end of one call")
        phone.register()
        assert second.hang_up().code == 200
        other.hung_up()


@pytest.mark.parametrize("tcp", [False, True])
def test_the_manager_gives_both_ends_the_own_bye_of_the_pbx(tmp_path: Path, *, tcp: bool) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{MANAGER_SECRET}\n")
    manager = Ami("127.0.0.1", MANAGER_PORT, MANAGER_USER, Secret(str(secret)))
    with stage(AsteriskSettings(trunk_tcp=tcp)) as calls, guarding(calls.world, manager, orphans=not tcp) as guard:
        phone, carrier = calls.phone("1001", tcp=tcp), calls.carrier(tcp=tcp)
        other, another = connect(calls.phone("1002", tcp=tcp), "90037167000002", carrier)
        until(lambda: len(guard.calls) == 1, "the guard hearing of the call")
        inside, outside = connect(phone, "90037167000001", carrier)
        heard(guard, 2)
        guard.hang_up_one("+37167000001")
        assert "sipguard" not in outside.hung_up().header("Via")
        assert "sipguard" not in inside.hung_up().header("Via")
        until(lambda: guard.alerts() == ["call-hung-up"] and not len(guard.endings), "the end of one call")
        assert guard.hung_up >= 1
        assert not any(order.injections for order in guard.orders())
        assert calls.server.channels == 2
        phone.register()
        other.hang_up()
        another.hung_up()


def test_a_manager_with_another_secret_is_told_as_an_error(calls: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    manager = Ami("127.0.0.1", MANAGER_PORT, MANAGER_USER, Secret(str(secret)))
    said: list[str] = []

    def ask() -> None:
        try:
            asyncio.run(manager.hang_up(["some-call"]))
        except AdapterError as error:
            said.append(str(error))

    calls.world.pbx.inside(ask)
    assert "Login was refused" in said[0]
    assert "wrong" not in said[0]
