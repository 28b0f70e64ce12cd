"""Whatever ends, bans stay in the kernel, and whatever starts again knows them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.lab.cases.case import Lab
from tests.lab.client import Client
from tests.lab.kamailio import ACCOUNTS
from tests.lab.wait import until
from tests.live.guard import Guard, blocked, guarding, rules
from tests.live.traffic import MOST, answered, guess_until_silent

pytestmark = [pytest.mark.root, pytest.mark.lab]


def kill_keeper(guard: Guard) -> int:
    """Kill the keeper as hard as can be; returns its process id."""
    number = guard.keeper
    os.kill(number, signal.SIGKILL)
    return number


def gone(number: int) -> bool:
    """Tell whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_bans_outlive_the_packet_process_and_are_known_again(stage: Lab, number: signal.Signals) -> None:
    world, address = stage.world, f"203.0.113.{60 + number}"
    with (
        guarding(world, f"outlive-{number}") as guard,
        Client(world.attacker, world.pbx.v4, address=address) as client,
    ):
        guess_until_silent(client)
        until(lambda: guard.ask("bans")["total"] == 1, "the ban on disk")
        keeper = guard.keeper
        guard.process.signal(number)
        assert guard.process.wait(seconds=30.0) == (0 if number == signal.SIGTERM else -number)
        until(lambda: gone(keeper), "the keeper following")
        before = blocked(world.pbx)[address]
        assert before["expires"] > 3500
        assert not answered(client)
        guard.start()
        assert not answered(client)
        after = blocked(world.pbx)[address]
        assert after["packets"] > before["packets"]  # the element was not written anew
        assert before["expires"] - 60 < after["expires"] <= before["expires"]
        (ban,) = guard.ask("bans")["bans"]
        assert (ban["subject"], ban["rule"], ban["offence"]) == (address, "detect.credentials.then", 1)
        guard.cli("unban", address)
        assert answered(client)


def test_where_an_account_is_at_home_and_what_it_calls_from_outlive_kill_9(stage: Lab) -> None:
    world, learned = stage.world, ("homes", "takeover_accounts", "identity_accounts", "canary_extensions")
    with (
        guarding(world, "learned") as guard,
        Client(world.phone, world.pbx.v4, address="198.51.100.71") as client,
    ):
        assert client.register("1004", ACCOUNTS["1004"]).code == 200

        def counts() -> dict[str, int]:
            return {name: guard.packet["counters"][name] for name in learned}

        until(lambda: set(counts().values()) == {1}, "an account being learned")
        until(lambda: guard.packet["counters"]["lessons_waiting"] == 0, "all of it being written")
        until(lambda: guard.ask("status")["keeper"]["store_waiting"] == 0, "all of it on disk")
        for again in (0, 1):
            keeper = guard.keeper
            guard.process.signal(signal.SIGKILL)
            guard.process.wait(seconds=30.0)
            until(lambda keeper=keeper: gone(keeper), "the keeper following")  # type: ignore[misc]
            guard.start()
            assert counts() == dict.fromkeys(learned, 1), again
            assert guard.packet["counters"]["lessons_unread"] == 0


def test_the_keeper_comes_back_by_itself_and_nothing_is_lost(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.90"
    with guarding(world, "keeper") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban("203.0.113.91")
        first = kill_keeper(guard)
        assert guess_until_silent(client) < MOST  # bans go on without a keeper
        assert set(blocked(world.pbx)) == {address, "203.0.113.91"}
        guard.wait_ready()
        assert guard.keeper != first
        until(lambda: guard.ask("bans")["total"] == 2, "both bans on disk")
        assert guard.packet["link"]["keeper_starts"] == 2


def test_a_stuck_keeper_delays_the_start_but_does_not_prevent_it(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.92"
    with guarding(world, "stuck") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban(address)
        guard.stop()
        fifo = guard.directory / "state" / "sipguard.db"
        kept = fifo.with_name("kept")
        fifo.rename(kept)
        os.mkfifo(fifo)  # who opens it waits for ever
        guard.launch()
        with Client(world.attacker, world.pbx.v4, address="203.0.113.93") as second:
            # Silence alone may be the measure of strangers, which holds while the guard is not there.
            until(
                lambda: guess_until_silent(second) < MOST and "203.0.113.93" in blocked(world.pbx),
                "a ban without a keeper",
            )
        assert address in blocked(world.pbx)
        assert not answered(client)


def test_what_only_the_kernel_knows_is_adopted(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.94"
    with guarding(world, "adopt") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban(address)
        guard.ban("203.0.113.96/28")
        guard.stop()
        for file in (guard.directory / "state").glob("sipguard.db*"):
            file.unlink()
        guard.start()
        assert set(blocked(world.pbx)) == {address, "203.0.113.96/28"}
        until(lambda: guard.ask("bans")["total"] == 2, "both bans known")
        assert {ban["rule"] for ban in guard.ask("bans")["bans"]} == {"adopted"}
        guard.cli("unban", address)
        assert answered(client)


def test_what_only_the_disk_knows_is_back_before_the_first_answer(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.95"
    with guarding(world, "disk") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban(address)
        guard.stop()
        world.pbx.run("nft", "flush", "ruleset")
        assert answered(client)
        guard.start()
        assert not answered(client)
        assert 3500 < blocked(world.pbx)[address]["expires"] <= 3600


def test_off_works_with_a_dead_guard_and_holds_for_the_next_one(stage: Lab) -> None:
    world, address = stage.world, "203.0.113.112"
    with guarding(world, "dead") as guard, Client(world.attacker, world.pbx.v4, address=address) as client:
        guard.ban(address)
        guard.process.signal(signal.SIGKILL)
        guard.process.wait(seconds=30.0)
        assert not answered(client)
        guard.cli("off")
        assert answered(client)
        guard.start()
        assert guard.packet["off"] is True
        assert answered(client)
        guard.cli("on")
        assert not answered(client)


def test_a_bad_policy_ends_the_start_with_78_and_changes_nothing(stage: Lab) -> None:
    world = stage.world
    guard = Guard(world.pbx, world.directory / "bad")
    before = rules(world.pbx)
    guard.write(top='ports = ["sip"]\nstranger = "open"\nallowed = ["10.0.0.0/33"]\n')
    running = guard.launch()
    assert running.wait(seconds=30.0) == 78
    assert "stranger" in running.errors
    assert "10.0.0.0/33" not in running.output
    assert rules(world.pbx) == before


def test_a_second_guard_is_stopped_by_the_first(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "first") as first:
        second = Guard(world.pbx, world.directory / "second", mode="observe")
        before = rules(world.pbx)
        assert second.launch().wait(seconds=30.0) == 69
        assert "taken by another process" in second.process.errors
        assert rules(world.pbx) == before
        assert first.packet["mode"] == "enforce"
