"""Packets that are held: what the engine says of each, and what the PBX behind the gate reads of a TCP stream."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

from sipguard.model import Frame, Hook, Origin, Verdict, VerdictKind
from sipguard.sip.framing import Framer
from sipguard.wire.rewrite import checksum
from tests.engine.story import PBX, Story, ip, udp

SYN, ACK, PSH = 0x02, 0x10, 0x08


def tcp(source: str, sport: int, target: str, dport: int, seq: int, ack: int, flags: int, payload: bytes) -> bytes:
    """Build an IP packet around a TCP segment, with a right checksum."""
    header = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 65_535, 0, 0)
    packet = ip(6, source, target, header + payload)
    if packet[0] >> 4 == 4:
        pseudo = packet[12:20] + struct.pack("!BBH", 0, 6, len(header) + len(payload))
        head = packet[:10] + struct.pack("!H", checksum(packet[:20])) + packet[12:20]
        at = 20
    else:
        pseudo = packet[8:40] + struct.pack("!IHBB", len(header) + len(payload), 0, 0, 6)
        head, at = packet[:40], 40
    total = checksum(pseudo + packet[at:])
    return head + packet[at : at + 16] + struct.pack("!H", total) + packet[at + 18 :]


def verdict(story: Story, packet: bytes, hook: Hook = Hook.PREROUTING) -> Verdict:
    """Hold a packet at the gate: it has exactly one verdict, the last of what is said."""
    story.now += 1_000_000
    said = story.tell(Frame(packet, hook, Origin.GATE, 7))
    verdicts = [each for each in said if isinstance(each, Verdict)]
    assert len(verdicts) == 1
    assert said[-1] is verdicts[0]
    return verdicts[0]


def asked(story: Story, source: str, text: bytes, port: int = 5062) -> VerdictKind:
    """Hold a datagram for the PBX."""
    return verdict(story, udp(source, port, PBX, 5060, text)).kind


class Wire:
    """A TCP connection through the gate: a client that repeats what is not acknowledged, and a PBX that reads in order.

    `read` are the messages that the PBX has read. Nothing is lost but what the gate keeps back.
    """

    def __init__(self, story: Story, source: str = "203.0.113.66", port: int = 40_000) -> None:
        self.story = story
        self.ends = (source, port, PBX, 5060)
        self.first = 1_000
        self.stream = b""
        self.taken = b""  # by the PBX, in order
        self._early: dict[int, bytes] = {}
        self._framer = Framer()
        self.read: list[bytes] = []
        self.kinds: list[VerdictKind] = []
        back = (*self.ends[2:], *self.ends[:2])
        story.tell(Frame(tcp(*back, 8_999, self.first, SYN | ACK, b""), Hook.OUTPUT, Origin.TAP))

    def send(self, begin: int, end: int, data: bytes | None = None) -> Verdict:
        """Send a part of the stream, by its offsets; the PBX acknowledges whatever it could take."""
        payload = self.stream[begin:end] if data is None else data
        said = verdict(self.story, tcp(*self.ends, self.first + begin, 9_000, ACK | PSH, payload))
        self.kinds.append(said.kind)
        if said.kind in {VerdictKind.ACCEPT, VerdictKind.MASK}:
            self._take(begin, payload if said.packet is None else _checked(said.packet))
        return said

    def _take(self, begin: int, data: bytes) -> None:
        self._early[begin] = max(self._early.get(begin, b""), data, key=len)
        moved = True
        while moved:
            moved = False
            for at, piece in sorted(self._early.items()):
                if at <= len(self.taken) < at + len(piece):
                    fresh = piece[len(self.taken) - at :]
                    self.taken += fresh
                    self.read += self._framer.feed(fresh)
                    moved = True
        back = (*self.ends[2:], *self.ends[:2])
        packet = tcp(*back, 9_000, self.first + len(self.taken), ACK, b"")
        self.story.tell(Frame(packet, Hook.OUTPUT, Origin.TAP))

    def all(self, cuts: list[int], rounds: int = 4) -> Iterator[Verdict]:
        """Send the stream in segments cut there, then again what was not acknowledged, so many times."""
        edges = sorted({0, len(self.stream), *(cut % (len(self.stream) + 1) for cut in cuts)})
        for _ in range(rounds):
            for begin, end in itertools.pairwise(edges):
                if end > len(self.taken):
                    yield self.send(max(begin, len(self.taken)), end)


def _checked(packet: bytes) -> bytes:
    """Give the TCP payload of a packet whose checksums are right."""
    assert checksum(packet[:20]) == 0
    assert int.from_bytes(packet[2:4]) == len(packet)
    assert checksum(packet[12:20] + struct.pack("!BBH", 0, 6, len(packet) - 20) + packet[20:]) == 0
    return packet[40:]


def text(method: str, number: int, *, user: str = "1001", nonce: str = "", more: str = "", body: str = "") -> bytes:
    """Write a request, with a wrong credential when a nonce is given."""
    lines = [
        f"{method} sip:{'2000@' if method == 'INVITE' else ''}{PBX} SIP/2.0",
        f"Via: SIP/2.0/TCP 203.0.113.66:40000;branch=z9hG4bK{method}{number};rport",
        f"From: <sip:{user}@{PBX}>;tag=f{number}",
        f"To: <sip:{user}@{PBX}>",
        f"Call-ID: {method}-{number}",
        f"CSeq: {number + 1} {method}",
        "Max-Forwards: 70",
    ]
    if nonce:
        name = "Proxy-Authorization" if method == "INVITE" else "Authorization"
        lines.append(
            f'{name}: Digest username="{user}", realm="pbx", nonce="{nonce}", uri="sip:{PBX}", response="{number:032x}"'
        )
    if more:
        lines.append(more)
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]) + body).encode()
