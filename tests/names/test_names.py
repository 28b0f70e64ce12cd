"""Names, asked of a real name server on loopback: what is good is used, what is bad is refused, what fails keeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from sipguard.address import parse_network
from sipguard.errors import AdapterError
from sipguard.model import Names, Role
from sipguard.names import watch as watch_module
from sipguard.names.lookup import MOST, Answer, Lookup
from sipguard.names.watch import Watch

NOWHERE = Path("/nonexistent")


class Server(asyncio.DatagramProtocol):
    """A name server of a few lines: `zone` maps (name, type) to records, a response code, or None for silence."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str] | dns.rcode.Rcode | None] = {}
        self.ttl = 300
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        key = (str(question.name).rstrip("."), dns.rdatatype.to_text(question.rdtype))
        self.asked.append(key)
        found = self.zone.get(key, [])
        if found is None:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if isinstance(found, dns.rcode.Rcode):
            response.set_rcode(found)
        elif found:
            response.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", key[1], *found))
        elif not any(name == key[0] for name, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(max_size=65535), addr)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    yield protocol
    transport.close()


def ask(server: Server, hosts: Path = NOWHERE) -> Lookup:
    return Lookup(hosts=hosts, servers=["127.0.0.1"], port=server.port, lifetime=0.5)


def texts(answer: Answer) -> list[str]:
    return [str(network) for network in answer.networks]


async def test_both_families_are_asked_and_sorted(server: Server) -> None:
    server.zone = {("a.example", "A"): ["192.0.2.9", "192.0.2.1"], ("a.example", "AAAA"): ["2001:db8::1"]}
    answer = await ask(server).look("a.example")
    assert texts(answer) == ["192.0.2.1", "192.0.2.9", "2001:db8::1"]
    assert (answer.ttl, answer.complete) == (300, True)


async def test_service_names_lead_to_their_targets(server: Server) -> None:
    server.zone = {
        ("_sip._udp.example.net", "SRV"): ["20 0 5060 b.example.net.", "10 0 5060 a.example.net.", "30 0 5060 ."],
        ("a.example.net", "A"): ["192.0.2.1"],
        ("b.example.net", "AAAA"): ["2001:db8::b"],
    }
    assert texts(await ask(server).look("_sip._udp.example.net")) == ["192.0.2.1", "2001:db8::b"]


async def test_mapped_addresses_are_the_four_bytes(server: Server) -> None:
    server.zone = {("a.example", "AAAA"): ["::ffff:192.0.2.7"]}
    assert texts(await ask(server).look("a.example")) == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("kind", "records"),
    [
        ("A", ["192.0.2.1", "0.0.0.0"]),
        ("A", ["0.1.2.3"]),
        ("A", ["224.0.0.1"]),
        ("A", ["255.255.255.255"]),
        ("AAAA", ["::"]),
        ("AAAA", ["ff02::1"]),
        ("AAAA", ["::ffff:0.0.0.0"]),
        ("AAAA", [f"2001:db8::{number:x}" for number in range(1, MOST + 2)]),
    ],
)
async def test_answers_that_no_trunk_can_have_are_refused_whole(server: Server, kind: str, records: list[str]) -> None:
    server.zone = {("a.example", kind): records}
    with pytest.raises(AdapterError, match="refused"):
        await ask(server).look("a.example")


@pytest.mark.parametrize("found", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, None, []])
async def test_no_answer_is_an_adapter_error(server: Server, found: list[str] | dns.rcode.Rcode | None) -> None:
    server.zone = {("a.example", "A"): found, ("a.example", "AAAA"): found}
    with pytest.raises(AdapterError, match=r"a\.example"):
        await ask(server).look("a.example")


async def test_half_an_answer_is_marked_as_such(server: Server) -> None:
    server.zone = {("a.example", "A"): ["192.0.2.1"], ("a.example", "AAAA"): dns.rcode.SERVFAIL}
    assert not (await ask(server).look("a.example")).complete


async def test_the_hosts_file_goes_before_the_name_server(server: Server, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(
        b"# 192.0.2.3 a.example\n192.0.2.4\tx A.Example # b\nnonsense a.example\n\xff\n2001:db8::4 a.example"
    )
    assert texts(await ask(server, hosts).look("a.example")) == ["192.0.2.4", "2001:db8::4"]
    assert server.asked == []


class Desk:
    """Collects what a watch tells."""

    def __init__(self, look: Lookup, refresh: float = 0.02) -> None:
        self.told: list[Names] = []
        self.alerts: list[str] = []
        self.watch = Watch(look.look, self.told.append, lambda kind, _name, _text: self.alerts.append(kind), refresh)

    async def until(self, check: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.watch.run())
        end = time.monotonic() + 30
        while not check():
            assert time.monotonic() < end, f"never came true: {self.told} {self.alerts}"
            await asyncio.sleep(0.01)
        task.cancel()


TRUNK = (Role.TRUNK, "a.example")


def names(*addresses: str) -> Names:
    return Names(*TRUNK, tuple(map(parse_network, addresses)))


async def test_a_change_is_told_once(server: Server) -> None:
    server.zone = {("a.example", "A"): ["192.0.2.1"]}
    desk = Desk(ask(server))
    desk.watch.want([TRUNK])
    await desk.until(lambda: len(server.asked) > 6)
    server.zone = {("a.example", "A"): ["192.0.2.2"]}
    await desk.until(lambda: len(desk.told) > 1)
    assert desk.told == [names("192.0.2.1"), names("192.0.2.2")]
    assert desk.alerts == ["name-changed"]


async def test_the_last_good_answer_is_kept_while_look_ups_fail(server: Server) -> None:
    server.zone = {("a.example", "A"): ["192.0.2.1"]}
    desk = Desk(ask(server))
    desk.watch.want([TRUNK])
    await desk.until(lambda: bool(desk.told))
    server.zone = {("a.example", "A"): dns.rcode.SERVFAIL, ("a.example", "AAAA"): dns.rcode.SERVFAIL}
    await desk.until(lambda: "name-stale" in desk.alerts)
    server.zone = {}
    await desk.until(lambda: len(server.asked) > 30)
    assert desk.told == [names("192.0.2.1")]
    server.zone = {("a.example", "A"): ["192.0.2.1"]}
    await desk.until(lambda: "name-resolved" in desk.alerts)
    assert desk.alerts == ["name-stale", "name-resolved"]


async def test_a_failed_half_takes_no_address_away(server: Server) -> None:
    server.zone = {("a.example", "A"): ["192.0.2.1"], ("a.example", "AAAA"): ["2001:db8::1"]}
    desk = Desk(ask(server))
    desk.watch.want([TRUNK])
    await desk.until(lambda: bool(desk.told))
    server.zone[("a.example", "AAAA")] = dns.rcode.SERVFAIL
    server.zone[("a.example", "A")] = ["192.0.2.2"]
    await desk.until(lambda: len(desk.told) > 1)
    assert desk.told[1] == names("192.0.2.1", "192.0.2.2", "2001:db8::1")


async def test_a_kept_answer_is_used_until_the_name_server_is_back(server: Server) -> None:
    server.zone = {("a.example", "A"): None, ("a.example", "AAAA"): None}
    desk = Desk(ask(server))
    desk.watch.remember([names("192.0.2.1"), Names(Role.ALLOWED, "gone.example", ())])
    desk.watch.want([TRUNK])
    assert desk.told == [names("192.0.2.1")]
    assert desk.watch.present() == [names("192.0.2.1")]
    assert desk.watch.unresolved() == []


async def test_a_name_that_never_resolves_is_told_once(server: Server) -> None:
    desk = Desk(ask(server))
    desk.watch.want([TRUNK])
    await desk.until(lambda: len(server.asked) > 10)
    assert desk.alerts == ["name-unresolved"]
    assert desk.watch.unresolved() == ["a.example"]


async def test_a_dropped_name_becomes_empty(server: Server) -> None:
    server.zone = {("a.example", "A"): ["192.0.2.1"]}
    desk = Desk(ask(server))
    desk.watch.want([TRUNK])
    await desk.until(lambda: bool(desk.told))
    desk.watch.want([])
    assert desk.told[-1] == names()
    assert desk.watch.present() == []


async def test_look_ups_are_neither_too_close_nor_too_far(server: Server) -> None:
    server.zone = {("a.example", "A"): ["192.0.2.1"]}
    for ttl, refresh, wait in ((0, 300.0, watch_module.SOONEST), (60, 300.0, 60.0), (86400, 300.0, 300.0)):
        server.ttl = ttl
        desk = Desk(ask(server), refresh)
        desk.watch.want([TRUNK])
        await desk.until(lambda told=desk.told: bool(told))  # type: ignore[misc]
        due = desk.watch._names[TRUNK].due - asyncio.get_running_loop().time()
        assert wait - 5 < due <= wait
