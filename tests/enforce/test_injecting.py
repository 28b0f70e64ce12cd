"""Injections on a real kernel: they arrive as from the other end, open no way through, and end at a limit."""

from __future__ import annotations

import select
import socket

import pytest

from sipguard.address import parse_address
from sipguard.enforce.base import Layout
from sipguard.enforce.injecting import MOST, Injections, packets
from sipguard.enforce.raw import LEAST_MTU, SEGMENT
from sipguard.model import HangUp, Injection, Transport
from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Datagram, Segment, decode
from tests.enforce.spaces import Cable, now, run

pytestmark = [pytest.mark.root, pytest.mark.kernel]

LAYOUT = Layout()
ENDS = [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")]


def order(source: str, target: str, payload: bytes, port: int = 5060) -> HangUp:
    said = Injection(parse_address(source), port, parse_address(target), port, Transport.UDP, payload)
    return HangUp(0, "call", "", (said,))


@pytest.mark.parametrize(("pbx", "far"), ENDS)
def test_the_pbx_hears_the_far_side_who_gains_no_way_in(joined: Cable, pbx: str, far: str) -> None:
    own, peer = joined.open(joined.pbx, pbx, 5060), joined.open(joined.stranger, far, 5060)
    injections = Injections(LAYOUT.mark, now)
    assert injections.perform(order(far, pbx, b"BYE x")) == 0
    assert select.select([own], [], [], 5)[0]
    text, whence = own.recvfrom(65_535)
    assert (text, whence[:2]) == (b"BYE x", (far, 5060))
    peer.sendto(b"through the hole?", (pbx, 5060))
    assert not select.select([own], [], [], 0.3)[0]
    injections.close()


@pytest.mark.parametrize(("pbx", "far"), ENDS)
@pytest.mark.parametrize("size", [5, 1300, 4000])
def test_the_far_side_hears_the_pbx_however_narrow_the_way(joined: Cable, pbx: str, far: str, size: int) -> None:
    peer = joined.open(joined.stranger, far, 5060)
    injections = Injections(LAYOUT.mark, now)
    said = (bytes(range(250)) * 20)[:size]
    assert injections.perform(order(pbx, far, said)) == 0
    assert select.select([peer], [], [], 5)[0]
    text, whence = peer.recvfrom(65_535)
    assert (text, whence[:2]) == (said, (pbx, 5060))
    injections.close()


@pytest.mark.parametrize(("pbx", "far"), ENDS)
def test_the_next_bytes_of_a_connection_and_its_reset_are_taken(joined: Cable, pbx: str, far: str) -> None:
    run("nft", "delete table inet host")
    family = socket.AF_INET6 if ":" in pbx else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.bind((pbx, 5060))
    listening.listen()
    client = joined.open(joined.stranger, far, 5060, socket.SOCK_STREAM)
    client.setblocking(True)
    client.connect((pbx, 5060))
    server, _ = listening.accept()
    sequence, acknowledged = numbers(server)
    injections = Injections(LAYOUT.mark, now)
    ends = parse_address(far), 5060, parse_address(pbx), 5060, Transport.TCP
    payload = b"BYE " + b"y" * (2 * SEGMENT)
    injections.perform(HangUp(0, "call", "", (Injection(*ends, payload, sequence, acknowledged),)))
    heard = b""
    while len(heard) < len(payload):
        assert select.select([server], [], [], 5)[0]
        heard += server.recv(65_535)
    assert heard == payload
    injections.perform(HangUp(0, "call", "", (Injection(*ends, b"", sequence + len(payload) & 0xFFFFFFFF),)))
    assert select.select([server], [], [], 5)[0]
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    for each in (injections, server, listening, client):
        each.close()


def numbers(server: socket.socket) -> tuple[int, int]:
    """Give what a connection's server awaits, and what it will send next (tcp(7), TCP_REPAIR)."""
    server.setsockopt(socket.IPPROTO_TCP, 19, 1)
    found = []
    for queue in (1, 2):  # TCP_RECV_QUEUE, TCP_SEND_QUEUE
        server.setsockopt(socket.IPPROTO_TCP, 20, queue)
        found.append(server.getsockopt(socket.IPPROTO_TCP, 21) & 0xFFFFFFFF)
    server.setsockopt(socket.IPPROTO_TCP, 19, 0)
    return found[0], found[1]


def test_an_order_of_a_thousand_packets_is_cut_short(joined: Cable) -> None:
    injections = Injections(LAYOUT.mark, lambda: 10**9)  # all within one instant
    many = HangUp(0, "call", "", order("192.0.2.1", "192.0.2.2", b"x").injections * (3 * MOST))
    assert joined.pbx
    assert injections.perform(many) == MOST
    assert injections.counters() == {"injections_sent": 2 * MOST, "injections_unsent": MOST}
    injections.close()


@pytest.mark.parametrize(("source", "target"), ENDS)
def test_packets_are_read_as_they_were_written(source: str, target: str) -> None:
    ends = parse_address(source), 1, parse_address(target), 2
    (packet,) = packets(Injection(*ends, Transport.UDP, b"BYE"))
    read = decode(0, packet, Fragments(), tunnels=False)
    assert isinstance(read, Datagram)
    assert (read.src, read.sport, read.dst, read.dport, read.payload) == (*ends, b"BYE")
    pieces = list(packets(Injection(*ends, Transport.TCP, b"y" * 3000, 0xFFFFFFFF, 7)))
    found = [decode(0, piece, Fragments(), tunnels=False) for piece in pieces]
    assert all(isinstance(each, Segment) and each.ack == 7 for each in found)
    assert [each.seq for each in found if isinstance(each, Segment)] == [0xFFFFFFFF, SEGMENT - 1, 2 * SEGMENT - 1]
    assert all(len(piece) <= LEAST_MTU for piece in pieces)
