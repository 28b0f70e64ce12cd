"""The kernel's word on media: told while packets pass between both known ends, and by nobody else's; in namespaces."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence

import pytest

from sipguard.address import parse_address
from sipguard.call import Doubt, Media
from sipguard.capture.clock import boottime
from sipguard.capture.connections import AGAIN, EVERY, MOST, Connections
from sipguard.model import SECOND
from tests.enforce.spaces import Cable, cable, inside, run

pytestmark = pytest.mark.root

PBX, PEER, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.3"
NEAR, FAR = (parse_address(PBX), 10_000), (parse_address(PEER), 40_000)
CALL = Doubt("call", ((parse_address("203.0.113.9"), 10_000), NEAR), FAR)  # the PBX names another address than it has
TRACK = "table inet t { chain c { type filter hook input priority 0; ct state new counter; }; }"


@contextlib.contextmanager
def hosts() -> Iterator[Cable]:
    """Join a PBX that tracks connections to others."""
    with cable() as joined:
        with inside(joined.pbx):
            run("nft", TRACK)
        yield joined


def bound(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, port))
    return made


def looked(connections: Connections, doubts: Sequence[Doubt] = (CALL,), later: int = 0) -> dict[str, int]:
    (*found,) = connections.look(boottime() + later, lambda most: doubts[:most])
    assert len(found) <= 1
    return dict(found[0].expires) if found and isinstance(found[0], Media) else {}


def spoken(joined: Cable, address: str = PEER, port: int = 40_000, *, both: bool = True) -> None:
    """Let packets pass, by default both ways, until the kernel takes the connection for one that lasts."""
    with inside(joined.pbx):
        near = bound(PBX, 10_000)
    with inside(joined.stranger):
        far = bound(address, port)
    with near, far:
        for _ in range(3):
            far.sendto(b"\x80" * 172, (PBX, 10_000))
            near.recv(2048)
            if both:
                near.sendto(b"\x80" * 172, (address, port))
                far.recv(2048)


def aged(joined: Cable, seconds: int, address: str = PEER, port: int = 40_000) -> None:
    """Let the kernel forget a connection so soon, as if it had been quiet since both ends were heard (ASSURED)."""
    with inside(joined.pbx):
        ends = ("--orig-src", address, "--orig-dst", PBX, "-p", "udp", "--sport", str(port), "--dport", "10000")
        run("conntrack", "-U", *ends, "--timeout", str(seconds), "--status", "ASSURED")


def test_packets_between_both_ends_put_off_until_when_the_kernel_remembers_them() -> None:
    with hosts() as joined:
        with inside(joined.pbx):
            connections = Connections()
            assert left(connections, 0) == 0
        spoken(joined)
        aged(joined, 20)
        with inside(joined.pbx):
            first, again = (left(connections, looks * EVERY) for looks in (1, 2))
            assert 15 <= again <= first <= 20, "a look is no packet"
        spoken(joined)
        with inside(joined.pbx):
            assert left(connections, 3 * EVERY) > 25
        assert connections.counters() == {"media_asked": 4, "media_found": 3, "media_refused": 0}
        connections.close()


def left(connections: Connections, later: int) -> int:
    """Give for how many seconds from now the kernel remembers the call's media, at a look that much later."""
    now = boottime() + later
    found = [each.expires["call"] for each in connections.look(now, lambda _: [CALL])]
    return (found[0] - now) // SECOND if found else 0


@pytest.mark.parametrize(("address", "port"), [(OTHER, 40_000), (PEER, 40_002)])
def test_whoever_sends_from_elsewhere_brings_no_call_to_life(address: str, port: int) -> None:
    with hosts() as joined:
        spoken(joined, address, port)
        aged(joined, 60, address, port)
        with inside(joined.pbx):
            connections = Connections()
            assert looked(connections) == {}
            connections.close()


def test_it_is_the_same_connection_whoever_has_spoken_first() -> None:
    with hosts() as joined:
        with inside(joined.pbx):
            near = bound(PBX, 10_000)
        with near:
            near.sendto(b"\x80" * 172, (PEER, 40_000))
        with inside(joined.pbx):
            ends = ("--orig-src", PBX, "--orig-dst", PEER, "-p", "udp", "--sport", "10000", "--dport", "40000")
            run("conntrack", "-U", *ends, "--timeout", "60", "--status", "SEEN_REPLY,ASSURED")
            connections = Connections()
            assert left(connections, 0) > 50
            connections.close()


def test_one_who_is_not_answered_brings_no_call_to_life_from_the_right_end_either() -> None:
    with hosts() as joined:
        spoken(joined, both=False)
        with inside(joined.pbx):
            connections = Connections()
            assert looked(connections) == {}
            connections.close()


def test_a_look_is_bounded_and_rare() -> None:
    with hosts() as joined, inside(joined.pbx):
        connections = Connections()
        asked: list[int] = []

        def doubtful(most: int) -> Sequence[Doubt]:
            asked.append(most)
            return [Doubt(str(number), (NEAR,), FAR) for number in range(most)]

        now = boottime()
        for tenth in range(201):
            assert list(connections.look(now + tenth * SECOND // 10, doubtful)) == []
        assert asked == [MOST] * 3
        connections.close()


def test_where_nothing_can_be_asked_that_is_said_and_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> socket.socket:
        raise OSError(1, "Operation not permitted")

    connections = Connections()
    with monkeypatch.context() as patched:
        patched.setattr("sipguard.capture.netlink.opened", refused)
        assert looked(connections) == {}
    assert connections.counters()["media_refused"] == 1
    assert list(connections.look(boottime() + AGAIN - SECOND, lambda _: [CALL])) == []
    assert connections.counters()["media_asked"] == 1
    assert looked(connections, later=AGAIN + SECOND) == {}
    assert connections.counters()["media_refused"] == 1
    connections.close()


def test_a_kernel_that_says_nothing_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    mute, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mute.settimeout(None)
    with mute, other, monkeypatch.context() as patched:
        patched.setattr("sipguard.capture.netlink.opened", lambda *_: mute)
        connections = Connections()
        assert looked(connections) == {}
        assert connections.counters()["media_refused"] == 1
