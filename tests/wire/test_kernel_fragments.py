"""What a program on this host's kernel reads from overlapping fragments is what `Fragments` reads."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
from itertools import pairwise

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, in6_chksum
from scapy.packet import Packet, Raw

from tests.wire.kernel import CLIENT, CLIENT6, SERVER, SERVER6, Wire

pytestmark = pytest.mark.root
SIZE = 64


def datagram() -> bytes:
    """Give a UDP header over text, with no checksum, which IPv4 permits."""
    return struct.pack("!HHHH", 40000, 5060, SIZE, 0) + b"." * (SIZE - 8)


def fragment4(ident: int, start: int, data: bytes, *, more: bool) -> Packet:
    return IP(src=CLIENT, dst=SERVER, id=ident, proto=17, frag=start // 8, flags="MF" if more else 0) / Raw(data)


def fragment6(ident: int, start: int, data: bytes, *, more: bool) -> Packet:
    header = IPv6ExtHdrFragment(nh=17, id=ident, offset=start // 8, m=int(more))
    return IPv6(src=CLIENT6, dst=SERVER6) / header / Raw(data)


def pieces(choose: random.Random, text: bytes) -> list[tuple[int, bytes, bool]]:
    """Cut a datagram; repeat, shift and lengthen some pieces, and shuffle."""
    cuts = sorted({0, *choose.sample(range(8, SIZE, 8), choose.randrange(1, 5)), SIZE})
    found = [(start, text[start:end], end < SIZE) for start, end in pairwise(cuts)]
    if choose.random() < 0.7:
        start = choose.randrange(0, SIZE, 8)
        end = min(SIZE, start + choose.choice([8, 16, 24]))
        found.insert(choose.randrange(len(found) + 1), (start, text[start:end], end < SIZE))
    if choose.random() < 0.7:
        choose.shuffle(found)
    return found


def received(wire: Wire, listener: socket.socket, version: int, number: int) -> list[bytes]:
    """Give what was delivered before a whole datagram that is sent last: a busy kernel takes its time, or loses it."""
    last = IP(src=CLIENT, dst=SERVER) if version == 4 else IPv6(src=CLIENT6, dst=SERVER6)
    mark = b"last %d" % number
    found: list[bytes] = []
    for _ in range(60):
        os.write(wire.device, bytes(last / UDP(sport=5070, dport=5060) / mark))
        with contextlib.suppress(TimeoutError):
            while (one := listener.recv(65536)) != mark:
                found.append(one)
            return [each for each in found if not each.startswith(b"last ")]
    raise TimeoutError("the kernel delivers nothing")


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_are_put_together_or_thrown_away_as_linux_does(wire: Wire, version: int) -> None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    text = datagram()
    if version == 6:  # IPv6 wants the checksum, which needs the last fragment's text too
        checksum = in6_chksum(17, IPv6(src=CLIENT6, dst=SERVER6), text)  # type: ignore[no-untyped-call]
        text = text[:6] + struct.pack("!H", checksum) + text[8:]
    outcomes = set()
    with socket.socket(family, socket.SOCK_DGRAM) as listener:
        listener.bind((SERVER if version == 4 else SERVER6, 5060))
        listener.settimeout(1)
        received(wire, listener, version, 300)  # a new address is not delivered to at once
        for seed in range(300):
            wire.renew()
            make = fragment4 if version == 4 else fragment6
            for start, data, more in pieces(random.Random(seed), text):
                wire.send(make(seed + 1, start, data, more=more))
            wire.answers(0)
            read = received(wire, listener, version, seed)
            outcomes.add(len(read))
            assert wire.datagrams == read, seed
    assert outcomes >= {0, 1}
