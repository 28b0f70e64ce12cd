"""What the rules do to real packets, between a PBX and a stranger in namespaces of their own."""

from __future__ import annotations

import select
import socket
import struct
import subprocess
from collections.abc import Iterator

import pytest

from sipguard.address import parse_address, parse_network
from sipguard.capture.tap import Tap
from sipguard.enforce.base import Layout
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.nft import Nft
from sipguard.enforce.panic import panic_off
from sipguard.model import SECOND, Frame, Held, Hook, SetName
from sipguard.wire.rewrite import checksum
from tests.enforce.spaces import Cable, arrives, cable, inside, now, passes, run, wait_for

pytestmark = [pytest.mark.root, pytest.mark.kernel]

PBX = ("192.0.2.1", 5060)
PBX6 = ("2001:db8::1", 5060)


@pytest.fixture
def joined() -> Iterator[Cable]:
    with cable() as made, inside(made.pbx):
        yield made


OPTIONS = b"\x11\0\1\4" + bytes(4)  # destination options before a datagram: one of padding (RFC 8200 section 4.6)


def lengthless(length: int, between: bytes) -> bytes:
    """Write a datagram over IPv6 that says it is of this length, with the checksum of all of its packet."""
    source, target = parse_address("2001:db8::2"), parse_address("2001:db8::1")
    datagram = struct.pack("!HHHH", 5070, 5060, length, 0) + b"INVITE x"
    size = len(datagram)
    total = checksum(source + target + struct.pack("!IHBB", size, 0, 0, 17) + datagram) or 0xFFFF
    rest = between + datagram[:6] + struct.pack("!H", total) + datagram[8:]
    return struct.pack("!IHBB", 6 << 28, len(rest), 60 if between else 17, 64) + source + target + rest


class Guard:
    """An installed enforcer and a tap in the present namespace."""

    def __init__(self, layout: Layout, kind: type[Nft | Ipsets] = Nft) -> None:
        self.nft = kind(layout, now)
        self.nft.install()
        self.tap = Tap(layout.tap_group)

    def hold(self, name: SetName, network: str) -> None:
        until = 0 if name is SetName.ALLOWED else now() + 60 * SECOND
        answer = self.nft.hold(Held(name, parse_network(network), until))
        assert answer.ok, answer.why

    def count(self, name: str) -> int:
        return next(one.packets for one in self.nft.counters().named if one.name == name)

    def frames(self, wanted: int) -> list[Frame]:
        found: list[Frame] = []

        def enough() -> bool:
            found.extend(self.tap.read(256))
            return len(found) >= wanted

        wait_for(enough, 1.0)
        return found


@pytest.fixture(params=[Nft, Ipsets], ids=["nftables", "iptables"])
def kind(request: pytest.FixtureRequest) -> type[Nft | Ipsets]:
    """Give each back end: what the rules do is the same."""
    found: type[Nft | Ipsets] = request.param
    return found


@pytest.fixture
def guard(joined: Cable, kind: type[Nft | Ipsets], request: pytest.FixtureRequest) -> Iterator[Guard]:
    made = Guard(getattr(request, "param", Layout()), kind)
    yield made
    made.nft.close()
    made.tap.close()


with_layout = pytest.mark.parametrize


@pytest.mark.parametrize("between", [b"", OPTIONS], ids=["plain", "with an extension header"])
def test_a_datagram_without_a_length_does_not_slip_by_unread(joined: Cable, guard: Guard, between: bytes) -> None:
    pbx = joined.open(joined.pbx, *PBX6)
    with inside(joined.stranger):
        sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    joined.sockets.append(sender)
    assert passes(joined.open(joined.stranger, "2001:db8::2"), pbx, PBX6, b"first neighbours find each other")
    sender.sendto(lengthless(16, between), (PBX6[0], 0))
    while pbx.recv(100) != b"INVITE x":  # it arrives, so the datagram is right but for its length
        continue
    for length in (0, 7):
        sender.sendto(lengthless(length, between), (PBX6[0], 0))
    assert not select.select([pbx], [], [], 0.5)[0]
    assert guard.count("dropped") == 2


@with_layout(
    "guard", [Layout(), Layout(scope="all"), Layout(closed=False, pbx=(parse_network("10.0.0.0/8"),))], indirect=True
)
def test_the_banned_are_dropped_and_counted_and_everybody_else_passes(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    banned, other = joined.open(joined.stranger, "192.0.2.2"), joined.open(joined.stranger, "192.0.2.3")
    assert passes(banned, pbx, PBX)
    guard.hold(SetName.BLOCKED, "192.0.2.2")
    assert not arrives(banned, pbx, PBX)
    assert passes(other, pbx, PBX)
    assert guard.count("dropped") == 1
    assert [one.packets for one in guard.nft.counters().blocked] == [1]
    assert guard.nft.release(Held(SetName.BLOCKED, parse_network("192.0.2.2"))).ok
    assert passes(banned, pbx, PBX)


def test_a_banned_network_is_dropped_and_its_neighbours_are_not(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    guard.hold(SetName.BLOCKED, "192.0.2.4/31")
    reached = {last: arrives(joined.open(joined.stranger, f"192.0.2.{last}"), pbx, PBX) for last in (3, 4, 5, 6)}
    assert reached == {3: True, 4: False, 5: False, 6: True}


def test_a_rate_that_is_changed_is_the_rate_from_then_on(joined: Cable, kind: type[Nft | Ipsets]) -> None:
    pbx, stranger = joined.open(joined.pbx, *PBX), joined.open(joined.stranger, "192.0.2.2")
    for rate in (1, 1_000, 1):
        made = kind(Layout(stranger_rate=rate), now)
        made.install()
        made.close()
        for _each in range(100):
            stranger.sendto(b"hello", PBX)
        heard = 0
        while select.select([pbx], [], [], 1.0)[0]:
            heard += pbx.recv(100) == b"hello"
        assert heard == 100 if rate > 1 else heard < 50


def test_a_ban_of_scope_sip_leaves_other_ports_alone_and_scope_all_does_not(joined: Cable, guard: Guard) -> None:
    web = joined.open(joined.pbx, PBX[0], 8080)
    banned = joined.open(joined.stranger, "192.0.2.2")
    guard.hold(SetName.BLOCKED, "192.0.2.2")
    assert passes(banned, web, (PBX[0], 8080))
    wide = type(guard.nft)(Layout(scope="all"), now)
    wide.install()
    wide.close()
    assert not arrives(banned, web, (PBX[0], 8080))


@with_layout("guard", [Layout(scope="except", spared=(22, 2222))], indirect=True)
def test_a_ban_of_all_but_named_ports_leaves_an_operators_session_alone(joined: Cable, guard: Guard) -> None:
    listener = joined.open(joined.pbx, PBX[0], 22, socket.SOCK_STREAM)
    listener.listen()
    web, pbx = joined.open(joined.pbx, PBX[0], 8080), joined.open(joined.pbx, *PBX)
    banned = joined.open(joined.stranger, "192.0.2.2")
    session = joined.open(joined.stranger, "192.0.2.2", kind=socket.SOCK_STREAM)
    session.connect((PBX[0], 22))
    guard.hold(SetName.BLOCKED, "192.0.2.2")
    session.sendall(b"uptime")
    accepted, _peer = listener.accept()
    with accepted:
        accepted.settimeout(5)
        assert accepted.recv(100) == b"uptime", "what was open stays open"
    second = joined.open(joined.stranger, "192.0.2.2", kind=socket.SOCK_STREAM)
    second.connect((PBX[0], 22))
    assert not arrives(banned, pbx, PBX)
    assert not arrives(banned, web, (PBX[0], 8080))
    assert arrives(banned, joined.open(joined.pbx, PBX[0], 2222), (PBX[0], 2222))
    pinged = ("ip", "netns", "exec", joined.stranger, "ping", "-c1", "-W1", "-I", "192.0.2.2", PBX[0])
    assert subprocess.run(pinged, capture_output=True, check=False).returncode, "what has no ports is closed too"


@with_layout("guard", [Layout(scope="all", closed=True)], indirect=True)
def test_the_allowed_pass_even_when_they_are_banned_too(joined: Cable, guard: Guard) -> None:
    pbx, friend = joined.open(joined.pbx, *PBX), joined.open(joined.stranger, "192.0.2.2")
    for network in ("192.0.2.2", "192.0.2.0/28"):
        guard.hold(SetName.BLOCKED, network)
    guard.hold(SetName.ALLOWED, "192.0.2.0/30")
    assert passes(friend, pbx, PBX)
    pbx6, friend6 = joined.open(joined.pbx, *PBX6), joined.open(joined.stranger, "2001:db8::2")
    guard.hold(SetName.BLOCKED, "2001:db8::/64")
    assert not arrives(friend6, pbx6, PBX6, seconds=1.5)
    guard.hold(SetName.ALLOWED, "2001:db8::2")
    assert arrives(friend6, pbx6, PBX6, seconds=3)


@with_layout("guard", [Layout(scope="all")], indirect=True)
def test_neighbours_are_still_found_when_their_whole_64_is_banned(joined: Cable, guard: Guard) -> None:
    guard.hold(SetName.BLOCKED, "2001:db8::/64")
    pbx, far = joined.open(joined.pbx, *PBX6), joined.open(joined.stranger, "2001:db8::2", 7000)
    assert not arrives(far, pbx, PBX6, seconds=1.5)
    run("ip", "-n", joined.pbx, "neigh", "flush", "dev", "v0")
    assert arrives(pbx, far, ("2001:db8::2", 7000), seconds=3), "the banned still answer solicitations"


def test_changing_addresses_within_a_64_does_not_escape_its_ban(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX6)
    guard.hold(SetName.BLOCKED, "2001:db8::/64")
    for last in ("2", "beef", "1:2:3:4"):
        if last != "2":
            run("ip", "-n", joined.stranger, "addr", "add", f"2001:db8::{last}/64", "dev", "v0", "nodad")
        assert not arrives(joined.open(joined.stranger, f"2001:db8::{last}"), pbx, PBX6, seconds=1.5)
    assert guard.count("dropped") == 3


def test_fragments_do_not_pass_a_ban_and_reach_the_tap_whole(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    near, banned = joined.open(joined.stranger, "192.0.2.3"), joined.open(joined.stranger, "192.0.2.2")
    long = b"INVITE sip:100@192.0.2.1 SIP/2.0\r\n" + b"x" * 6_000
    assert passes(near, pbx, PBX, long)
    frames = guard.frames(1)
    assert [frame.packet[28:] for frame in frames] == [long]
    guard.hold(SetName.BLOCKED, "192.0.2.2")
    assert not arrives(banned, pbx, PBX, long)
    assert guard.tap.read(10) == []


def test_the_tap_tells_both_directions_apart_and_never_shows_the_banned(joined: Cable, guard: Guard) -> None:
    pbx, far = joined.open(joined.pbx, *PBX), joined.open(joined.stranger, "192.0.2.2", 5062)
    assert passes(far, pbx, PBX, b"question")
    assert passes(pbx, far, ("192.0.2.2", 5062), b"answer")
    frames = guard.frames(2)
    assert [(frame.hook, frame.packet[28:]) for frame in frames] == [
        (Hook.PREROUTING, b"question"),
        (Hook.OUTPUT, b"answer"),
    ]
    guard.hold(SetName.BLOCKED, "192.0.2.2")
    assert not arrives(far, pbx, PBX)
    assert guard.tap.read(10) == []


def test_broadcast_reaches_the_pbx_and_therefore_the_tap(joined: Cable, guard: Guard) -> None:
    pbx, far = joined.open(joined.pbx, "0.0.0.0", 5060), joined.open(joined.stranger, "192.0.2.2")
    far.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    assert passes(far, pbx, ("192.0.2.255", 5060), b"guess")
    assert [frame.packet[28:] for frame in guard.frames(1)] == [b"guess"]


def test_what_the_pbx_sends_to_a_foreign_sip_port_and_its_answer_are_seen(joined: Cable, guard: Guard) -> None:
    pbx, trunk = joined.open(joined.pbx, PBX[0], 40_000), joined.open(joined.stranger, "192.0.2.2", 5060)
    assert passes(pbx, trunk, ("192.0.2.2", 5060), b"out")
    assert passes(trunk, pbx, (PBX[0], 40_000), b"in")
    assert [frame.hook for frame in guard.frames(2)] == [Hook.OUTPUT, Hook.PREROUTING]


def test_what_the_guard_itself_sends_is_not_seen(joined: Cable, guard: Guard) -> None:
    pbx, far = joined.open(joined.pbx, *PBX), joined.open(joined.stranger, "192.0.2.2", 5060)
    pbx.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, Layout().mark)
    assert passes(pbx, far, ("192.0.2.2", 5060))
    assert guard.tap.read(10) == []


def test_of_tcp_the_tap_shows_the_handshake_and_what_follows_it_and_no_bare_syn(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX, kind=socket.SOCK_STREAM)
    pbx.listen()
    far = joined.open(joined.stranger, "192.0.2.2", kind=socket.SOCK_STREAM)
    far.connect(PBX)
    accepted, _address = pbx.accept()
    joined.sockets.append(accepted)
    far.sendall(b"OPTIONS")
    assert accepted.recv(100) == b"OPTIONS"
    frames = guard.frames(4)
    flags = [(frame.hook, frame.packet[33] & 0x12) for frame in frames]
    assert flags[0] == (Hook.OUTPUT, 0x12), "the PBX's own SYN-ACK comes first, the SYN is not shown"
    assert any(frame.hook is Hook.PREROUTING and frame.packet.endswith(b"OPTIONS") for frame in frames)


def test_tcp_data_without_a_handshake_is_not_shown(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX, kind=socket.SOCK_STREAM)
    pbx.listen()
    with inside(joined.stranger):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    joined.sockets.append(raw)
    for flags in (0x18, 0x10, 0x02):
        raw.sendto(segment("192.0.2.2", PBX[0], flags, b"REGISTER sip:x SIP/2.0\r\n\r\n"), (PBX[0], 0))
    far = joined.open(joined.stranger, "192.0.2.3", 5062)
    far.sendto(b"last", PBX)
    found: list[Frame] = []

    def last_came() -> bool:
        found.extend(guard.tap.read(10))
        return any(b"last" in one.packet for one in found)

    assert wait_for(last_came)
    assert not any(b"REGISTER" in frame.packet for frame in found)


def segment(source: str, target: str, flags: int, data: bytes) -> bytes:
    """Build one TCP segment from port 4444 to 5060 with a good checksum (RFC 9293 section 3.1)."""
    head = struct.pack("!HHIIBBHHH", 4444, 5060, 1000, 2000, 5 << 4, flags, 1024, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(head) + len(data))
    padded = pseudo + head + data + b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~(total + (total >> 16)) & 0xFFFF
    return head[:16] + struct.pack("!H", total) + head[18:] + data


@with_layout("guard", [Layout(closed=True)], indirect=True)
def test_closed_lets_in_the_allowed_and_the_answers_to_the_pbx_and_nobody_else(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    far, friend = joined.open(joined.stranger, "192.0.2.2", 5060), joined.open(joined.stranger, "192.0.2.3", 5060)
    guard.hold(SetName.ALLOWED, "192.0.2.3")
    assert not arrives(far, pbx, PBX)
    assert guard.count("closed") == 1
    assert guard.tap.read(10) == []
    assert passes(friend, pbx, PBX)
    assert passes(pbx, far, ("192.0.2.2", 5060))
    assert passes(far, pbx, PBX, b"answer")
    other = joined.open(joined.stranger, "192.0.2.2", 5061)
    assert not arrives(other, pbx, PBX)


@with_layout("guard", [Layout(observe=True, closed=True, scope="all")], indirect=True)
def test_observing_touches_no_packet_and_still_sees_all(joined: Cable, guard: Guard) -> None:
    pbx, far = joined.open(joined.pbx, *PBX), joined.open(joined.stranger, "192.0.2.2")
    guard.hold(SetName.BLOCKED, "192.0.2.2")
    guard.hold(SetName.THROTTLED, "192.0.2.2")
    assert all(arrives(far, pbx, PBX, b"%d" % number, seconds=10) for number in range(30))
    assert len(guard.frames(30)) == 30


def test_a_throttle_is_a_rate_for_its_source_alone_and_never_for_the_trusted(joined: Cable, guard: Guard) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    for last in (2, 3):
        guard.hold(SetName.THROTTLED, f"192.0.2.{last}")
    guard.hold(SetName.TRUSTED, "192.0.2.3")
    for last, expected in ((2, range(10, 13)), (3, range(60, 61)), (4, range(60, 61))):
        sender = joined.open(joined.stranger, f"192.0.2.{last}")
        for _number in range(60):
            sender.sendto(b"x", PBX)
        arrived = 0
        pbx.settimeout(0.1)
        try:
            while pbx.recv(100):
                arrived += 1
        except TimeoutError:
            pass
        assert arrived in expected


@with_layout("guard", [Layout(tap_rate=20, tap_each=5)], indirect=True)
def test_a_flood_of_strangers_hides_neither_the_trusted_nor_the_watched_and_what_is_not_copied_is_counted(
    joined: Cable, guard: Guard
) -> None:
    joined.open(joined.pbx, *PBX)
    guard.hold(SetName.TRUSTED, "192.0.2.8")
    guard.hold(SetName.WATCHED, "192.0.2.9")
    for last in range(2, 8):
        sender = joined.open(joined.stranger, f"192.0.2.{last}")
        for _number in range(20):
            sender.sendto(b"flood", PBX)
    for last, name in ((8, b"trusted"), (9, b"watched")):
        joined.open(joined.stranger, f"192.0.2.{last}").sendto(name, PBX)
    shown = [frame.packet[28:] for frame in guard.frames(22)]
    assert {b"trusted", b"watched"} <= set(shown)
    assert shown.count(b"flood") + guard.count("tap_lost") == 120
    assert 20 <= shown.count(b"flood") <= 26


def test_opening_all_lets_the_banned_in_again(joined: Cable, guard: Guard) -> None:
    pbx, far = joined.open(joined.pbx, *PBX), joined.open(joined.stranger, "192.0.2.2")
    guard.hold(SetName.BLOCKED, "192.0.2.2")
    assert not arrives(far, pbx, PBX)
    panic_off()
    assert passes(far, pbx, PBX)
    panic_off()
