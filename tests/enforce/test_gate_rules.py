"""Which packets wait for a verdict, in which queue, and that none does when nobody judges; on a real kernel.

All of it three times, the same whoever marks and queues: nft both, nft and rules of iptables, rules of iptables both.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import pytest

from sipguard.address import parse_network
from sipguard.capture.gate import Gate
from sipguard.capture.tap import Tap
from sipguard.enforce import queueing
from sipguard.enforce.alive import Alive, AliveInIpset
from sipguard.enforce.base import Layout
from sipguard.enforce.gaterules import BITS
from sipguard.enforce.hanging import Rules
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.nft import Nft
from sipguard.enforce.programs import Programs
from sipguard.model import SECOND, Frame, Held, Hook, SetName
from sipguard.netfilter import nfqueue
from tests.enforce.spaces import Cable, cable, inside, needs_nft_to_queue, now, run, wait_for

pytestmark = [pytest.mark.root, pytest.mark.kernel]

Queueing: TypeAlias = Literal["nft", "iptables", "ipset"]
WHO_QUEUES: tuple[Queueing, ...] = ("nft", "iptables", "ipset")
PBX = ("192.0.2.1", 5060)
PBX6 = ("2001:db8::1", 5060)
STRANGERS, CALLS, TAP = "strangers", "calls", "tap"
REST = b" sip:2000@192.0.2.1 SIP/2.0\r\n"


@dataclass
class Gated:
    """An installed gate, its readers, and the tap beside it."""

    cable: Cable
    layout: Layout
    nft: Nft | Ipsets
    alive: Alive
    tap: Tap
    gates: dict[str, Gate]

    def hold(self, name: SetName, network: str) -> None:
        until = 0 if name is SetName.ALLOWED else now() + 60 * SECOND
        assert self.nft.hold(Held(name, parse_network(network), until)).ok

    def whither(self, seconds: float = 5.0) -> list[tuple[str, Frame]]:
        """Give where packets came out, all of them let through; once something has."""
        found: list[tuple[str, Frame]] = []

        def some() -> bool:
            self.alive.due = 0
            self.alive.say(now())
            for name, gate in self.gates.items():
                for frame in gate.read(64):
                    gate.answer(frame.ticket, nfqueue.ACCEPT)
                    found.append((name, frame))
            found.extend((TAP, frame) for frame in self.tap.read(64))
            return bool(found)

        wait_for(some, seconds)
        return found


def laid(by: Queueing) -> Layout:
    """Give a layout in which this one queues."""
    return Layout(gate="iptables", backend="iptables") if by == "ipset" else Layout(gate=by, backend="nftables")


def gated(made: Cable, layout: Layout) -> Gated:
    nft: Nft | Ipsets
    alive: Alive
    if layout.backend == "iptables":
        nft, alive = Ipsets(layout, now), AliveInIpset()
        assert Rules(layout, Programs()).ungated() == ""
    else:
        if layout.gate == "nft":
            needs_nft_to_queue()
        else:
            queueing.install(layout)
        nft, alive = Nft(layout, now), Alive()
    nft.install()
    gates = {STRANGERS: Gate(layout.queues[0], BITS), CALLS: Gate(layout.queues[1], BITS)}
    alive.say(now())
    return Gated(made, layout, nft, alive, Tap(layout.tap_group), gates)


def closed(made: Gated) -> None:
    made.nft.close()
    made.alive.close()
    made.tap.close()
    for gate in made.gates.values():
        gate.close()


@pytest.fixture(params=WHO_QUEUES)
def gate(request: pytest.FixtureRequest) -> Iterator[Gated]:
    with cable() as made, inside(made.pbx):
        found = gated(made, laid(request.param))
        yield found
        closed(found)


WHO = {"stranger": None, "trusted": SetName.TRUSTED, "allowed": SetName.ALLOWED, "watched": SetName.WATCHED}
SENT = {
    b"REGISTER" + REST: (STRANGERS, TAP, TAP, STRANGERS),
    b"INVITE" + REST: (STRANGERS, CALLS, CALLS, STRANGERS),
    b"\r\nINVITE" + REST: (STRANGERS, CALLS, CALLS, STRANGERS),
    b"\tInvite" + REST: (STRANGERS, CALLS, CALLS, STRANGERS),
    b"\0INVITE" + REST: (STRANGERS, CALLS, CALLS, STRANGERS),
    b"REFER" + REST: (STRANGERS, CALLS, CALLS, STRANGERS),
    b"BYE" + REST: (STRANGERS, TAP, TAP, STRANGERS),
    b"ACK" + REST: (STRANGERS, TAP, TAP, STRANGERS),
    b"SIP/2.0 200 OK\r\nVia: x\r\n": (TAP, TAP, TAP, TAP),
    b"\r\n\r\n": (TAP, TAP, TAP, TAP),
    b"x" * 19: (TAP, TAP, TAP, TAP),
    b"x" * 20: (STRANGERS, CALLS, CALLS, STRANGERS),
}


@pytest.mark.parametrize("place", range(4), ids=list(WHO))
@pytest.mark.parametrize(("pbx", "far"), [(PBX, "192.0.2.2"), (PBX6, "2001:db8::2")], ids=["IPv4", "IPv6"])
def test_datagrams_wait_where_they_should(gate: Gated, place: int, pbx: tuple[str, int], far: str) -> None:
    name = list(WHO.values())[place]
    if name is not None:
        gate.hold(name, far if name is SetName.ALLOWED or "." in far else "2001:db8::/64")
    server = gate.cable.open(gate.cable.pbx, *pbx)
    sender = gate.cable.open(gate.cable.stranger, far)
    for payload, wanted in SENT.items():
        sender.sendto(payload, pbx)
        seen = gate.whither()
        assert [where for where, _ in seen] == [wanted[place]], payload
        assert seen[0][1].hook is Hook.PREROUTING
        assert server.recv(65_535) == payload  # once, and as it was


@pytest.mark.parametrize("who_queues", WHO_QUEUES)
@pytest.mark.parametrize("name", [SetName.TRUSTED, SetName.ALLOWED])
def test_who_is_known_and_comes_too_fast_is_held_up_to_his_measure_and_loses_nothing(
    name: SetName, who_queues: Queueing
) -> None:
    with cable() as made, inside(made.pbx):
        gate = gated(made, replace(laid(who_queues), known_rate=10))
        gate.hold(name, "192.0.2.2")
        server, sender = made.open(made.pbx, *PBX), made.open(made.stranger, "192.0.2.2")
        payloads = [b"INVITE %d" % number + REST for number in range(100)]
        for payload in payloads:
            sender.sendto(payload, PBX)
        seen: list[str] = []
        while found := gate.whither(1.0):
            seen += [where for where, _frame in found]
        assert 20 <= seen.count(CALLS) <= 40
        assert sorted(server.recv(65_535) for _each in payloads) == sorted(payloads)
        hold_watched = Held(SetName.WATCHED, parse_network("192.0.2.2"), now() + 60 * SECOND)
        assert gate.nft.hold(hold_watched).ok
        sender.sendto(payloads[0], PBX)
        assert [where for where, _frame in gate.whither()] == [STRANGERS], "who is watched has no such measure"
        closed(gate)


@pytest.mark.parametrize(("name", "wanted"), [(None, CALLS), (SetName.TRUSTED, TAP), (SetName.ALLOWED, CALLS)])
def test_calls_that_leave_wait_but_for_those_to_registered_devices(
    gate: Gated, name: SetName | None, wanted: str
) -> None:
    if name is not None:
        gate.hold(name, "192.0.2.2")
    own = gate.cable.open(gate.cable.pbx, *PBX)
    far = gate.cable.open(gate.cable.stranger, "192.0.2.2", 5060)
    for payload, where in ((b"INVITE" + REST, wanted), (b"ACK" + REST, wanted), (b"OPTIONS" + REST, TAP)):
        own.sendto(payload, ("192.0.2.2", 5060))
        seen = gate.whither()
        assert [each for each, _ in seen] == [where], payload
        assert seen[0][1].hook is Hook.OUTPUT
        assert far.recv(65_535) == payload


@pytest.mark.parametrize(("pbx", "far"), [(PBX, "192.0.2.2"), (PBX6, "2001:db8::2")], ids=["IPv4", "IPv6"])
def test_calls_to_a_trusted_address_where_they_may_cost_money_wait(gate: Gated, pbx: tuple[str, int], far: str) -> None:
    place = far if "." in far else "2001:db8::/64"
    for name in (SetName.TRUSTED, SetName.CHARGED):
        gate.hold(name, place)
    own, there = gate.cable.open(gate.cable.pbx, *pbx), gate.cable.open(gate.cable.stranger, far, 5060)
    for payload, where in ((b"OPTIONS" + REST, TAP), (b"INVITE" + REST, CALLS), (b"ACK" + REST, CALLS)):
        gate.alive.due = 0
        gate.alive.say(now())  # looking for a neighbour may take longer than the last word holds
        own.sendto(payload, (far, 5060))
        assert [each for each, _ in gate.whither()] == [where], payload
        assert there.recv(65_535) == payload
    there.sendto(b"REGISTER" + REST, pbx)
    assert [each for each, _ in gate.whither()] == [TAP], "what it sends waits no more than before"


def test_what_a_stranger_says_over_tcp_waits_and_his_bare_acknowledgements_do_not(gate: Gated) -> None:
    server = gate.cable.open(gate.cable.pbx, *PBX, kind=socket.SOCK_STREAM)
    server.listen()
    client = gate.cable.open(gate.cable.stranger, "192.0.2.2", kind=socket.SOCK_STREAM)
    client.connect(PBX)
    taken = server.accept()[0]
    assert {where for where, _ in gate.whither()} == {TAP}
    client.send(b"O")
    seen = gate.whither()
    assert [where for where, frame in seen if frame.packet.endswith(b"O")] == [STRANGERS]
    taken.settimeout(5)
    assert taken.recv(10) == b"O"
    taken.send(b"answer")
    assert client.recv(10) == b"answer"
    assert {where for where, _ in gate.whither()} == {TAP}
    taken.close()


@pytest.mark.parametrize("stamps", ["0", "1"], ids=["short header", "long header"])
@pytest.mark.parametrize(("pbx", "far"), [(PBX, "192.0.2.2"), (PBX6, "2001:db8::2")], ids=["IPv4", "IPv6"])
def test_segments_wait_however_few_bytes_there_are_in_them(
    gate: Gated, stamps: str, pbx: tuple[str, int], far: str
) -> None:
    run("ip", "netns", "exec", gate.cable.stranger, "sysctl", "-q", "-w", f"net.ipv4.tcp_timestamps={stamps}")
    server = gate.cable.open(gate.cable.pbx, *pbx, kind=socket.SOCK_STREAM)
    server.listen()
    client = gate.cable.open(gate.cable.stranger, far, kind=socket.SOCK_STREAM)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect(pbx)
    taken = server.accept()[0]
    gate.cable.sockets.append(taken)
    for payload in (b"O", b"PT", b"ION", b"S sip", b":x"):
        client.send(payload)
        seen: list[str] = []
        while not seen:
            seen = [where for where, frame in gate.whither() if frame.packet.endswith(payload)]
        assert seen == [STRANGERS], payload
        assert taken.recv(10) == payload


def test_a_harmless_word_that_only_stands_where_one_would_is_not_taken_for_one(gate: Gated) -> None:
    gate.hold(SetName.TRUSTED, "2001:db8::/64")
    server = gate.cable.open(gate.cable.pbx, *PBX6)
    sender = gate.cable.open(gate.cable.stranger, "2001:db8::2")
    # An option that may be passed over; the word stands where without this header the content of a datagram begins.
    option = bytes((0, 1, 0x1E, 12)) + b"....BYE ...."
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, option)
    sender.sendto(b"INVITE" + REST, PBX6)
    seen = gate.whither()
    assert [where for where, _ in seen] == [CALLS]
    assert seen[0][1].packet[48:52] == b"BYE "
    assert server.recv(65_535) == b"INVITE" + REST


def test_when_nobody_judges_nothing_waits_and_all_is_copied(gate: Gated) -> None:
    server, sender = gate.cable.open(gate.cable.pbx, *PBX), gate.cable.open(gate.cable.stranger, "192.0.2.2")
    gate.alive.unsay()
    sender.sendto(b"INVITE" + REST, PBX)
    assert server.recv(65_535) == b"INVITE" + REST
    assert [where for where, _ in gate.whither()] == [TAP]


def test_it_closes_with_the_first_word_after_it_has_opened(gate: Gated) -> None:
    """What has expired still takes up room in the set, until the kernel collects it a while later."""
    by_nft = ("nft", "list", "set", "inet", "sipguard", "alive"), "elements"
    listing, mark = (("ipset", "list", "sipguard_alive4"), "/1 timeout") if isinstance(gate.nft, Ipsets) else by_nft
    for _ in range(4):
        gate.alive.due = 0
        gate.alive.say(now())
        assert gate.alive.failed == 0
        assert wait_for(lambda: mark not in run(*listing), 5.0)
    gate.alive.due = 0
    gate.alive.say(now())
    assert gate.alive.failed == 0


def test_it_opens_a_second_after_the_last_word(gate: Gated) -> None:
    server, sender = gate.cable.open(gate.cable.pbx, *PBX), gate.cable.open(gate.cable.stranger, "192.0.2.2")

    def passes() -> bool:
        sender.sendto(b"INVITE" + REST, PBX)
        return bool(select.select([server], [], [], 0.05)[0])

    assert not passes()
    assert wait_for(passes, 10)


def test_without_a_reader_or_without_the_rules_packets_pass_and_are_copied_not_lost(gate: Gated) -> None:
    server, sender = gate.cable.open(gate.cable.pbx, *PBX), gate.cable.open(gate.cable.stranger, "192.0.2.2")
    gate.gates.pop(STRANGERS).close()
    for number in range(2):
        if number and gate.layout.backend == "iptables":
            run("iptables", "-t", "mangle", "-F", "SIPGUARD-QUEUE")
        elif number and gate.layout.gate == "nft":
            run("nft", "flush", "chain", "inet", "sipguard", "gate_queue_prerouting")
        elif number:
            queueing.remove()
        gate.alive.due = 0
        gate.alive.say(now())
        sender.sendto(b"%d INVITE" % number + REST, PBX)
        assert server.recv(65_535) == b"%d INVITE" % number + REST
        assert [where for where, _ in gate.whither()] == [TAP]


def test_what_bears_our_own_mark_is_neither_held_nor_copied(gate: Gated) -> None:
    own = gate.cable.open(gate.cable.pbx, *PBX)
    own.setsockopt(socket.SOL_SOCKET, 36, gate.layout.mark)
    far = gate.cable.open(gate.cable.stranger, "192.0.2.2", 5060)
    own.sendto(b"INVITE" + REST, ("192.0.2.2", 5060))
    assert far.recv(65_535) == b"INVITE" + REST
    assert gate.whither(0.3) == []


@pytest.mark.parametrize("by", WHO_QUEUES)
def test_a_pbx_behind_this_host_is_guarded_alike(by: Queueing) -> None:
    layout = replace(laid(by), pbx=(parse_network("10.9.0.2"),))
    with cable() as made, inside(made.pbx):
        run("ip", "netns", "add", f"{made.pbx}b")
        try:
            run("ip", "link", "add", "v1", "type", "veth", "peer", "name", "v1", "netns", f"{made.pbx}b")
            run("ip", "addr", "add", "10.9.0.1/24", "dev", "v1")
            run("ip", "link", "set", "v1", "up")
            for command in (("addr", "add", "10.9.0.2/24", "dev", "v1"), ("link", "set", "v1", "up"),
                            ("route", "add", "default", "via", "10.9.0.1")):  # fmt: skip
                run("ip", "-n", f"{made.pbx}b", *command)
            run("ip", "-n", made.stranger, "route", "add", "10.9.0.0/24", "via", "192.0.2.1")
            run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
            server = made.open(f"{made.pbx}b", "10.9.0.2", 5060)
            sender = made.open(made.stranger, "192.0.2.2", 5060)
            found = gated(made, layout)
            sender.sendto(b"OPTIONS" + REST, ("10.9.0.2", 5060))
            assert [(where, frame.hook) for where, frame in found.whither()] == [(STRANGERS, Hook.PREROUTING)]
            assert server.recv(65_535) == b"OPTIONS" + REST
            server.sendto(b"INVITE" + REST, ("192.0.2.2", 5060))
            assert [(where, frame.hook) for where, frame in found.whither()] == [(CALLS, Hook.FORWARD)]
            assert sender.recv(65_535) == b"INVITE" + REST
            closed(found)
        finally:
            run("ip", "netns", "del", f"{made.pbx}b")
