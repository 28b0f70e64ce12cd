"""What goes to this host's kernel through a TUN device, and to `wire/` at the same time."""

from __future__ import annotations

import os
import select
import socket
import struct
from itertools import count

from scapy.layers.inet import IP, TCP
from scapy.packet import Packet, Raw

from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Datagram, Segment, decode
from sipguard.wire.stream import Flow, Streams

SERVER = "192.0.2.1"
CLIENT = "192.0.2.9"
SERVER6 = "2001:db8::1"
CLIENT6 = "2001:db8::9"
FIRST = 1000
"""The sequence number of a client's first byte."""


class Wire:
    """The network behind a TUN device: what is sent comes to the kernel, and into `wire/` as well."""

    def __init__(self, device: int) -> None:
        self.device = device
        self.ports = count(40000)
        self.datagrams: list[bytes] = []
        self.texts: list[tuple[bytes, bool]] = []
        self.flow: Flow | None = None
        self.renew()

    def renew(self) -> None:
        """Forget what `wire/` has seen."""
        self.streams = Streams()
        self.fragments = Fragments()
        self.datagrams.clear()
        self.texts.clear()
        self.flow = None

    def see(self, packet: bytes) -> None:
        """Show a packet to `wire/`."""
        found = decode(0, packet, self.fragments)
        if isinstance(found, Datagram):
            self.datagrams.append(found.payload)
        elif isinstance(found, Segment):
            delivered = self.streams.feed(0, found)
            self.texts += [(each.data, each.gap) for each in delivered if each.to_server]
            entry = self.streams._entries.get((found.src, found.sport, found.dst, found.dport))
            self.flow = entry[0] if entry else None

    def send(self, packet: Packet) -> None:
        """Send a packet to the kernel."""
        data = bytes(packet)
        self.see(data)
        os.write(self.device, data)

    def answers(self, seconds: float) -> list[bytes]:
        """Give what the kernel sends until it has been silent for so long."""
        found = []
        while select.select([self.device], [], [], seconds)[0]:
            packet = os.read(self.device, 65536)
            self.see(packet)
            found.append(packet)
        return found

    def heard(self) -> bytes:
        """Give all that was delivered to the server, joined."""
        return b"".join([data for data, _ in self.texts])


class Talk:
    """One TCP connection from the test to a program on the kernel's side."""

    def __init__(self, wire: Wire, *, timestamps: bool = False) -> None:
        self.wire = wire
        self.port = next(wire.ports)
        self.timestamps = timestamps
        self.stamp = 0
        self.acked = 0
        self.listener = socket.create_server((SERVER, 5060))
        self.listener.settimeout(10)
        self.say(FIRST - 1, b"", "S", silence=0)
        answer = self.answer()
        self.acked = answer[TCP].seq + 1
        if timestamps:
            self.stamp = dict(answer[TCP].options)["Timestamp"][0]
        self.say(FIRST, b"")
        self.socket, _ = self.listener.accept()
        self.socket.settimeout(10)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def answer(self) -> Packet:
        """Give the first packet from the kernel on this connection."""
        while select.select([self.wire.device], [], [], 10)[0]:
            packet = os.read(self.wire.device, 65536)
            self.wire.see(packet)
            read = IP(packet)
            if TCP in read and read[TCP].dport == self.port:
                return read
        raise TimeoutError("the kernel does not answer")

    def say(
        self,
        seq: int,
        data: bytes,
        flags: str = "A",
        *,
        value: int = 100_000,
        urgent: int = 0,
        ack: int | None = None,
        silence: float = 0.002,
    ) -> None:
        """Send a segment, then show `wire/` what the kernel answers."""
        options = [("Timestamp", (value, self.stamp))] if self.timestamps else []
        header = TCP(
            sport=self.port,
            dport=5060,
            seq=seq,
            ack=self.acked if ack is None else ack,
            flags=flags,
            window=65000,
            urgptr=urgent,
            options=options,
        )
        self.wire.send(IP(src=CLIENT, dst=SERVER) / header / Raw(data))
        if silence:
            self.wire.answers(silence)

    def read(self) -> bytes:
        """Give all that the kernel hands to the program, up to the end that the client has sent."""
        found = b""
        while piece := self.socket.recv(65536):
            found += piece
        return found

    def close(self) -> None:
        """End both sides at once."""
        self.socket.close()
        self.listener.close()
        self.wire.answers(0.002)
