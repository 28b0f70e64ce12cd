"""Frames to messages: the one place that joins `wire` and `sip`. Pure, total: any frame gives a sequence, maybe empty.

Datagrams become messages one to one; TCP segments are put in order per connection and cut into messages by
Content-Length, unless both sides speak TLS: of such a connection only its beginning and end are told. Nothing is
decided here, except what is not for us: ports that are not SIP's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipguard.address import Address, sender_key
from sipguard.model import Frame, Hook, Instant, Transport
from sipguard.sip.framing import Framer
from sipguard.sip.message import SipRequest, SipResponse, Unparsable
from sipguard.sip.parser import parse
from sipguard.table import Table, neighbourhood
from sipguard.wire import tls
from sipguard.wire.flow import Delivery, Flow
from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import Datagram, Segment, decode
from sipguard.wire.stream import Streams

_NOTHING: tuple[Heard | Passage, ...] = ()
_UNKNOWN = Hook.UNKNOWN
_TORN_MOST = 10_000
_OTHER_WAY = {Hook.OUTPUT: Hook.PREROUTING, Hook.PREROUTING: Hook.OUTPUT, Hook.INPUT: Hook.OUTPUT}


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


class Passage:
    """A TCP connection got past its handshake and its client spoke (`opened`), or one that did so has ended.

    `tls`: the client began as TLS does; at the end, nothing that the server said speaks against it.
    """

    __slots__ = ("flow", "opened", "tls")

    def __init__(self, flow: Flow, *, opened: bool, tls: bool) -> None:
        self.flow = flow
        self.opened = opened
        self.tls = tls


class Intake:
    """Reads frames; holds what is needed to put packets together again, each part within its own budget.

    `shut` is asked for every packet of a SIP port whether its source is shut out; such packets are counted and left
    unread, as the kernel drops them before anybody could read them.
    """

    __slots__ = ("_ended", "_fragments", "_ports", "_shut", "_streams", "_torn", "messages", "other_ports", "shut_out")

    def __init__(self, ports: Sequence[int], shut: Callable[[Address, Hook, bytes], bool]) -> None:
        self._ports = frozenset(ports)
        self._fragments = Fragments()
        self._streams = Streams(server_ports=self._ports)
        self._ended = self._streams.ended
        self._shut = shut
        self._torn: Table[bytes, None] = Table(_TORN_MOST, _TORN_MOST // 8, neighbourhood)
        self.messages = 0
        self.other_ports = 0
        self.shut_out = 0

    def listen(self, ports: Sequence[int]) -> None:
        """Read these ports from now on; connections already known stay known."""
        self._ports = frozenset(ports)
        self._streams.listen(self._ports)

    def read(self, at: Instant, frame: Frame) -> Sequence[Heard | Passage]:
        """Give the messages that this frame completes, in the order of their bytes, and the connections it ends."""
        packet = self.unpack(at, frame)
        if packet is None:
            return _NOTHING
        return (self.datagram(packet, frame.hook),) if type(packet) is Datagram else self.take(at, packet, frame.hook)

    @property
    def streams(self) -> Streams:
        """The TCP connections."""
        return self._streams

    def unpack(self, at: Instant, frame: Frame) -> Datagram | Segment | None:
        """Give what a frame carries to or from a SIP port, if its sender is not shut out."""
        # A live tunnel ends where the kernel ends it, and comes here again. Read inside it, one packet of a stranger
        # could hold both sides of a conversation; but in a recording a tunnel may be all there is.
        hook = frame.hook
        packet = decode(at, frame.packet, self._fragments, tunnels=hook is _UNKNOWN)
        if packet is None:
            return None
        ports = self._ports
        if packet.dport not in ports and packet.sport not in ports:
            self.other_ports += 1
            return None
        if self._shut(packet.src, hook, packet.payload):
            self.shut_out += 1
            return None
        return packet

    def torn(self, source: Address) -> bool:
        """Tell whether a connection of this sender was forgotten in the midst of a message, whose rest may still come.

        Nobody could read that rest. Whoever opens connections enough has his own forgotten when he likes.
        """
        return sender_key(source) in self._torn

    def take(self, at: Instant, packet: Datagram | Segment, hook: Hook) -> Sequence[Heard | Passage]:
        """Read what was unpacked."""
        if isinstance(packet, Segment):
            return self._read_stream(at, packet, hook)
        return (self.datagram(packet, hook),)

    def datagram(self, packet: Datagram, hook: Hook) -> Heard:
        """Read the one message in a datagram."""
        self.messages += 1
        return Heard(packet.src, packet.sport, packet.dst, packet.dport, parse(packet.payload), hook, None)

    def _read_stream(self, at: Instant, segment: Segment, hook: Hook) -> Sequence[Heard | Passage]:
        found: list[Heard | Passage] = []
        for delivery in self._streams.feed(at, segment):
            if delivery.to_server:
                self._from_client(delivery, hook, found)
            else:
                self._from_server(delivery, hook, found)
            waiting = _waiting(delivery.flow)
            if waiting != delivery.flow.amid:
                self._streams.amid(delivery.flow, waiting)
                while self._streams.relieve(delivery.flow):
                    self._take_ended(found)
        self._take_ended(found)
        return found

    def _take_ended(self, found: list[Heard | Passage]) -> None:
        while self._ended:
            flow = self._ended.popleft()
            if _is_amid(flow):
                self._torn.put(sender_key(flow.client[0]), None, flow.client[0])
            if flow.spoken:
                flow.spoken = False
                found.append(Passage(flow, opened=False, tls=type(flow.client_state) is tls.Sealed))

    def _from_client(self, delivery: Delivery, hook: Hook, found: list[Heard | Passage]) -> None:
        flow, data = delivery.flow, delivery.data
        state = flow.client_state
        if state is None:
            may_be_tls = tls.begins(data) and not delivery.gap
            state = flow.client_state = tls.Sealed() if may_be_tls else Framer()
            if flow.handshake and flow.confirmed:
                flow.spoken = True
                found.append(Passage(flow, opened=True, tls=may_be_tls))
        if type(state) is tls.Sealed:
            if state.sure or (not delivery.gap and state.takes(data)):
                return
            state = self._unseal(flow, state, hook, found)
            if not delivery.gap:
                return
        if isinstance(state, Framer):
            if delivery.gap:
                state.gap()
            self._cut(flow, state, data, hook, found, to_server=True)

    def _from_server(self, delivery: Delivery, hook: Hook, found: list[Heard | Passage]) -> None:
        flow, data = delivery.flow, delivery.data
        sealed, state = flow.client_state, flow.server_state
        if type(sealed) is tls.Sealed:
            if sealed.sure or (state is None and not delivery.gap and sealed.answered(data)):
                return
            self._unseal(flow, sealed, _OTHER_WAY.get(hook, hook), found)
        if not isinstance(state, Framer):
            state = flow.server_state = Framer()
        if delivery.gap:
            state.gap()
        self._cut(flow, state, data, hook, found, to_server=False)

    def _unseal(self, flow: Flow, sealed: tls.Sealed, hook: Hook, found: list[Heard | Passage]) -> Framer:
        """Read what was kept while it might have been TLS."""
        framer = flow.client_state = Framer()
        self._cut(flow, framer, sealed.held, hook, found, to_server=True)
        return framer

    def _cut(
        self, flow: Flow, framer: Framer, data: bytes, hook: Hook, found: list[Heard | Passage], *, to_server: bool
    ) -> None:
        source, target = (flow.client, flow.server) if to_server else (flow.server, flow.client)
        for raw in framer.feed(data):
            self.messages += 1
            found.append(Heard(*source, *target, parse(raw), hook, flow))

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        return {
            "messages": self.messages,
            "other_ports": self.other_ports,
            "shut_out": self.shut_out,
            "half_bytes": self._streams.half_bytes,
            "flows_evicted": self._streams.evicted,
            "torn": len(self._torn),
            "torn_evicted": self._torn.evicted,
        }


def _waiting(flow: Flow) -> int:
    """Count the bytes of messages that wait for their rest, in both directions."""
    count = 0
    for state in (flow.client_state, flow.server_state):
        if isinstance(state, Framer):
            count += state.pending
        elif type(state) is tls.Sealed:
            count += len(state.held)
    return count


def _is_amid(flow: Flow) -> bool:
    """Tell whether the client has said a part of something."""
    state = flow.client_state
    begun = state.pending > 0 if isinstance(state, Framer) else isinstance(state, tls.Sealed) and not state.sure
    return begun or bool(flow.inward.pending)
