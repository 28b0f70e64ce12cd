"""Whom the guard must leave alone, with a real Kamailio: what the kernel's sets hold, and what the phones can do.

The same at full length, in packet time, is in `pcaps/innocent/`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from tests.lab.cases.case import Lab, lab
from tests.lab.cases.ordinary import call
from tests.lab.cases.register import guess
from tests.lab.client import Client
from tests.lab.errors import LabError
from tests.lab.kamailio import ACCOUNTS
from tests.lab.spoof import Spoofer
from tests.lab.wait import until
from tests.live.guard import Guard, blocked, guarding
from tests.live.site import (
    PHONES,
    SETTINGS,
    Phone,
    against,
    alerts,
    challenges,
    decided,
    held,
    office,
    realm,
    register,
    settled,
    show,
)
from tests.live.traffic import MOST, guess_until_silent

pytestmark = [pytest.mark.root, pytest.mark.lab]

FORGED = 5000
OPEN = "gate = false\n"  # at the gate the guesser would soon be held back: see test_gate.py
OWNER = "1001"


@pytest.fixture(scope="module")
def stage() -> Iterator[Lab]:
    with lab(SETTINGS) as made:
        yield made


@contextlib.contextmanager
def closing(phones: Sequence[Phone]) -> Iterator[Sequence[Phone]]:
    with contextlib.ExitStack() as stack:
        for _, client in phones:
            stack.enter_context(client)
        yield phones


def left_alone(stage: Lab, guard: Guard) -> None:
    """See that nobody is banned or throttled now, nor ever was."""
    settled(guard)
    assert against(stage) == {}
    assert [each for each in decided(guard) if each[0] in {"block", "throttle"}] == []
    assert guard.packet["bugs"] == 0


def standing_against(stage: Lab) -> set[str]:
    """Read whom the kernel bans or throttles."""
    return {network for networks in against(stage).values() for network in networks}


# --- After an outage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guard_too", [False, True], ids=["of the PBX", "of PBX and guard"])
def test_a_hundred_phones_behind_one_address_come_back_after_an_outage(stage: Lab, guard_too: bool) -> None:  # noqa: FBT001 - a parameter of the test
    address = "198.51.100.50"
    with guarding(stage.world, f"outage-{guard_too}") as guard, closing(office(stage, address, list(PHONES))) as phones:
        known = challenges(phones)
        assert {reply.code for reply in show(phones, known)} == {200}
        until(lambda: address in held(stage, "trusted4"), "the office being trusted")
        if guard_too:
            guard.stop()
        stage.server.restart()
        if guard_too:
            guard.start()
        refused = show(phones, known)
        assert {reply.code for reply in refused} == {401}
        assert {reply.code for reply in show(phones, [reply.challenge for reply in refused])} == {200}
        assert set(register(phones)) == {200}
        left_alone(stage, guard)
        assert address in held(stage, "trusted4")
        assert [line for line in guard.events() if line["kind"] == "finding"] == []


# --- One wrong phone in an office -------------------------------------------------------------------------------------


def test_an_old_password_in_one_phone_costs_the_others_nothing_and_the_report_names_it(stage: Lab) -> None:
    address, bad = "198.51.100.51", "2001"
    with (
        guarding(stage.world, "old-password", top=OPEN) as guard,
        closing(office(stage, address, [str(2001 + n) for n in range(12)])) as phones,
    ):
        others = phones[1:]
        assert set(register(others)) == {200}
        for number in range(40):
            assert retry(phones[0]) == 401
            if number % 10 == 9:
                assert set(register(others)) == {200}
        call(stage, ("2002", address, 5061), ("2003", address, 5062))
        left_alone(stage, guard)
        assert address in held(stage, "trusted4")
        assert address in held(stage, "watched4")
        ward = f"{realm(bad)} from {address}"
        assert [each for each in decided(guard) if each[0] != "report"] == [("quarantine", ward)]
        (alert,) = alerts(guard, "wrong-password")
        assert alert["subject"] == ward
        assert ward in guard.cli("why", bad)


def retry(phone: Phone) -> int:
    user, client = phone
    return client.register(user, "since changed").code


def test_a_guesser_in_an_office_is_put_under_quarantine_and_the_others_stay(stage: Lab) -> None:
    """What a quarantine refuses is the gate's to say; see here that it is decided, and costs the others nothing."""
    address, world = "198.51.100.52", stage.world
    with (
        guarding(world, "office-guesser", top=OPEN) as guard,
        closing(office(stage, address, [str(2021 + n) for n in range(12)])) as phones,
        Client(world.phone, world.pbx.v4, address=address, port=30_000, agent="knocker") as guesser,
    ):
        others = phones[1:]
        assert set(register(others)) == {200}
        for number in range(40):
            assert retry(phones[0]) == 401
            assert guesser.register(str(2050 + number % 20), f"guess-{number}").code == 401
            if number % 10 == 9:
                assert set(register(others)) == {200}
        call(stage, ("2022", address, 5061), ("2023", address, 5062))
        left_alone(stage, guard)
        assert address in held(stage, "trusted4")
        assert address in held(stage, "watched4")
        assert ("quarantine", f"all but the healthy accounts from {address}") in decided(guard)


# --- Somebody else's packets in a victim's name -----------------------------------------------------------------------


def scanner(stage: Lab) -> Client:
    return Client(stage.world.attacker, stage.world.pbx.v4, agent="friendly-scanner")


def forge(stage: Lab, liar: Client, address: str, *, tcp: bool = False) -> None:
    """Send thousands of a scanner's requests from a victim's address, some from his very port."""
    target = (stage.world.pbx.v4, 5060)
    with Client(stage.world.attacker, stage.world.pbx.v4) as asking:  # as a scanner it would get no answer at the gate
        nonce = asking.challenge(OWNER)
    with Spoofer(stage.world.attacker) as spoofer:
        for number in range(FORGED):
            source = (address, 5060 if number % 50 == 0 else 20_000 + number)
            made = (
                liar.request("OPTIONS", "100"),
                liar.request("INVITE", "100", to=f"{number:04d}"),
                liar.request("REGISTER", str(number)),
                guess(liar, nonce, f"guess-{number}", OWNER),
            )[number % 4]
            (spoofer.push if tcp else spoofer.send)(source, target, made)


@pytest.mark.parametrize("tcp", [False, True], ids=["datagrams", "segments"])
def test_a_registered_phone_whose_address_is_forged_stays_and_calls(stage: Lab, tcp: bool) -> None:  # noqa: FBT001 - a parameter of the test
    address, other = "198.51.100.53", "198.51.100.54"
    with guarding(stage.world, f"forged-{tcp}") as guard, scanner(stage) as liar:
        call(stage, ("1003", address, 5060), ("1004", other, 5060))
        forge(stage, liar, address, tcp=tcp)
        call(stage, ("1003", address, 5060), ("1004", other, 5060))
        settled(guard)
        assert not {address, other} & standing_against(stage)
        assert {address, other} <= set(held(stage, "trusted4"))
        assert [each for each in decided(guard) if each[0] in {"block", "throttle"} and each[1] == address] == []
        assert [each for each in decided(guard) if "quarantine" in each[0]] == []


@pytest.mark.parametrize("tcp", [False, True], ids=["datagrams", "segments"])
def test_a_phone_that_never_registered_before_its_address_was_forged_can_register_and_call(
    stage: Lab,
    tcp: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    address, other = "198.51.100.55", "198.51.100.56"
    with guarding(stage.world, f"forged-new-{tcp}") as guard, scanner(stage) as liar:
        forge(stage, liar, address, tcp=tcp)
        settled(guard)
        assert blocked(stage.world.pbx) == {}
        assert tcp or ("throttle", address) in decided(guard)  # who does not show himself may be slowed down
        call(stage, ("1005", address, 5060), ("1006", other, 5060))
        settled(guard)
        assert address not in blocked(stage.world.pbx)
        until(lambda: address in held(stage, "trusted4"), "the phone being trusted")
        assert address not in held(stage, "throttled4")
        assert ("block", address) not in decided(guard)


# --- Somebody's account -----------------------------------------------------------------------------------------------


def test_the_owner_of_an_account_that_everybody_guesses_at_keeps_registering_and_calling(stage: Lab) -> None:
    address, other, world = "198.51.100.57", "198.51.100.58", stage.world
    with (
        guarding(world, "guessed-at") as guard,
        Client(world.phone, world.pbx.v4, address=address, port=5070) as owner,
    ):
        assert owner.register(OWNER, ACCOUNTS[OWNER]).code == 200
        for number in range(60):
            with Client(world.attacker, world.pbx.v4, address=f"203.0.113.{100 + number}") as client:
                with contextlib.suppress(LabError):  # the shield holds back what comes later, or they are banned
                    client.ask(guess(client, client.challenge(OWNER), f"guess-{number}", OWNER), seconds=0.5)
                client.send(client.request("INVITE", OWNER, to="1002"))
            if number % 20 == 19:
                assert owner.register(OWNER, ACCOUNTS[OWNER]).code == 200
        call(stage, (OWNER, address, 5061), ("1002", other, 5062))
        settled(guard)
        assert not {address, other} & standing_against(stage)
        assert address in held(stage, "trusted4")
        assert ("shield", realm(OWNER)) in decided(guard)
        assert [each for each in decided(guard) if each[0] == "quarantine"] == []
        assert all(each[1].startswith("203.0.113.") for each in decided(guard) if each[0] in {"block", "throttle"})


def test_a_person_who_mistypes_a_password_four_times_is_not_even_reported(stage: Lab) -> None:
    address, world = "198.51.100.59", stage.world
    with guarding(world, "mistyped") as guard, Client(world.phone, world.pbx.v4, address=address) as phone:
        for number in range(4):
            assert phone.register("1007", f"mistyped-{number}").code == 401
        assert phone.register("1007", ACCOUNTS["1007"]).code == 200
        call(stage, ("1007", address, 5061), ("1008", "198.51.100.60", 5062))
        left_alone(stage, guard)
        assert [line for line in guard.events() if line["kind"] in {"finding", "decision"}] == []


def test_a_guesser_who_finds_the_password_is_reported_not_trusted_and_banned_when_he_goes_on(stage: Lab) -> None:
    address, world, user = "203.0.113.40", stage.world, "1009"
    with (
        guarding(world, "found", more="[detect.credentials]\nfailures = 8\n") as guard,
        Client(world.attacker, world.pbx.v4, address=address) as guesser,
    ):
        for number in range(6):
            assert guesser.register(user, f"guess-{number}").code == 401
        assert guesser.register(user, ACCOUNTS[user]).code == 200
        until(lambda: ("quarantine", realm(user)) in decided(guard), "the find being reported")
        assert "passwordfound" in {line.get("detector") for line in guard.events()}
        assert address not in held(stage, "trusted4")
        assert guess_until_silent(guesser, user="1010") < MOST
        assert address in blocked(world.pbx)
        assert address not in held(stage, "trusted4")
