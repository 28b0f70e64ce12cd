"""What either end of a leg would say to end it, and where that goes: from what is known of the dialog alone.

A message goes to one of the two addresses that the leg's own packets went between, never to one that a header names; to
the far side only where it was shown to be there, or where the PBX has called it. Writing a BYE notes it on the leg, so
that its answer is known when it comes. Time, and what is tried when, stand in `endings.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from sipguard.address import Address, show
from sipguard.model import Injection, Transport
from sipguard.sip.hangup import COOKIE, Party, bye, cancel, route_set, uri_of
from sipguard.sip.uri import parse_uri
from sipguard.track.leg import Leg, LegState
from sipguard.wire.flow import MASK, Flow

End: TypeAlias = tuple[Address, int]


class Words(NamedTuple):
    """A message that one end of a leg would send to the other."""

    leg: Leg
    sender: End
    target: End
    transport: Transport
    payload: bytes


_ANSWERED, _FAILED = LegState.ANSWERED, LegState.FAILED
_UDP, _TCP = Transport.UDP, Transport.TCP
_PORT = 5060
_UNHEARD = 100_000
"""A number to go on from where a leg's own were not heard from its beginning, as after a restart."""
_LONGEST = 8192
_PADDED = 1200
"""Bytes of a BYE in the PBX's name in a connection: more than the PBX itself says meanwhile (an answer, OPTIONS).

For then it takes nothing of what the far side answers, whose numbers acknowledge what the PBX never sent (RFC 9293
section 3.10.7.4), and the number at which it can be reset stays what it was.
"""


def can(leg: Leg, *, by_pbx: bool) -> bool:
    """Tell whether an end of a leg may say something that ends it, and the other may be told.

    Before it is answered only who asked can take it back (CANCEL); who was asked would have to refuse it.
    """
    if leg.state >= _FAILED or (by_pbx and not leg.outgoing and not leg.shown):
        return False
    return leg.state is _ANSWERED or by_pbx == leg.outgoing


def words(leg: Leg, *, by_pbx: bool, stream: bool) -> Words | None:
    """Write what an end of a leg would say, to be sent now or later; None where that cannot be.

    A dialog is the same whatever carries it (RFC 3261 section 12). So a datagram serves for legs over TCP as well, if
    whoever is told listens for datagrams, and the connection is not touched by it. With `stream` it is made for the
    leg's connection.
    """
    flow = leg.flow
    if not can(leg, by_pbx=by_pbx) or (stream and flow is None):
        return None
    ends = (_both(leg) if by_pbx else _both(leg)[::-1]) if stream else _ends(leg, by_pbx=by_pbx)
    if ends is None:
        return None
    transport = _TCP if stream else _UDP
    asks = leg.state is _ANSWERED
    text = _bye(leg, ends[0], by_pbx=by_pbx, transport=transport) if asks else _cancel(leg)
    return None if text is None or len(text) > _LONGEST else Words(leg, ends[0], ends[1], transport, text)


def sent(said: Words, after: Injection | None = None) -> tuple[Injection, ...]:
    """Give what has to be sent now to say it; empty where it goes into a connection that is not as it should be.

    A connection into which something was put is of no use to anybody afterwards: the end in whose name that was does
    not take what acknowledges it. `after`: that was done in the other direction, and this end has got no further since.
    """
    if said.transport is _UDP:
        return (Injection(*said.sender, *said.target, _UDP, said.payload),)
    flow = said.leg.flow
    upto = None if flow is None or flow.closed else _upto(flow, said.sender)
    if after is not None:
        upto = after.acknowledged, after.sequence
    return () if upto is None else (Injection(*said.sender, *said.target, _TCP, said.payload, *upto),)


def resets(leg: Leg, injected: Sequence[Injection]) -> tuple[Injection, ...]:
    """Write resets for both ends of a leg's connection, into which `injected` went.

    A reset counts at exactly the next number that its receiver awaits (RFC 5961 section 3.2). Which that is depends on
    what became of the bytes in flight, so there is one for each number that it may be.
    """
    flow = leg.flow
    if flow is None:
        return ()
    found: dict[tuple[End, int], Injection] = {}
    pbx, far = _both(leg)
    for sender, target in ((far, pbx), (pbx, far)):
        half = flow.inward if sender == flow.client else flow.outward
        awaited = [half.acked, half.next]
        for each in injected:
            if (each.source, each.source_port) == sender:
                awaited += [(each.sequence + len(each.payload)) & MASK, each.sequence]
        for number in awaited:
            if number >= 0:
                found[target, number] = Injection(*sender, *target, _TCP, b"", number)
    return tuple(found.values())


# --- Where from, and where to -----------------------------------------------------------------------------------------


def _both(leg: Leg) -> tuple[End, End]:
    return (leg.pbx, leg.pbx_port), (leg.far, leg.far_port)


def _ends(leg: Leg, *, by_pbx: bool) -> tuple[End, End] | None:
    """Give between which ports a datagram goes; None where nobody is known to listen for it."""
    pbx, far = _both(leg)
    flow = leg.flow
    if flow is None:
        return (pbx, far) if by_pbx else (far, pbx)
    listens = flow.server == (far if by_pbx else pbx)
    if by_pbx:
        return ((leg.pbx, _port_of(leg)), far) if listens else None
    return far, (pbx if listens else (leg.pbx, _port_of(leg)))


def _port_of(leg: Leg) -> int:
    """Give the port where the PBX says it listens."""
    if leg.flow is not None and leg.flow.server == (leg.pbx, leg.pbx_port):
        return leg.pbx_port
    uri = parse_uri(uri_of(leg.pbx_contact))
    return uri.port if uri is not None and uri.port else _PORT


def _upto(flow: Flow, sender: End) -> tuple[int, int] | None:
    """Give an end's next number and what it has acknowledged; None where bytes are missing."""
    mine, theirs = (flow.inward, flow.outward) if sender == flow.client else (flow.outward, flow.inward)
    if mine.next < 0 or theirs.next < 0 or mine.pending or theirs.pending or mine.fin or theirs.fin:
        return None
    return mine.next, theirs.next


# --- What is said -----------------------------------------------------------------------------------------------------


def _cancel(leg: Leg) -> bytes | None:
    """Take back the INVITE asked last: known by its own branch (RFC 3261 section 9.1)."""
    if not leg.pending:
        return None
    asker, asked = Party(leg.from_value, leg.tag), Party(leg.to_value, b"")
    return cancel(leg.uri, leg.via, asker, asked, leg.call_id, leg.pending[-1][1])


def _bye(leg: Leg, sender: End, *, by_pbx: bool, transport: Transport) -> bytes | None:
    """Say BYE as one end would, with a number above its last one."""
    asker, answerer = Party(leg.from_value, leg.tag), Party(leg.to_value, leg.other)
    asks = by_pbx == leg.outgoing
    contact, last = (leg.far_contact, leg.pbx_cseq) if by_pbx else (leg.pbx_contact, leg.far_cseq)
    cseq = max(last, 0) + 1 + (0 if leg.seen else _UNHEARD)
    place = _host(leg.far if by_pbx else leg.pbx) + b":%d" % (leg.far_port if by_pbx else leg.pbx_port)
    routes = _routes(leg, by_pbx=by_pbx, asks=asks)
    if routes is None:
        return None
    branch = COOKIE + blake2b(
        b"%b %d %d %d" % (leg.name.encode(), by_pbx, cseq, transport is _TCP), digest_size=12
    ).hexdigest().encode()  # fmt: skip
    via = b"SIP/2.0/%b %b:%d;branch=%b;rport" % (transport.upper().encode(), _host(sender[0]), sender[1], branch)
    parties = (asker, answerer) if asks else (answerer, asker)
    least = _PADDED if by_pbx and transport is _TCP else 0
    text = bye(uri_of(contact) or b"sip:" + place, routes, via, *parties, leg.call_id, cseq, least)
    if text is not None:
        leg.cut = True
        leg.parts(branch, cseq, by_pbx=by_pbx)
    return text


def _routes(leg: Leg, *, by_pbx: bool, asks: bool) -> tuple[bytes, ...] | None:
    """Give the Route entries that are still there on this hop; None where they cannot be known.

    The asker's are Record-Route turned round, the answerer's as it is (RFC 3261 section 12.1). Hops between the far
    side and the PBX are behind what reaches the PBX; a PBX that is a proxy stands in the list itself.
    """
    if any(not each for each in leg.routes):
        return None  # too long to keep
    entries = route_set(leg.routes)
    if entries is None:
        return None
    order = entries[::-1] if asks else entries
    own = [place for place, entry in enumerate(order) if _is_at(entry, leg.pbx)]
    if by_pbx:
        return order[own[-1] + 1 :] if own else order
    return order[own[0] :] if own else ()


def _is_at(entry: bytes, address: Address) -> bool:
    uri = parse_uri(entry[1 : entry.find(b">")])
    return uri is not None and uri.host == show(address).encode()


def _host(address: Address) -> bytes:
    text = show(address).encode()
    return text if len(address) == 4 else b"[" + text + b"]"
