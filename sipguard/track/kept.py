"""The two dialogs of a running call as text that outlives the guard, and the legs made of it again. Pure and total.

Kept is what a BYE needs, and what tells the dialog's own messages from others: nothing that was said in it. Whatever
text comes back from the disk gives legs or None, never an exception; and no text makes a leg that `Leg` could not have
become by itself.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import TypeAlias

from sipguard.address import Address
from sipguard.call import Call, Called, NumberClass
from sipguard.track.leg import Leg, LegState
from sipguard.wire.flow import Flow

MOST = 8192
"""Bytes of both dialogs together before they are made text: a carrier with long routes needs some 2000."""
_FORM = b"1"
_LONGEST = 512
_ROUTES = 8
_FIELDS = 15
_MOST_CSEQ = 1 << 31
_OUTGOING, _SHOWN, _TCP, _FAR_LISTENS = 1, 2, 4, 8
_KINDS = {str(kind): kind for kind in NumberClass}
_ANSWERED = LegState.ANSWERED

_Fields: TypeAlias = list[bytes]


def written(outside: Leg, inside: Leg | None) -> str:
    """Write the dialogs of an answered call: to the carrier, and the one that it came from, where that stands.

    Of what is too long for `MOST` the URIs in From and To go first, which no dialog is known by; then the inside. Empty
    where nothing can be kept.
    """
    if outside.state is not _ANSWERED:
        return ""
    legs = [outside] if inside is None or inside.state is not _ANSWERED else [outside, inside]
    for kept, lean in ((legs, False), (legs, True), (legs[:1], True)):
        data = _FORM + b"".join(_field(_joined(_fields(leg, lean=lean))) for leg in kept)
        if len(data) <= MOST:
            return b64encode(data).decode()
    return ""


def read(text: str, call: Call) -> tuple[Leg, Leg | None] | None:
    """Make the legs of an answered call anew, outside and inside; None for what `written` did not write."""
    if len(text) > 2 * MOST:
        return None
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        return None
    parts = _parted(data[1:]) if data[:1] == _FORM else None
    if not parts or len(parts) > 2:
        return None
    legs = [_leg(each, call) for each in parts]
    outside, inside = legs[0], legs[1] if len(legs) > 1 else None
    if outside is None or not outside.outgoing or (len(legs) > 1 and (inside is None or inside.outgoing)):
        return None
    if inside is not None:
        inside.account = call.account
    return outside, inside


# --- One leg ----------------------------------------------------------------------------------------------------------


def _fields(leg: Leg, *, lean: bool) -> _Fields:
    flow = leg.flow
    flags = _OUTGOING * leg.outgoing | _SHOWN * leg.shown
    if flow is not None:
        flags |= _TCP | _FAR_LISTENS * (flow.server == (leg.far, leg.far_port))
    return [
        bytes([flags]),
        _end(leg.far, leg.far_port),
        _end(leg.pbx, leg.pbx_port),
        _number(leg.far_cseq + 1) + _number(leg.pbx_cseq + 1),
        leg.call_id,
        leg.tag,
        leg.other,
        b"" if lean else leg.from_value,
        b"" if lean else leg.to_value,
        leg.far_contact,
        leg.pbx_contact,
        f"{leg.called.kind} {leg.called.dialled}".encode("utf-8", "replace")[:_LONGEST],
        _end(*leg.far_media),
        _end(*leg.pbx_media),
        _joined(leg.routes),
    ]


def _leg(data: bytes, call: Call) -> Leg | None:
    fields = _parted(data)
    if fields is None or len(fields) != _FIELDS or max(map(len, fields[:-1])) > _LONGEST:
        return None
    flags, far, pbx, numbers, call_id, tag, other, asker, answerer, far_contact, pbx_contact, number, *media, hops = (
        fields
    )
    routes = _parted(hops)
    called = _called(number)
    ends = _end_of(far), _end_of(pbx)
    if routes is None or len(routes) > _ROUTES or max(map(len, routes), default=0) > _LONGEST or called is None:
        return None
    if len(flags) != 1 or len(numbers) != 8 or not (call_id and tag and other) or len(far) != len(pbx):
        return None
    cseqs = [int.from_bytes(each, "big") for each in (numbers[:4], numbers[4:])]
    if ends[0] is None or ends[1] is None or max(cseqs) > _MOST_CSEQ:
        return None
    outgoing = bool(flags[0] & _OUTGOING)
    leg = Leg(call.began, call_id, tag, call.called if outgoing else called, outgoing=outgoing)
    (leg.far, leg.far_port), (leg.pbx, leg.pbx_port) = ends[0], ends[1]
    leg.far_cseq, leg.pbx_cseq = cseqs[0] - 1, cseqs[1] - 1
    leg.other, leg.tags = other, (other,)
    leg.from_value, leg.to_value = asker, answerer
    leg.far_contact, leg.pbx_contact, leg.routes = far_contact, pbx_contact, tuple(routes)
    leg.far_media, leg.pbx_media = [_end_of(each) or (b"", 0) for each in media]
    leg.answered, leg.state = call.answered, _ANSWERED
    leg.shown, leg.kept = bool(flags[0] & _SHOWN), True
    if flags[0] & _TCP:  # how far the connection has got nobody knows, but who listens is known
        client, server = (ends[1], ends[0]) if flags[0] & _FAR_LISTENS else (ends[0], ends[1])
        leg.flow = Flow(call.began, client, server, b"")
    return leg


def _called(text: bytes) -> Called | None:
    name, _, dialled = text.decode("utf-8", "replace").partition(" ")
    kind = _KINDS.get(name)
    return None if kind is None else Called(dialled, kind)


# --- Bytes ------------------------------------------------------------------------------------------------------------


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _joined(fields: Sequence[bytes]) -> bytes:
    return b"".join([_field(each) for each in fields])


def _parted(data: bytes) -> _Fields | None:
    """Give the fields that `_joined` joined, at most `_FIELDS`; None for anything else."""
    found: _Fields = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data) or len(found) >= _FIELDS:
            return None
        found.append(data[start:at])
    return found


def _number(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _end(address: Address, port: int) -> bytes:
    return port.to_bytes(2, "big") + address


def _end_of(data: bytes) -> tuple[Address, int] | None:
    return (data[2:], int.from_bytes(data[:2], "big")) if len(data) in (6, 18) else None
