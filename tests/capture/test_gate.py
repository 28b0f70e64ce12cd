"""The gate on a real kernel: each packet waits for its verdict, and nothing that arrives ends the reading."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipguard.capture.door import Door
from sipguard.capture.gate import Gate
from sipguard.errors import AdapterError
from sipguard.model import Frame, Hook, Origin, SensorKind
from sipguard.netfilter import nfqueue
from tests.enforce.spaces import Cable, cable, inside, run, space

pytestmark = pytest.mark.root

PBX = ("192.0.2.1", 5060)
QUEUE = 17
BIT = 0x20000000


@pytest.fixture
def joined() -> Iterator[Cable]:
    """All that comes to port 5060 bears two marks, one of another tool, and waits in the queue."""
    with cable() as made, inside(made.pbx):
        rule = ("iptables-nft", "-t", "mangle", "-A", "PREROUTING", "-p", "udp", "--dport", "5060")
        run(*rule, "-j", "MARK", "--set-mark", hex(BIT | 5))
        run(*rule, "-j", "NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass")
        run("iptables-nft", "-t", "mangle", "-A", "INPUT", "-m", "mark", "--mark", "5")
        yield made


def next_frame(gate: Gate, seconds: float = 10.0) -> Frame:
    assert select.select([gate], [], [], seconds)[0]
    (frame,) = gate.read(1)
    return frame


def received(where: socket.socket, seconds: float = 5.0) -> bytes:
    assert select.select([where], [], [], seconds)[0]
    return where.recv(65_535)


def udp(packet: bytes, payload: bytes) -> bytes:
    """Give the packet with another payload; no UDP checksum is a right one."""
    total, size = 28 + len(payload), 8 + len(payload)
    head = bytearray(packet[:20])
    struct.pack_into("!H", head, 2, total)
    struct.pack_into("!H", head, 10, 0)
    words = sum(struct.unpack("!10H", head))
    struct.pack_into("!H", head, 10, ~(words + (words >> 16)) & 0xFFFF)
    return bytes(head) + packet[20:24] + struct.pack("!HH", size, 0) + payload


def test_a_packet_waits_for_its_verdict_and_what_is_accepted_arrives_with_its_own_mark(joined: Cable) -> None:
    gate = Gate(QUEUE, forget=BIT)
    sender, pbx = joined.open(joined.stranger, "192.0.2.2"), joined.open(joined.pbx, *PBX)
    for text in (b"one", b"two", b"three"):
        sender.sendto(text, PBX)
    frames = [next_frame(gate) for _ in range(3)]
    assert [frame.packet[28:] for frame in frames] == [b"one", b"two", b"three"]
    assert {(frame.hook, frame.origin) for frame in frames} == {(Hook.PREROUTING, Origin.GATE)}
    assert not select.select([pbx], [], [], 0.2)[0]
    gate.answer(frames[2].ticket, nfqueue.ACCEPT)
    assert received(pbx) == b"three"  # not in the order of their coming
    gate.answer(frames[0].ticket, nfqueue.DROP)
    gate.answer(frames[0].ticket, nfqueue.ACCEPT)  # a second verdict does nothing
    gate.answer(frames[1].ticket, nfqueue.ACCEPT, udp(frames[1].packet, b"something else, and longer"))
    assert received(pbx) == b"something else, and longer"
    assert not select.select([pbx], [], [], 0.2)[0]
    counted = run("iptables-nft", "-t", "mangle", "-L", "INPUT", "-vnx").splitlines()[2].split()
    assert counted[0] == "2"
    assert gate.sensors() == []
    gate.close()


def test_many_packets_lose_no_verdict(joined: Cable) -> None:
    gate = Gate(QUEUE)
    sender, pbx = joined.open(joined.stranger, "192.0.2.2"), joined.open(joined.pbx, *PBX)
    for burst in range(20):
        for number in range(50):
            sender.sendto(b"%d" % (burst * 50 + number), PBX)
        for _ in range(50):
            gate.answer(next_frame(gate).ticket, nfqueue.ACCEPT)
        assert [received(pbx) for _ in range(50)] == [b"%d" % (burst * 50 + number) for number in range(50)]
    assert gate.counters() == {"seen": 1000, "overruns": 0, "malformed": 0, "cut": 0, "unanswered": 0}
    gate.close()


def test_what_the_buffer_cannot_take_passes_and_reading_goes_on(joined: Cable) -> None:
    gate = Gate(QUEUE, receive_buffer_bytes=20_000)
    sender, pbx = joined.open(joined.stranger, "192.0.2.2"), joined.open(joined.pbx, *PBX)
    for _number in range(120):
        sender.sendto(b"x" * 500, PBX)
    passed = 0
    while select.select([pbx], [], [], 0.2)[0]:
        passed += len(pbx.recv(1000)) > 0
    held = gate.read(1000)
    assert passed > 0
    assert passed + len(held) == 120
    for frame in held:
        gate.answer(frame.ticket, nfqueue.ACCEPT)
    while select.select([pbx], [], [], 0.2)[0]:
        passed += len(pbx.recv(1000)) > 0
    assert passed == 120
    sender.sendto(b"after", PBX)
    assert next_frame(gate).packet[28:] == b"after"
    gate.close()


def test_without_a_reader_everything_passes_and_what_it_had_read_passes_when_it_goes(joined: Cable) -> None:
    sender, pbx = joined.open(joined.stranger, "192.0.2.2"), joined.open(joined.pbx, *PBX)
    sender.sendto(b"before", PBX)
    assert received(pbx) == b"before"
    gate = Gate(QUEUE)
    sender.sendto(b"held", PBX)
    next_frame(gate)
    gate.close()
    gate.close()
    assert received(pbx) == b"held"
    sender.sendto(b"after", PBX)
    assert received(pbx) == b"after"


def test_large_segments_come_cut_up_with_their_checksums_in_place(joined: Cable) -> None:
    run("iptables-nft", "-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "--dport", "5060",
        "-j", "NFQUEUE", "--queue-num", str(QUEUE))  # fmt: skip
    gate = Gate(QUEUE)
    server = joined.open(joined.pbx, *PBX, kind=socket.SOCK_STREAM)
    server.listen()
    client = joined.open(joined.stranger, "192.0.2.2", kind=socket.SOCK_STREAM)
    client.setblocking(False)
    assert client.connect_ex(PBX) != 0
    sent, got, longest = False, b"", 0
    server.setblocking(False)
    taken: socket.socket | None = None
    deadline = time.monotonic() + 20
    while len(got) < 40_000 and time.monotonic() < deadline:
        select.select([gate], [], [], 0.05)
        for frame in gate.read(64):
            longest = max(longest, len(frame.packet))
            gate.answer(frame.ticket, nfqueue.ACCEPT)
        if not sent and select.select([], [client], [], 0)[1]:
            sent = client.send(b"y" * 40_000) == 40_000
        if taken is None and select.select([server], [], [], 0)[0]:
            taken = server.accept()[0]
            taken.setblocking(False)
        if taken is not None and select.select([taken], [], [], 0)[0]:
            got += taken.recv(65_535)
    assert got == b"y" * 40_000
    assert longest <= 1500
    assert taken is not None
    taken.close()
    gate.close()


def test_a_queue_that_is_taken_is_an_adapter_error_and_is_free_after_close() -> None:
    with space() as name, inside(name):
        gate = Gate(QUEUE)
        with pytest.raises(AdapterError, match="taken by another process"):
            Gate(QUEUE)
        gate.close()
        Gate(QUEUE).close()


@pytest.fixture(scope="module")
def quiet() -> Iterator[Gate]:
    with space() as name, inside(name):
        gate = Gate(QUEUE)
        yield gate
        gate.close()


@given(st.integers(0, 2**48), st.integers(0, 5), st.none() | st.binary(max_size=99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_verdict_on_a_packet_that_is_not_there_is_no_error(
    quiet: Gate, ticket: int, value: int, content: bytes | None
) -> None:
    quiet.answer(ticket, value, content)
    quiet._marks[ticket] = 0
    quiet.answer(ticket, value, content)
    assert quiet.read(10) == []
    assert [one.kind for one in quiet.sensors()] in ([], [SensorKind.GATE_MALFORMED])


# --- Both queues ------------------------------------------------------------------------------------------------------


def test_a_door_that_somebody_else_has_says_so_until_nobody_wants_it_any_more(joined: Cable) -> None:
    door = Door(lambda _packet, _code: None)
    with inside(joined.pbx):
        taken = Gate(QUEUE)
        door.open((QUEUE + 1, QUEUE), 0)
        assert not door.held
        door.close()
        assert "taken" in door.fault
        door.close(forget=True)
        assert door.fault == ""
        taken.close()
        door.open((QUEUE + 1, QUEUE), 0)
        assert door.held
        door.close()


def test_the_longest_datagram_there_is_waits_for_its_verdict_too(joined: Cable) -> None:
    with inside(joined.pbx):  # whoever asks for connections has the kernel put fragments together first
        run("iptables-nft", "-t", "mangle", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID")
    gate = Gate(QUEUE)
    sender, pbx = joined.open(joined.stranger, "192.0.2.2"), joined.open(joined.pbx, *PBX)
    sender.sendto(b"INVITE " + b"x" * 65_500, PBX)
    frame = next_frame(gate)
    assert frame.packet[28:35] == b"INVITE "
    assert len(frame.packet) == 65_531
    assert not select.select([pbx], [], [], 0.2)[0]
    gate.answer(frame.ticket, nfqueue.ACCEPT)
    assert len(pbx.recv(70_000)) == 65_507
    gate.close()
