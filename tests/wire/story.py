"""Two TCP ends in a story: segments with the right numbers, and what `Streams` made of them."""

from __future__ import annotations

from collections.abc import Sequence

from sipguard.model import Instant
from sipguard.wire.l4 import ACK, FIN, RST, SYN, Segment
from sipguard.wire.stream import Delivery, Flow, Streams

MASK = 0xFFFFFFFF
CLIENT = bytes([203, 0, 113, 9])
SERVER = bytes([192, 0, 2, 5])


class Story:
    """A client and a server; every method feeds one segment and keeps what came of it."""

    def __init__(
        self,
        streams: Streams | None = None,
        *,
        client: bytes = CLIENT,
        port: int = 40000,
        client_seq: int = 1000,
        server_seq: int = 9000,
    ) -> None:
        self.streams = Streams() if streams is None else streams
        self.client = (client, port)
        self.server = (SERVER, 5060)
        self.sent = client_seq
        self.answered = server_seq
        self.at: Instant = 0
        self.found: list[Delivery] = []
        self.last: Sequence[Delivery] = ()

    def feed(self, segment: Segment) -> Sequence[Delivery]:
        """Feed any segment."""
        self.at += 1000
        self.last = self.streams.feed(self.at, segment)
        self.found += self.last
        return self.last

    def from_client(
        self, payload: bytes = b"", flags: int = ACK, *, seq: int | None = None, ack: int | None = None, urgent: int = 0
    ) -> Sequence[Delivery]:
        """Send from the client; without `seq`, the next in order."""
        number = self.sent if seq is None else seq & MASK
        if seq is None:
            self.sent = (self.sent + len(payload) + bool(flags & (SYN | FIN))) & MASK
        acked = self.answered if ack is None else ack & MASK
        return self.feed(Segment(*self.client, *self.server, number, acked, flags, payload, urgent))

    def from_server(
        self, payload: bytes = b"", flags: int = ACK, *, seq: int | None = None, ack: int | None = None
    ) -> Sequence[Delivery]:
        """Send from the server; without `seq`, the next in order; it acknowledges all that was sent in order."""
        number = self.answered if seq is None else seq & MASK
        if seq is None:
            self.answered = (self.answered + len(payload) + bool(flags & (SYN | FIN))) & MASK
        acked = self.sent if ack is None else ack & MASK
        return self.feed(Segment(*self.server, *self.client, number, acked, flags, payload))

    def handshake(self) -> Story:
        """Open the connection."""
        self.from_client(flags=SYN, ack=0)
        self.from_server(flags=SYN | ACK)
        self.from_client()
        return self

    def reset_from_client(self, *, seq: int | None = None) -> None:
        """Send a reset, by default at exactly the next number."""
        self.from_client(flags=RST, seq=self.sent if seq is None else seq)

    @property
    def flow(self) -> Flow:
        """The flow between the two."""
        return self.streams._entries[(*self.client, *self.server)][0]

    def heard(self, *, to_server: bool = True) -> bytes:
        """Give all bytes of one direction, joined, as delivered."""
        return b"".join([each.data for each in self.found if each.to_server == to_server])

    def pieces(self) -> list[tuple[bytes, bool]]:
        """Give what was delivered to the server: (bytes, gap)."""
        return [(each.data, each.gap) for each in self.found if each.to_server]
