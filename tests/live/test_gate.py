"""The gate on a real kernel before a real PBX: the first bad packet does not arrive, and every good one does."""

from __future__ import annotations

import json
import select
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sipguard.capture.gate import Gate
from tests.enforce.spaces import made_with
from tests.lab.cases.case import Lab
from tests.lab.cases.ordinary import calls, registrations
from tests.lab.client import Client, credentials
from tests.lab.errors import LabError
from tests.lab.kamailio import ACCOUNTS, WEAK_ACCOUNT
from tests.lab.wait import until
from tests.live.guard import IPTABLES, Guard, Guarding, blocked, guarding, rules, shut, unheld
from tests.live.passing import boot, counting, final_answers, fire, volley
from tests.live.traffic import answered, guess_until_silent, registers

pytestmark = [pytest.mark.root, pytest.mark.lab]

TOOLS = {
    "svmap": ("svmap", "{pbx}"),
    "svwar": ("svwar", "-e1000-1020", "{pbx}"),
    "svcrack": ("svcrack", "-u", WEAK_ACCOUNT, "-r", "1200-1240", "{pbx}"),
}
CRACKING = ("-u", WEAK_ACCOUNT, "-r", "1200-9999")
FAILURES = 5


def counted(guard: Guard, name: str) -> int:
    return int(guard.packet["counters"][name])


@pytest.mark.kernel
@pytest.mark.parametrize("tool", TOOLS)
def test_no_packet_of_a_fingerprinted_stranger_reaches_the_pbx(stage: Lab, guarded: Guarding, tool: str) -> None:
    world = stage.world
    name, *arguments = (each.format(pbx=world.pbx.v4) for each in TOOLS[tool])
    program = str(Path(sys.executable).parent / f"sipvicious_{name}")
    with guarded(world, tool) as guard, counting(world.pbx, world.attacker.v4) as passed:
        running = world.attacker.start(program, "-x", world.attacker.v4, *arguments)
        until(lambda: counted(guard, "gate_drop") > 0, "the gate dropping")
        time.sleep(1.0)
        running.stop()
        assert passed.count == 0
        assert answered_from(stage, "198.51.100.40")


def answered_from(stage: Lab, address: str) -> bool:
    with Client(stage.world.phone, stage.world.pbx.v4, address=address) as client:
        return answered(client)


@pytest.mark.parametrize("how", ["udp", "tcp", "same key", "ports", "ipv6"])
def test_of_fifty_guesses_in_flight_exactly_as_many_are_answered_as_may_fail(
    stage: Lab, guarded: Guarding, how: str
) -> None:
    world = stage.world
    address = f"203.0.113.{100 + len(how)}" if how != "ipv6" else "2001:db8:66:77::5"
    server = world.pbx.v6 if how == "ipv6" else world.pbx.v4
    with guarded(world, f"volley-{how.replace(' ', '-')}") as guard, ExitStack() as stack:
        clients = [
            stack.enter_context(Client(world.attacker, server, address=address, tcp=how == "tcp"))
            for _ in range(50 if how == "ports" else 1)
        ]
        shots = volley(clients, 50, same_key=how == "same key")
        fire(clients, shots)
        assert final_answers(clients) == FAILURES
        fire(clients, shots[-10:])
        assert final_answers(clients, seconds=1.0) == 0
        assert guard.packet["bugs"] == 0


@pytest.mark.parametrize("tcp", [False, True])
def test_a_patient_guesser_gets_exactly_as_many_answers_as_may_fail(stage: Lab, guarded: Guarding, tcp: bool) -> None:  # noqa: FBT001
    world, address = stage.world, f"203.0.113.{120 + tcp}"
    with (
        guarded(world, f"patient-{tcp}"),
        Client(world.attacker, world.pbx.v4, address=address, tcp=tcp) as client,
    ):
        assert guess_until_silent(client) == FAILURES


@pytest.mark.kernel
def test_phones_register_and_call_through_the_gate(stage: Lab, guarded: Guarding) -> None:
    with guarded(stage.world, "phones") as guard:
        registrations(stage)
        calls(stage)
        assert counted(guard, "gate_accept") > 20
        assert counted(guard, "gate_drop") == counted(guard, "gate_defer") == counted(guard, "gate_refuse") == 0
        assert unheld(guard) == 0


def test_phones_register_and_call_while_scanners_and_garbage_are_at_the_gate(stage: Lab, guarded: Guarding) -> None:
    world = stage.world
    program = str(Path(sys.executable).parent / "sipvicious_svcrack")
    with guarded(world, "besieged") as guard, Client(world.attacker, world.pbx.v4, address="203.0.113.140") as client:
        running = world.attacker.start(program, "-x", world.attacker.v4, *CRACKING, world.pbx.v4)
        for number in range(2_000):
            client.send(bytes((number * 31 + step * 17) & 255 for step in range(number % 400)))
        calls(stage)
        running.stop()
        assert counted(guard, "gate_drop") > 0
        assert guard.packet["bugs"] == guard.packet["quarantined"] == 0


def test_the_lines_of_a_phone_that_boots_as_a_stranger_all_get_in(stage: Lab, guarded: Guarding) -> None:
    world = stage.world
    with guarded(world, "lines") as guard, ExitStack() as stack:
        clients = [stack.enter_context(Client(world.phone, world.pbx.v4, address="198.51.100.50")) for _ in ACCOUNTS]
        codes = boot(clients, list(ACCOUNTS))
        assert codes == dict.fromkeys(ACCOUNTS, 200)
        assert blocked(world.pbx) == {}
        assert guard.packet["bugs"] == 0


# --- Nobody judges ----------------------------------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_when_nobody_judges_any_more_the_gate_opens_by_itself(
    stage: Lab, guarded: Guarding, number: signal.Signals
) -> None:
    world = stage.world
    with guarded(world, f"dead-{number}") as guard:
        assert answered_from(stage, "198.51.100.60")
        guard.process.signal(number)
        begun = time.monotonic()
        with Client(world.phone, world.pbx.v4, address="198.51.100.61") as client:
            request = client.request("OPTIONS", "monitor")
            while not select.select([client.socket], [], [], 0.1)[0] and time.monotonic() - begun < 10:
                client.send(request)
        opened = time.monotonic() - begun
        print(f"{number.name}: open after {opened:.2f} s")  # noqa: T201 - for -rP
        assert opened < 10
        assert registers_from(stage, "198.51.100.62")
        if number is signal.SIGSTOP:
            guard.process.signal(signal.SIGCONT)
            until(lambda: counted(guard, "gate_accept") > 0, "the guard going on")
            assert answered_from(stage, "198.51.100.63")
            until(lambda: shut(world.pbx), "the gate shut again")
            assert guard.packet["bugs"] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_calls_go_on_when_nobody_judges_any_more_in_their_midst(
    stage: Lab, guarded: Guarding, number: signal.Signals
) -> None:
    failures: list[LabError] = []

    def calling() -> None:
        try:
            calls(stage)
        except LabError as error:
            failures.append(error)

    with guarded(stage.world, f"midst-{number}") as guard:
        thread = threading.Thread(target=calling)
        thread.start()
        until(lambda: counted(guard, "gate_accept") >= 6, "the first call at the gate")
        guard.process.signal(number)
        thread.join(timeout=60)
        assert not thread.is_alive()
        assert failures == []


def registers_from(stage: Lab, address: str) -> bool:
    with Client(stage.world.phone, stage.world.pbx.v4, address=address) as client:
        return registers(client, "1003")


def test_without_the_gate_all_is_as_it_was(stage: Lab, guarded: Guarding) -> None:
    world = stage.world
    with guarded(world, "nogate", top="gate = false\n") as guard:
        assert answered_from(stage, "198.51.100.64")
        assert guard.packet["gate"]["by"] == ""
        assert not shut(world.pbx)
        assert "NFQUEUE" not in world.pbx.run("iptables-nft-save", "-t", "mangle").stdout
        with Client(world.attacker, world.pbx.v4, address="203.0.113.130") as client:
            assert guess_until_silent(client) >= FAILURES
            until(lambda: "203.0.113.130" in blocked(world.pbx), "the ban")


def test_why_nothing_waits_is_told_until_nothing_is_to_wait(stage: Lab) -> None:
    world = stage.world
    taken = world.pbx.inside(lambda: Gate(5060))
    try:
        with guarding(world, "taken") as guard:
            assert "taken" in guard.packet["gate"]["fault"]
            assert answered_from(stage, "198.51.100.69")
            guard.write(top="gate = false\n")
            guard.ask("reload")
            until(lambda: guard.packet["gate"]["fault"] == "", "nobody missing the gate")
            assert [line for line in guard.events() if line.get("alert") == "no-gate"] != []
            told, before = len(guard.events()), rules(world.pbx)
            guard.write(top="gate = false\n", more='[enforcement]\nscope = "all"\n')
            guard.ask("reload")
            until(lambda: rules(world.pbx) != before, "the new policy")
            assert [line for line in guard.events()[told:] if line.get("alert") == "no-gate"] == []
    finally:
        taken.close()


@pytest.mark.kernel
def test_off_and_observe_take_the_gate_out_with_everything_else(stage: Lab, guarded: Guarding) -> None:
    world = stage.world
    with guarded(world, "turning") as guard:
        for verb, closed in (("observe", False), ("enforce", True), ("off", False), ("on", True)):
            guard.ask(verb)
            assert answered_from(stage, "198.51.100.65")
            assert bool(guard.packet["gate"]["by"]) is closed
            if closed:
                until(lambda: shut(world.pbx), "the gate shut")
            else:
                assert not shut(world.pbx)
        guard.process.signal(signal.SIGKILL)
        guard.process.wait(seconds=30.0)
        guard.cli("off")
        assert "SIPGUARD" not in world.pbx.run("iptables-nft-save", "-t", "mangle").stdout
        assert answered_from(stage, "198.51.100.66")


@pytest.mark.kernel
def test_nft_queues_wherever_the_kernel_lets_it_and_iptables_elsewhere(stage: Lab) -> None:
    world, can = stage.world, made_with("CONFIG_NFT_QUEUE")
    if can is None:
        pytest.skip("needs a kernel that says how it was made")
    with guarding(world, "who") as guard:
        assert guard.packet["gate"]["by"] == ("nft" if can else "iptables")
        assert ("SIPGUARD" in world.pbx.run("iptables-nft-save", "-t", "mangle").stdout) is not can


def test_rules_of_iptables_that_somebody_flushed_are_put_back_and_nothing_passes_unseen(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "flushed") as guard:
        if guard.packet["gate"]["by"] != "iptables":
            pytest.skip("nft queues here, not rules of iptables")
        world.pbx.run("iptables-nft", "-t", "mangle", "-F")
        assert answered_from(stage, "198.51.100.67")
        until(
            lambda: "-A PREROUTING -j SIPGUARD" in world.pbx.run("iptables-nft-save", "-t", "mangle").stdout,
            "the rules being back",
        )
        assert guard.packet["enforced"]["requeued"] == 1
        assert counted(guard, "gate_accept") + unheld(guard) == 1  # judged, or seen at least
        before = counted(guard, "gate_accept")
        assert answered_from(stage, "198.51.100.68")
        assert counted(guard, "gate_accept") == before + 1


def test_our_chains_that_somebody_flushed_are_put_back_and_packets_wait_again(stage: Lab) -> None:
    world = stage.world
    with guarding(world, "flushed-iptables", more=IPTABLES) as guard:
        before = sorted(chains(guard))
        assert answered_from(stage, "198.51.100.80")
        for number, damage in enumerate(
            (("-F",), ("-F", "SIPGUARD-QUEUE"), ("-D", "PREROUTING", "-j", "SIPGUARD-QUEUE"))
        ):
            world.pbx.run("iptables", "-t", "mangle", *damage)
            assert answered_from(stage, f"198.51.100.{81 + number}")
            until(lambda: sorted(chains(guard)) == before, "the rules being back")
            accepted = counted(guard, "gate_accept")
            assert answered_from(stage, f"198.51.100.{91 + number}")
            assert counted(guard, "gate_accept") == accepted + 1


def chains(guard: Guard) -> list[str]:
    """Give all rules in the table of iptables in which the gate is."""
    saved = guard.host.run("iptables-save", "-t", "mangle").stdout
    return [line for line in saved.splitlines() if line.startswith("-A")]


# --- Calls ------------------------------------------------------------------------------------------------------------

NETS = '[[detect.accountnets.account]]\nname = "1004"\nnetworks = ["192.0.2.0/24"]\n'


def test_a_call_of_an_account_from_where_it_does_not_belong_is_refused_and_its_register_is_not(
    stage: Lab, guarded: Guarding
) -> None:
    world = stage.world
    with (
        guarded(world, "nets", more=NETS) as guard,
        Client(world.phone, world.pbx.v4, address="198.51.100.70") as client,
        counting(world.pbx, "198.51.100.70", "@th,64,32 { 0x494e5649, 0x41434b20 }") as passed,
    ):
        challenge = client.challenge("1004", method="INVITE", to="1005")
        until(lambda: passed.count == 2, "INVITE and ACK without a credential")
        answer = credentials(challenge, "INVITE", "sip:1005@" + client.domain, "1004", ACCOUNTS["1004"])
        request = client.request("INVITE", "1004", to="1005", cseq=2, authorization=answer, proxy=True, branch="mine")
        first = client.ask(request)
        assert first.code == 403
        again = client.ask(request)
        assert again.text == first.text
        client.acknowledge(first, "1004", to="1005", call_id=first.header("Call-ID"), branch="mine", cseq=2)
        until(lambda: counted(guard, "gate_drop") == 1, "the ACK being absorbed")
        assert passed.count == 2
        assert counted(guard, "gate_refuse") == 2
        assert client.register("1004", ACCOUNTS["1004"]).code == 200
        with Client(world.phone, world.pbx.v4, address="198.51.100.70") as other:  # everybody else there passes
            assert registers(other, "1006")


DESTINATIONS = '[refuse]\ndestinations = ["+252"]\n'


def invite(number: str, call: str, trunk: str, pbx: str) -> bytes:
    return (
        f"INVITE sip:{number}@{trunk} SIP/2.0\r\nVia: SIP/2.0/UDP {pbx}:5061;branch=z9hG4bK{call};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:1001@{pbx}>;tag=a{call}\r\nTo: <sip:{number}@{trunk}>\r\nCall-ID: {call}\r\n"
        f"CSeq: 7 INVITE\r\nContact: <sip:1001@{pbx}:5061>\r\nUser-Agent: pbx of the lab\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.kernel
def test_a_call_to_a_closed_destination_never_reaches_the_trunk_and_the_pbx_has_its_answer(
    stage: Lab, guarded: Guarding
) -> None:
    world, trunk = stage.world, "198.51.100.99"
    with guarded(world, "closed", more=DESTINATIONS) as guard:
        carrier = world.phone.socket(socket.AF_INET, socket.SOCK_DGRAM)
        exchange = world.pbx.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with carrier, exchange:
            carrier.bind((trunk, 5060))
            exchange.bind((world.pbx.v4, 5061))
            took = []
            for place, number in enumerate(("0025261000", "+25261000", "900252-61-000", "01125261000")):
                begun = time.monotonic()
                exchange.sendto(invite(number, f"no{place}", trunk, world.pbx.v4), (trunk, 5060))
                assert select.select([exchange], [], [], 5)[0]
                took.append(time.monotonic() - begun)
                text, whence = exchange.recvfrom(65_535)
                assert whence == (trunk, 5060)
                assert text.startswith(b"SIP/2.0 403 ")
                assert b"CSeq: 7 INVITE" in text
                acknowledgement = invite(number, f"no{place}", trunk, world.pbx.v4).replace(b"INVITE", b"ACK", 2)
                exchange.sendto(acknowledgement.replace(b"7 INVITE", b"7 ACK"), (trunk, 5060))
            print(f"403 after {[f'{1000 * each:.1f} ms' for each in took]}")  # noqa: T201 - for -rP
            for place, number in enumerate(("112", "0911", "4925261000", "252")):
                exchange.sendto(invite(number, f"yes{place}", trunk, world.pbx.v4), (trunk, 5060))
                assert select.select([carrier], [], [], 5)[0]
                assert f"Call-ID: yes{place}\r\n".encode() in carrier.recv(65_535)  # and nothing else came before
            assert not select.select([carrier, exchange], [], [], 0.3)[0]
        assert counted(guard, "gate_refuse") == counted(guard, "gate_drop") == 4
        assert guard.packet["gate"]["refusals_sent"] == 4
        listed = world.pbx.run("conntrack", "-L", check=False).stdout
        assert f"src={trunk} dst={world.pbx.v4}" not in [line[:60] for line in listed.splitlines()]


# --- Observing --------------------------------------------------------------------------------------------------------


def test_observing_the_gate_tells_what_it_would_have_stopped_and_stops_nothing(stage: Lab, guarded: Guarding) -> None:
    world, trunk, scanner = stage.world, "198.51.100.98", "203.0.113.150"
    with (
        guarded(world, "watching", mode="observe", more=DESTINATIONS) as guard,
        Client(world.attacker, world.pbx.v4, address=scanner, agent="friendly-scanner") as scanning,
        world.phone.socket(socket.AF_INET, socket.SOCK_DGRAM) as carrier,
        world.pbx.socket(socket.AF_INET, socket.SOCK_DGRAM) as exchange,
    ):
        carrier.bind((trunk, 5060))
        exchange.bind((world.pbx.v4, 5061))
        assert answered(scanning)
        exchange.sendto(invite("0025261000", "watched", trunk, world.pbx.v4), (trunk, 5060))
        assert select.select([carrier], [], [], 5)[0]
        until(lambda: counted(guard, "would_drop") == counted(guard, "would_refuse") == 1, "what would have been done")
        assert not any(counted(guard, f"gate_{kind}") for kind in ("accept", "drop", "refuse", "defer"))
        told = {(line["alert"], line["subject"]) for line in guard.events() if "alert" in line}
        assert {("would-drop", scanner), ("would-refuse", "refuse.destinations")} <= told
        shown = json.loads(guard.cli("enforce", "--yes", "--json"))["preview"]["gate"]
        assert shown == {"drop": 1, "refuse": 1, "defer": 0}
        until(lambda: shut(world.pbx), "the gate shut")
        assert not answered(scanning)
