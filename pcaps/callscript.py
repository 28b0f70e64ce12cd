"""Calls through a PBX that stands between phones and a carrier (B2BUA), message by message. Builds on `crowd.py`.

For what would take days to record. A phone registers, is challenged for each INVITE, repeats it with a credential; the
PBX then calls the carrier, with another Call-ID, and carries the answers and the BYE across. Times are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crowd import MINUTE, SECOND, Crowd, Device
from synthetic import PBX, PORT, md5, message

__all__ = ("CARRIER", "HOUR", "MINUTE", "SECOND", "Script")

CARRIER = "203.0.113.10"
HOUR = 60 * MINUTE
_STEP = 2_000
_RING = SECOND // 2


@dataclass
class Leg:
    """One INVITE dialog: `asker` sends the INVITE to `other`; tags and Call-ID come from `name`."""

    crowd: Crowd
    asker: tuple[str, int]
    other: tuple[str, int]
    name: str
    caller: str
    called: str
    cseq: int = 1

    def request(self, at: int, method: str, *more: str, back: bool = False, early: bool = False) -> None:
        """Add a request of the asker's, or of the other one's (`back`); `early`: without the other's tag."""
        source, target = (self.other, self.asker) if back else (self.asker, self.other)
        fresh = method not in ("INVITE", "ACK", "CANCEL")
        self.cseq += fresh
        user = self.caller if back else self.called
        lines = [f"{method} sip:{user}@{target[0]}:{target[1]} SIP/2.0", *self._head(method, back=back, early=early)]
        lines += [f"Contact: <sip:{self.called if back else self.caller}@{source[0]}:{source[1]}>", *more]
        self.crowd.add(at, source, target, message(lines))

    def answer(self, at: int, status: str, method: str, *more: str, back: bool = False) -> None:
        """Add the answer to the last request of that method."""
        source, target = (self.asker, self.other) if back else (self.other, self.asker)
        head = self._head(method, back=back, early=status.startswith("100"))
        lines = [f"SIP/2.0 {status}", *head, f"Contact: <sip:{self.called}@{source[0]}:{source[1]}>", *more]
        self.crowd.add(at, source, target, message(lines))

    def _head(self, method: str, *, back: bool, early: bool) -> list[str]:
        source = self.other if back else self.asker
        of = "INVITE" if method in ("ACK", "CANCEL") else method
        branch = md5(f"{self.name} {of} {self.cseq}")[:10]
        asker = f"<sip:{self.caller}@{self.asker[0]}>;tag={md5(self.name)[:6]}"
        other = f"<sip:{self.called}@{self.other[0]}>" + ("" if early else f";tag={md5(self.name)[6:12]}")
        first, second = (other, asker) if back else (asker, other)
        return [
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bK{branch};rport",
            "Max-Forwards: 70",
            f"From: {first}",
            f"To: {second}",
            f"Call-ID: {md5(self.name)[12:24]}",
            f"CSeq: {self.cseq} {method}",
        ]

    def taken(self, at: int, ring: int = _RING) -> int:
        """Let the INVITE be answered after ringing. Gives when."""
        self.answer(at, "180 Ringing", "INVITE")
        self.answer(at + ring, "200 OK", "INVITE")
        self.request(at + ring + _STEP, "ACK")
        return at + ring

    def bye(self, at: int, *, back: bool = False) -> None:
        """Hang up, with the other end's answer."""
        self.request(at, "BYE", back=back)
        self.answer(at + _STEP, "200 OK", "BYE", back=back)

    def failed(self, at: int, status: str) -> None:
        """Let the INVITE be refused."""
        self.answer(at, status, "INVITE")
        self.request(at + _STEP, "ACK")


@dataclass
class Script:
    """A house with phones, a PBX, and a carrier."""

    crowd: Crowd = field(default_factory=Crowd)
    serial: int = 0

    def phone(self, user: str, address: str, *times: int) -> Device:
        """Register a phone at these times, at the beginning if none is named."""
        device = Device(self.crowd, address, 5062, user)
        for at in times or (0,):
            device.register(at)
        return device

    def write(self, beside: str) -> None:
        """Write traffic.pcap.gz beside a file."""
        self.crowd.write(beside)

    def leg(self, asker: tuple[str, int], other: tuple[str, int], caller: str, called: str) -> Leg:
        """Make a leg that nobody has asked for yet."""
        self.serial += 1
        return Leg(self.crowd, asker, other, f"leg {self.serial}", caller, called)

    def inside(self, at: int, phone: Device, number: str) -> Leg:
        """Let a phone dial: challenged, asked again with its credential, and taken up with 100."""
        leg = self.leg((phone.address, phone.port), (PBX, PORT), phone.user, number)
        nonce = md5(f"nonce {leg.name}")[:12]
        leg.request(at, "INVITE", early=True)
        leg.answer(
            at + _STEP, "407 Proxy Authentication Required", "INVITE", phone.challenge(nonce).replace("WWW", "Proxy")
        )
        leg.request(at + 2 * _STEP, "ACK")
        leg.cseq += 1
        leg.request(at + 3 * _STEP, "INVITE", "Proxy-" + phone._answer(nonce, good=True), early=True)  # noqa: SLF001 - one family
        leg.answer(at + 4 * _STEP, "100 Trying", "INVITE")
        return leg

    def outside(self, at: int, caller: str, number: str, *more: str, carrier: str = CARRIER) -> Leg:
        """Let the PBX call the carrier."""
        leg = self.leg((PBX, PORT), (carrier, PORT), caller, number)
        leg.request(at, "INVITE", *more, early=True)
        leg.answer(at + _STEP, "100 Trying", "INVITE")
        return leg

    def dial(
        self,
        at: int,
        phone: Device,
        number: str,
        *,
        lasts: int = 0,
        refused: str = "486 Busy Here",
        carrier: str = CARRIER,
    ) -> tuple[Leg, Leg]:
        """Let a phone call a number outside: answered for `lasts` (0: refused; less: never hung up)."""
        inside = self.inside(at, phone, number)
        outside = self.outside(at + 6 * _STEP, phone.user, number, carrier=carrier)
        self._through(at + 8 * _STEP, inside, outside, lasts, refused)
        return inside, outside

    @staticmethod
    def _through(at: int, inside: Leg | None, outside: Leg, lasts: int, refused: str) -> None:
        if not lasts:
            outside.failed(at, refused)
            if inside is not None:
                inside.failed(at + _STEP, refused)
            return
        up = outside.taken(at)
        if inside is not None:
            inside.taken(at + _STEP)
        if lasts > 0:
            if inside is not None:
                inside.bye(up + lasts)
            outside.bye(up + lasts + _STEP)

    def orphan(self, at: int, number: str, *, lasts: int = 0, caller: str = "anonymous") -> Leg:
        """Let the PBX call the carrier by itself."""
        leg = self.outside(at, caller, number)
        self._through(at + 2 * _STEP, None, leg, lasts, "486 Busy Here")
        return leg

    def comes(self, at: int, caller: str, number: str, *, lasts: int = 0, gives_up: int = SECOND) -> Leg:
        """Let the carrier call: answered by the PBX for `lasts`, or given up unanswered after `gives_up`."""
        leg = self.leg((CARRIER, PORT), (PBX, PORT), caller, number)
        leg.request(at, "INVITE", early=True)
        leg.answer(at + _STEP, "100 Trying", "INVITE")
        if lasts:
            leg.bye(leg.taken(at + 2 * _STEP) + lasts)
            return leg
        leg.answer(at + 2 * _STEP, "180 Ringing", "INVITE")
        leg.request(at + gives_up, "CANCEL", early=True)
        leg.answer(at + gives_up + _STEP, "200 OK", "CANCEL")
        leg.failed(at + gives_up + 2 * _STEP, "487 Request Terminated")
        return leg

    def forwarded(self, at: int, caller: str, own: str, number: str, *, lasts: int, extension: str = "1001") -> None:
        """Let the carrier call, and the PBX send that on to a number outside, saying so (RFC 5806)."""
        coming = self.leg((CARRIER, PORT), (PBX, PORT), caller, own)
        coming.request(at, "INVITE", early=True)
        coming.answer(at + _STEP, "100 Trying", "INVITE")
        outside = self.outside(
            at + 2 * _STEP, caller, number, f"Diversion: <sip:{extension}@{PBX}>;reason=unconditional"
        )
        self._through(at + 4 * _STEP, coming, outside, lasts, "486 Busy Here")

    def transferred(
        self, at: int, phone: Device, number: str, to: str, *, lasts: int, by_carrier: bool = False
    ) -> None:
        """Let a phone call a number, and it or the far end hand that call on blindly (RFC 3515)."""
        inside, outside = self.dial(at, phone, number, lasts=-1)
        at += 20 * SECOND
        asked, gone, stays = (outside, outside, inside) if by_carrier else (inside, inside, outside)
        named = f"Referred-By: <sip:{number if by_carrier else phone.user}@{PBX}>"
        asked.request(at, "REFER", f"Refer-To: <sip:{to}@{PBX}>", named, back=by_carrier)
        asked.answer(at + _STEP, "202 Accepted", "REFER", back=by_carrier)
        gone.bye(at + 2 * _STEP, back=not by_carrier)
        further = self.outside(at + 4 * _STEP, phone.user, to, named)
        up = further.taken(at + 6 * _STEP)
        further.bye(up + lasts)
        stays.bye(up + lasts + _STEP, back=by_carrier)
