"""One dialog of the PBX with one far side, as the wire shows it: RFC 3261 section 12, watched from beside.

Pure state and how it is matched; what follows from it is said in `calls.py`. Only messages on the leg's own path match:
between the PBX and the address that the leg was begun with, with its Call-ID and both its tags.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b
from typing import TypeAlias

from sipguard.address import Address, packed, sender_key
from sipguard.call import Call, Called
from sipguard.intake import Heard
from sipguard.model import Account, Instant, Transport
from sipguard.sip.grammar import split_list
from sipguard.sip.message import SipMessage, SipRequest, SipResponse
from sipguard.sip.sdp import first_media
from sipguard.sip.uri import user_in
from sipguard.track.hints import digits_of, is_hinted
from sipguard.wire.flow import Flow

_LONGEST = 512
"""Bytes of a Call-ID, tag, URI or route that are kept as they are; of longer ones a hash, and no BYE can be written."""
_SEEN = 8  # transactions that are remembered of one leg, of each kind
_FORKS = 12  # To-tags
_ROUTES = 8
_USER = 64

Asked: TypeAlias = tuple[bytes, int]
"""A transaction: branch and CSeq number."""


class LegState(IntEnum):
    """How far a leg got."""

    BEGUN = 0  # asked, and nothing came back
    TRIED = 1  # the other side said 100
    EARLY = 2  # 101 to 199
    ANSWERED = 3
    FAILED = 4  # a final answer that was none: it may be asked anew under the same Call-ID
    OVER = 5  # nothing brings it back


_BEGUN, _TRIED, _EARLY, _ANSWERED, _FAILED, _OVER = LegState


def short(text: bytes) -> bytes:
    """Bound the memory that an identifier takes; two that differ keep differing."""
    return text if len(text) <= _LONGEST else blake2b(text, digest_size=32).digest()


def _kept(text: bytes | None) -> bytes:
    return text if text is not None and len(text) <= _LONGEST else b""


def name_of(far: Address, call_id: bytes, tag: bytes) -> str:
    """Name the dialog with `far` in which the caller's end goes by `tag`; any message in it gives the same name."""
    parts = sender_key(far), b"%d" % len(call_id), call_id, tag
    return blake2b(b"\0".join(parts), digest_size=9).hexdigest()


class Running:
    """A call with what it is made of: `legs` that cost or may yet, the `inside` one it came from, None when unknown.

    `failed`: since when every leg has failed, and another way out may be tried; 0 while one has not.
    `by_call_id`: `inside` is sure, as a proxy sent its very INVITE on. `moved`: when it was last told that its ends are
    elsewhere. `remembered`: until when the kernel remembered its media when last asked, 0 for never.
    """

    __slots__ = ("by_call_id", "call", "digits", "failed", "inside", "legs", "loud", "moved", "remembered")

    def __init__(self, call: Call, digits: str, inside: Leg | None) -> None:
        self.call = call
        self.digits = digits
        self.inside = inside
        self.legs: tuple[Leg, ...] = ()
        self.failed: Instant = 0
        self.by_call_id = False
        self.loud = True  # its beginning was told, so that its end must be
        self.moved: Instant = 0
        self.remembered: Instant = 0

    @property
    def live(self) -> bool:
        """Tell whether a leg of it stands, or may yet be answered."""
        return any(leg.state < _FAILED for leg in self.legs)


class Leg:
    """A dialog, or what is to become one. `outgoing`: the PBX asked; `tag` is the asker's, `other` the answerer's.

    `tags` are all those that answers bore: the forks of one INVITE. `pending` are INVITEs without a final answer. The
    headers are kept as sent (b"" where too long to keep): `from_value` and `to_value` of the INVITE, `far_contact` and
    `pbx_contact`, `routes` (Record-Route, as in the 2xx, from the top), `uri` and `via` (the topmost one) of the INVITE
    asked last. `far_cseq` and `pbx_cseq` are the highest that either end used, -1 before it did. `shown`: the far side
    has used a tag that the PBX gave it, so it is where it sends from. `cancelled`: whoever asked has taken it back.
    `cut`: the guard itself is ending it; `parted`: the far side agreed to a BYE as from the PBX. `kept`: it is from
    before a restart, and the PBX has not spoken in it since. `far_media` and `pbx_media`: where either end of one that
    the PBX asked for wants its first media, port 0 where that is not known.
    """

    __slots__ = (
        "_user",
        "account",
        "answered",
        "began",
        "bye_at",
        "byes",
        "call_id",
        "called",
        "cancelled",
        "challenged",
        "code",
        "cut",
        "digits",
        "due",
        "ended",
        "far",
        "far_contact",
        "far_cseq",
        "far_media",
        "far_port",
        "flow",
        "from_value",
        "heard",
        "hinted",
        "kept",
        "led",
        "other",
        "outgoing",
        "parted",
        "pbx",
        "pbx_contact",
        "pbx_cseq",
        "pbx_media",
        "pbx_port",
        "pending",
        "queued",
        "routes",
        "running",
        "seen",
        "shown",
        "state",
        "tag",
        "tags",
        "to_value",
        "trunk",
        "uri",
        "via",
    )

    def __init__(self, at: Instant, call_id: bytes, tag: bytes, called: Called, *, outgoing: bool) -> None:
        self.outgoing = outgoing
        self.began = self.heard = at
        self.answered: Instant = 0
        self.ended: Instant = 0
        self.state = _BEGUN
        self.code = 0
        self.call_id = call_id
        self.tag = tag
        self.other = b""
        self.far: Address = b""
        self.pbx: Address = b""
        self.far_port = self.pbx_port = 0
        self.tags: tuple[bytes, ...] = ()
        self.pending: tuple[Asked, ...] = ()
        self.seen: tuple[Asked, ...] = ()
        self.byes: tuple[tuple[bool, bytes, int], ...] = ()  # asked by the PBX?, branch, CSeq
        self.bye_at: Instant = 0  # of the PBX's first BYE that nobody has answered
        self.far_cseq = self.pbx_cseq = -1
        self.flow: Flow | None = None
        self.called = called
        self.digits = digits_of(called)
        self.trunk: str | None = None  # None: a device, or nobody we know; "": a trunk that is not listed
        self.account: Account | None = None
        self.challenged = False
        self.shown = self.cut = self.parted = self.kept = self.cancelled = False
        self.hinted = False
        self._user = b""  # in From, where that is too long to be kept
        self.from_value = self.to_value = self.far_contact = self.pbx_contact = b""
        self.uri = self.via = b""
        self.far_media: tuple[Address, int] = (b"", 0)
        self.pbx_media: tuple[Address, int] = (b"", 0)
        self.routes: tuple[bytes, ...] = ()
        self.running: Running | None = None  # the call that it is a leg of
        self.led: Running | None = None  # the call that left because of it
        self.due: Instant = 0
        self.queued: Instant = 0

    def place(self, heard: Heard, *, from_pbx: bool) -> None:
        """Learn between which ends it goes, and over which connection."""
        if from_pbx:
            self.far, self.far_port, self.pbx, self.pbx_port = _ends(heard)
        else:
            self.pbx, self.pbx_port, self.far, self.far_port = _ends(heard)
        self.flow = heard.flow

    def carried(self, heard: Heard, *, by_pbx: bool) -> None:
        """Learn over which connection a leg from before a restart goes, by the PBX's first word in it."""
        if self.kept and by_pbx and heard.flow is not None:
            self.place(heard, from_pbx=True)

    @property
    def transport(self) -> Transport:
        """Tell what carries it."""
        return Transport.UDP if self.flow is None else Transport.TCP

    @property
    def ending(self) -> bool:
        """Tell whether somebody said BYE and was not answered yet."""
        return bool(self.byes) and self.state is _ANSWERED

    @property
    def name(self) -> str:
        """The dialog's name: see `name_of`."""
        return name_of(self.far, self.call_id, self.tag)

    @property
    def from_user(self) -> bytes:
        """The user in the From of its INVITE, at most 64 bytes; seldom asked, so read when it is."""
        return user_in(self.from_value)[:_USER] if self.from_value else self._user

    def renumber(self, called: Called) -> None:
        """Ask for another number than before."""
        self.called = called
        self.digits = digits_of(called)

    def knows(self, request: SipRequest) -> bool:
        """Tell whether an INVITE is a copy of one that began it."""
        if not self.seen:  # from before a restart: what it was begun by is not known, but how far its numbers had got
            return request.cseq <= (self.pbx_cseq if self.outgoing else self.far_cseq)
        return (short(request.branch), request.cseq) in self.seen

    def asks(self, heard: Heard, request: SipRequest) -> None:
        """Take an INVITE that begins it, or begins it anew with a credential."""
        asked = short(request.branch), request.cseq
        self.seen = (*self.seen, asked)[-_SEEN:]
        self.pending = (*self.pending, asked)[-_SEEN:]
        self.state = _BEGUN
        self.cancelled = False
        self.from_value, self.to_value = _kept(request.header("from")), _kept(request.header("to"))
        self._user = b"" if self.from_value else request.from_user[:_USER]
        via = split_list(request.header("via") or b"")
        self.uri, self.via = _kept(request.uri), _kept(via[0]) if via else b""
        self.hinted = is_hinted(request)
        self.place(heard, from_pbx=self.outgoing)
        self.spoke(request, by_pbx=self.outgoing)

    def spoke(self, message: SipMessage, *, by_pbx: bool) -> bool:
        """Note what a message tells of the end that sent it: its last CSeq, and where it wants to be spoken to.

        Tells whether that is elsewhere than before.
        """
        moved = self.described(message, by_pbx=by_pbx)
        if type(message) is SipRequest and message.cseq < 1 << 31:
            if by_pbx:
                self.pbx_cseq = max(self.pbx_cseq, message.cseq)
            else:
                self.far_cseq = max(self.far_cseq, message.cseq)
        contact = message.header("contact")
        if contact is None or len(contact) > _LONGEST or contact == (self.pbx_contact if by_pbx else self.far_contact):
            return moved
        if by_pbx:
            self.pbx_contact = contact
        else:
            self.far_contact = contact
        return True

    def described(self, message: SipMessage, *, by_pbx: bool) -> bool:
        """Note where the end that sent a message wants its media; tells whether that is elsewhere than before."""
        if not (self.outgoing and message.body):
            return False
        named, port = first_media(message.body)
        address = packed(named) if port else None
        if address is None:
            return False
        before, end = (self.pbx_media if by_pbx else self.far_media), (address, port)
        if by_pbx:
            self.pbx_media = end
        else:
            self.far_media = end
        return end != before

    def awaits(self, response: SipResponse) -> bool:
        """Tell whether a response is to an INVITE that was asked on it and has no final answer."""
        return (short(response.branch), response.cseq) in self.pending

    def settled(self, response: SipResponse) -> bool:
        """Take a final answer to an INVITE; True when no other fork of it is waited for."""
        asked = short(response.branch), response.cseq
        self.pending = tuple([each for each in self.pending if each != asked])
        return not self.pending

    def forked(self, tag: bytes) -> None:
        """Note the tag of an answer to the INVITE."""
        if tag and tag not in self.tags:
            self.tags = (*self.tags, short(tag))[-_FORKS:]

    def picked_up(self, at: Instant, heard: Heard, response: SipResponse) -> None:
        """Take the first 2xx: from now on the dialog is this one's, whatever other forks say."""
        self.state = _ANSWERED
        self.answered = at
        self.forked(response.to_tag)
        self.other = short(response.to_tag)
        self.pending = ()
        self.routes = tuple(_kept(each) for each in response.headers("record-route")[:_ROUTES])
        self.spoke(response, by_pbx=not self.outgoing)
        self.place(heard, from_pbx=not self.outgoing)

    def is_of(self, message: SipMessage, *, by_pbx: bool) -> bool:
        """Tell whether a message's tags are this dialog's; `by_pbx`: the PBX sent the request, or is answered."""
        mine, theirs = short(message.from_tag), short(message.to_tag)
        if by_pbx != self.outgoing:
            mine, theirs = theirs, mine
        return mine == self.tag and (theirs == self.other if self.other else theirs in self.tags)

    def bye(self, request: SipRequest, *, by_pbx: bool) -> None:
        """Note a BYE, which ends nothing until it is answered."""
        self.parts(request.branch, request.cseq, by_pbx=by_pbx)

    def parts(self, branch: bytes, cseq: int, *, by_pbx: bool) -> None:
        """Note a BYE by its transaction, whoever wrote it."""
        asked = by_pbx, short(branch), cseq
        if asked not in self.byes:
            self.byes = (*self.byes, asked)[-_SEEN:]
            if cseq >= 1 << 31:
                return  # no number (RFC 3261 section 8.1.1.5): whoever gets it refuses it
            if by_pbx:
                self.pbx_cseq = max(self.pbx_cseq, cseq)
            else:
                self.far_cseq = max(self.far_cseq, cseq)

    def gave_bye(self, response: SipResponse, *, by_pbx: bool) -> bool:
        """Tell whether a response is to a BYE that was asked on it."""
        gave = (by_pbx, short(response.branch), response.cseq) in self.byes
        self.parted = self.parted or (gave and by_pbx)
        return gave


def leg_of(at: Instant, heard: Heard, message: SipMessage, called: Called, *, outgoing: bool) -> Leg:
    """Begin a leg with a message of whoever asks on it; `outgoing`: that is the PBX."""
    leg = Leg(at, short(message.call_id), short(message.from_tag), called, outgoing=outgoing)
    leg.place(heard, from_pbx=outgoing)
    return leg


def _ends(heard: Heard) -> tuple[Address, int, Address, int]:
    return heard.target, heard.target_port, heard.source, heard.source_port
