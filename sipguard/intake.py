"""Frames to messages: the one place that joins `wire` and `sip`. Pure, total: any frame gives a sequence, maybe empty.

Datagrams become messages one to one; TCP segments are put in order per connection and cut into messages by
Content-Length. Nothing is decided here, except what is not for us: ports that are not SIP's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipguard.address import Address
from sipguard.model import Frame, Hook, Instant, Transport
from sipguard.sip.framing import Framer
from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.sip.parser import parse
from sipguard.wire.flow import Flow
from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Segment, decode
from sipguard.wire.stream import Streams

_NOTHING: tuple[Heard, ...] = ()
_UNKNOWN = Hook.UNKNOWN


class Heard:
    """One message as it went over the wire, from `source` to `target`; `flow` is its TCP connection, None on UDP."""

    __slots__ = ("flow", "hook", "message", "source", "source_port", "target", "target_port")

    def __init__(
        self,
        source: Address,
        source_port: int,
        target: Address,
        target_port: int,
        message: SipRequest | SipResponse | Unparsable,
        hook: Hook,
        flow: Flow | None,
    ) -> None:
        self.source = source
        self.source_port = source_port
        self.target = target
        self.target_port = target_port
        self.message = message
        self.hook = hook
        self.flow = flow

    @property
    def transport(self) -> Transport:
        """Tell what carried it."""
        return Transport.UDP if self.flow is None else Transport.TCP


class Intake:
    """Reads frames; holds what is needed to put packets together again, each part within its own budget.

    `shut` is asked for every packet of a SIP port whether its source is shut out; such packets are counted and left
    unread, as the kernel drops them before anybody could read them.
    """

    __slots__ = ("_fragments", "_ports", "_shut", "_streams", "messages", "other_ports", "shut_out")

    def __init__(self, ports: Sequence[int], shut: Callable[[Address, Hook, bytes], bool]) -> None:
        self._ports = frozenset(ports)
        self._fragments = Fragments()
        self._streams = Streams(server_ports=self._ports)
        self._shut = shut
        self.messages = 0
        self.other_ports = 0
        self.shut_out = 0

    def listen(self, ports: Sequence[int]) -> None:
        """Read these ports from now on; connections already known stay known."""
        self._ports = frozenset(ports)
        self._streams.listen(self._ports)

    def read(self, at: Instant, frame: Frame) -> Sequence[Heard]:
        """Give the messages that this frame completes, in the order of their bytes."""
        # A live tunnel ends where the kernel ends it, and comes here again. Read inside it, one packet of a stranger
        # could hold both sides of a conversation; but in a recording a tunnel may be all there is.
        packet = decode(at, frame.packet, self._fragments, tunnels=frame.hook is _UNKNOWN)
        if packet is None:
            return _NOTHING
        if packet.dport not in self._ports and packet.sport not in self._ports:
            self.other_ports += 1
            return _NOTHING
        if self._shut(packet.src, frame.hook, packet.payload):
            self.shut_out += 1
            return _NOTHING
        if type(packet) is Segment:
            return self._read_stream(at, packet, frame.hook)
        self.messages += 1
        message = parse(packet.payload)
        return (Heard(packet.src, packet.sport, packet.dst, packet.dport, message, frame.hook, None),)

    def _read_stream(self, at: Instant, segment: Segment, hook: Hook) -> Sequence[Heard]:
        found: list[Heard] = []
        for delivery in self._streams.feed(at, segment):
            flow = delivery.flow
            if delivery.to_server:
                source, target, state = flow.client, flow.server, flow.client_state
            else:
                source, target, state = flow.server, flow.client, flow.server_state
            if isinstance(state, Framer):
                framer = state
            else:
                framer = Framer()
                if delivery.to_server:
                    flow.client_state = framer
                else:
                    flow.server_state = framer
            if delivery.gap:
                framer.gap()
            for raw in framer.feed(delivery.data):
                self.messages += 1
                found.append(Heard(*source, *target, parse(raw), hook, flow))
        return found

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        return {"messages": self.messages, "other_ports": self.other_ports, "shut_out": self.shut_out}
