"""Conversations of one PBX with phones and strangers, each as a list of what is said and how long after the last.

The headers are those of `devices.py`; nonces, tags and branches come from the line's own random numbers.
"""

from __future__ import annotations

from random import Random

from sipguard.address import Address, parse_address, show
from sipguard.model import MILLISECOND, SECOND, Span
from tests.bench.devices import (
    DOMAIN,
    MAKES,
    PBX_AGENT,
    PBX_ALWAYS,
    PBX_SERVER,
    REALM,
    SCANNER,
    Device,
    message,
    sdp,
)

PBX = parse_address("192.0.2.10")
_HERE = show(PBX)
_PHONE_NETWORK = int.from_bytes(parse_address("198.18.0.0"))
_STRANGERS = int.from_bytes(parse_address("203.0.113.0"))
_TURN: Span = 15 * MILLISECOND


class Said:
    """One message: `after` the one before it, to (`outbound`) or from a device's address and port."""

    __slots__ = ("address", "after", "kind", "outbound", "payload", "port")

    def __init__(self, after: Span, device: Device, kind: str, payload: bytes, *, outbound: bool) -> None:
        self.after = after
        self.address: Address = device.address
        self.port = device.port
        self.kind = kind
        self.payload = payload
        self.outbound = outbound


class Line:
    """The PBX's side: its phones, and fresh tokens."""

    def __init__(self, random: Random, phones: list[Device]) -> None:
        self.random = random
        self.phones = phones

    def phone(self) -> Device:
        """Choose a phone."""
        return self.random.choice(self.phones)

    def stranger(self) -> Device:
        """Make up an attacker: addresses in many networks, so that none is crowded."""
        random = self.random
        address = (_STRANGERS + (random.randrange(1 << 12) << 12) + random.randrange(256)).to_bytes(4)
        return Device(address, random.choice((5060, 5061, 5070, 9999)), str(random.randrange(100, 9999)), SCANNER)

    def token(self, digits: int) -> str:
        """Give a fresh run of hexadecimal digits."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def nonce(self) -> str:
        """Give a nonce as Asterisk writes them: a time and a hash."""
        return f"{1_700_000_000 + self.random.randrange(100_000)}/{self.token(32)}"


class Dialog:
    """What the messages of one transaction or dialog repeat."""

    def __init__(self, line: Line, device: Device, *, to: str = "", calling: bool = False) -> None:
        """With `calling`, the PBX asks and the device answers; `to` is who is asked for."""
        self.line = line
        self.device = device
        self.calling = calling
        self.peer = to or device.user
        self.call_id = f"{line.token(24)}@{show(PBX if calling else device.address)}"
        self.from_tag = line.token(8)
        self.to_tag = ""
        self.branch = ""
        self.cseq = device.cseq
        device.cseq += 1

    def request(
        self,
        method: str,
        extra: tuple[str, ...] = (),
        body: str = "",
        *,
        kind: str = "application/sdp",
        uri: str = "",
        new: bool = True,
    ) -> bytes:
        """Write a request; `new` gives it a branch of its own (ACK to a failure has its INVITE's)."""
        device = self.device
        if new:
            self.branch = f"z9hG4bK{self.line.token(16)}"
        place = f"{_HERE}:5060" if self.calling else device.place
        uri = uri or (f"sip:{device.user}@{device.place}" if self.calling else f"sip:{self.peer}@{DOMAIN}")
        caller = self.peer if self.calling else device.user
        called = device.user if self.calling else self.peer
        lines = (
            f"Via: SIP/2.0/UDP {place};branch={self.branch};rport",
            f'From: "{caller}" <sip:{caller}@{DOMAIN}>;tag={self.from_tag}',
            f"To: <sip:{called}@{DOMAIN}>{self._tagged()}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:{_HERE}:5060>" if self.calling else device.contact,
            "Max-Forwards: 70",
            *((PBX_AGENT, *PBX_ALWAYS) if self.calling else device.make.always),
            *extra,
        )
        return message(f"{method} {uri} SIP/2.0", lines, body, kind)

    def answer(self, status: str, method: str, extra: tuple[str, ...] = (), body: str = "") -> bytes:
        """Write a response; from 101 on it has a To-tag."""
        device = self.device
        if not status.startswith("100") and not self.to_tag:
            self.to_tag = self.line.token(16)
        place = f"{_HERE}:5060" if self.calling else device.place
        received = _HERE if self.calling else show(device.address)
        port = 5060 if self.calling else device.port
        caller = self.peer if self.calling else device.user
        called = device.user if self.calling else self.peer
        lines = (
            f"Via: SIP/2.0/UDP {place};rport={port};received={received};branch={self.branch}",
            f"Call-ID: {self.call_id}",
            f'From: "{caller}" <sip:{caller}@{DOMAIN}>;tag={self.from_tag}',
            f"To: <sip:{called}@{DOMAIN}>{self._tagged()}",
            f"CSeq: {self.cseq} {method}",
            *(device.make.always if self.calling else (PBX_SERVER, *PBX_ALWAYS)),
            *extra,
        )
        return message(f"SIP/2.0 {status}", lines, body)

    def _tagged(self) -> str:
        return f";tag={self.to_tag}" if self.to_tag else ""

    def credential(self, name: str, uri: str, nonce: str, count: int = 1) -> str:
        """Write an Authorization or Proxy-Authorization header with qop=auth; its response is a random one."""
        token = self.line.token
        return (
            f'{name}: Digest username="{self.device.user}", realm="{REALM}", nonce="{nonce}", uri="{uri}", '
            f'response="{token(32)}", algorithm=MD5, cnonce="{token(8)}", qop=auth, nc={count:08x}'
        )


def _challenge(name: str, nonce: str, *, stale: bool = False) -> str:
    old = ",stale=true" if stale else ""
    return f'{name}: Digest realm="{REALM}",nonce="{nonce}",opaque="5d0b9e3c7f1a2b44",algorithm=MD5,qop="auth"{old}'


def phones(random: Random, count: int) -> list[Device]:
    """Make phones, some of them many behind one address."""
    made = []
    for number in range(count):
        shared = number % 5 == 0
        host = (number // 100) << 8 | 1 if shared else random.randrange(1 << 17)
        port = 1024 + random.randrange(60_000) if shared else 5060
        made.append(Device((_PHONE_NETWORK + host).to_bytes(4), port, str(1000 + number), random.choice(MAKES)))
    return made


def registration(line: Line) -> list[Said]:
    """Register anew: challenged, then accepted."""
    return _register(line, line.phone(), first="")


def stale_refresh(line: Line) -> list[Said]:
    """Refresh with a nonce that is too old: challenged with stale=true, then accepted."""
    return _register(line, line.phone(), first=line.nonce())


def refresh(line: Line) -> list[Said]:
    """Refresh with a nonce that is still good."""
    dialog = Dialog(line, device := line.phone())
    asked = _registering(dialog, line.nonce(), count=2)
    return [
        Said(0, device, "REGISTER with credentials", asked, outbound=False),
        Said(_TURN, device, "200 to REGISTER", _registered(dialog), outbound=True),
    ]


def _register(line: Line, device: Device, first: str) -> list[Said]:
    dialog = Dialog(line, device)
    nonce = line.nonce()
    asked = _registering(dialog, first)
    refused = dialog.answer("401 Unauthorized", "REGISTER", (_challenge("WWW-Authenticate", nonce, stale=bool(first)),))
    said = [
        Said(0, device, "REGISTER with credentials" if first else "REGISTER", asked, outbound=False),
        Said(_TURN, device, "401 to REGISTER", refused, outbound=True),
    ]
    dialog.cseq += 1
    dialog.to_tag = ""
    said.append(Said(_TURN, device, "REGISTER with credentials", _registering(dialog, nonce), outbound=False))
    said.append(Said(_TURN, device, "200 to REGISTER", _registered(dialog), outbound=True))
    return said


def _registering(dialog: Dialog, nonce: str, count: int = 1) -> bytes:
    uri = f"sip:{DOMAIN}"
    authorization = (dialog.credential("Authorization", uri, nonce, count),) if nonce else ()
    return dialog.request("REGISTER", (*dialog.device.make.registering, "Expires: 3600", *authorization), uri=uri)


def _registered(dialog: Dialog) -> bytes:
    device = dialog.device
    bound = f"Contact: <sip:{device.user}@{device.place}>;expires=3599"
    date = "Date: Tue, 14 Nov 2023 22:13:20 GMT"
    return dialog.answer("200 OK", "REGISTER", (date, bound, "Expires: 3600"))


def call(line: Line) -> list[Said]:
    """One phone calls another."""
    return between(line, line.phone(), line.phone())


def between(line: Line, caller: Device, called: Device) -> list[Said]:
    """Let a phone call: the first leg is challenged, the second is the PBX's own; the last four end both."""
    first = Dialog(line, caller, to=called.user)
    second = Dialog(line, called, to=caller.user, calling=True)
    talk = line.random.randrange(5, 120) * SECOND
    begin = _calling(line, first)
    ring = _ringing(line, second)
    early = Said(_TURN, caller, "180 to INVITE", first.answer("180 Ringing", "INVITE", (_contact(),)), outbound=True)
    offer = sdp(PBX, line.random.randrange(1 << 31), 10_000 + line.random.randrange(10_000))
    agreed = first.answer("200 OK", "INVITE", (_contact(),), offer)
    answered = [
        Said(_TURN, caller, "200 to INVITE", agreed, outbound=True),
        Said(_TURN, caller, "ACK", first.request("ACK", uri=f"sip:{_HERE}:5060"), outbound=False),
    ]
    first.cseq += 1
    end = [
        Said(talk, caller, "BYE", first.request("BYE", uri=f"sip:{_HERE}:5060"), outbound=False),
        Said(_TURN, caller, "200 to BYE", first.answer("200 OK", "BYE"), outbound=True),
    ]
    second.cseq += 1
    other_end = [
        Said(_TURN, called, "BYE", second.request("BYE", ("Reason: Q.850;cause=16",)), outbound=True),
        Said(_TURN, called, "200 to BYE", second.answer("200 OK", "BYE"), outbound=False),
    ]
    return [*begin, *ring[:3], early, *ring[3:], *answered, *end, *other_end]


def _contact() -> str:
    return f"Contact: <sip:{_HERE}:5060>"


def _calling(line: Line, dialog: Dialog) -> list[Said]:
    """INVITE, challenge, ACK, INVITE with credentials, 100."""
    device, nonce = dialog.device, line.nonce()
    uri = f"sip:{dialog.peer}@{DOMAIN}"
    offer = sdp(device.address, line.random.randrange(1 << 31), 11_000 + line.random.randrange(10_000))
    inviting = device.make.inviting
    challenge = (_challenge("Proxy-Authenticate", nonce),)
    said = [
        Said(0, device, "INVITE", dialog.request("INVITE", inviting, offer), outbound=False),
        Said(
            _TURN,
            device,
            "407 to INVITE",
            dialog.answer("407 Proxy Authentication Required", "INVITE", challenge),
            outbound=True,
        ),
        Said(_TURN, device, "ACK", dialog.request("ACK", new=False), outbound=False),
    ]
    dialog.cseq += 1
    dialog.to_tag = ""
    again = dialog.request("INVITE", (*inviting, dialog.credential("Proxy-Authorization", uri, nonce)), offer)
    said.append(Said(_TURN, device, "INVITE with credentials", again, outbound=False))
    said.append(Said(_TURN, device, "100 to INVITE", dialog.answer("100 Trying", "INVITE"), outbound=True))
    return said


def _ringing(line: Line, dialog: Dialog) -> list[Said]:
    """INVITE of the PBX, 100, 180, 200, ACK."""
    device = dialog.device
    offer = sdp(PBX, line.random.randrange(1 << 31), 10_000 + line.random.randrange(10_000))
    answer = sdp(device.address, line.random.randrange(1 << 31), 11_000 + line.random.randrange(10_000))
    identity = f'P-Asserted-Identity: "{dialog.peer}" <sip:{dialog.peer}@{DOMAIN}>'
    asked = dialog.request("INVITE", ("Session-Expires: 1800", "Min-SE: 90", identity), offer)
    return [
        Said(_TURN, device, "INVITE, PBX's own", asked, outbound=True),
        Said(_TURN, device, "100 to INVITE", dialog.answer("100 Trying", "INVITE"), outbound=False),
        Said(_TURN, device, "180 to INVITE", dialog.answer("180 Ringing", "INVITE", (device.contact,)), outbound=False),
        Said(
            4 * SECOND,
            device,
            "200 to INVITE",
            dialog.answer("200 OK", "INVITE", (device.contact,), answer),
            outbound=False,
        ),
        Said(_TURN, device, "ACK", dialog.request("ACK"), outbound=True),
    ]


def qualify(line: Line) -> list[Said]:
    """Ask a phone whether it is there, as PBXs do each minute."""
    device = line.phone()
    dialog = Dialog(line, device, to="asterisk", calling=True)
    accept = ("Accept: application/sdp", device.contact)
    return [
        Said(0, device, "OPTIONS, PBX's own", dialog.request("OPTIONS"), outbound=True),
        Said(_TURN, device, "200 to OPTIONS", dialog.answer("200 OK", "OPTIONS", accept), outbound=False),
    ]


def keepalive(line: Line) -> list[Said]:
    """Keep a translator's port open (RFC 5626 section 3.5.1)."""
    return [Said(0, line.phone(), "CRLF keep-alive", b"\r\n\r\n", outbound=False)]


def subscription(line: Line) -> list[Said]:
    """Watch a colleague's line: SUBSCRIBE, challenged, accepted, and the first NOTIFY."""
    device, nonce = line.phone(), line.nonce()
    dialog = Dialog(line, device, to=line.phone().user)
    uri = f"sip:{dialog.peer}@{DOMAIN}"
    wanted = ("Event: dialog", "Accept: application/dialog-info+xml", "Expires: 3600")
    challenge = (_challenge("WWW-Authenticate", nonce),)
    said = [
        Said(0, device, "SUBSCRIBE", dialog.request("SUBSCRIBE", wanted), outbound=False),
        Said(
            _TURN, device, "401 to SUBSCRIBE", dialog.answer("401 Unauthorized", "SUBSCRIBE", challenge), outbound=True
        ),
    ]
    dialog.cseq += 1
    dialog.to_tag = ""
    again = dialog.request("SUBSCRIBE", (*wanted, dialog.credential("Authorization", uri, nonce)))
    said.append(Said(_TURN, device, "SUBSCRIBE with credentials", again, outbound=False))
    agreed = dialog.answer("200 OK", "SUBSCRIBE", ("Expires: 3600", _contact()))
    said.append(Said(_TURN, device, "200 to SUBSCRIBE", agreed, outbound=True))
    return [*said, *_notices(line, dialog)]


def _notices(line: Line, watched: Dialog) -> list[Said]:
    """NOTIFY at once, and two more when the colleague's phone rings and is hung up."""
    device = watched.device
    notice = Dialog(line, device, to=watched.peer, calling=True)
    notice.call_id, notice.to_tag = watched.call_id, watched.from_tag
    place = f"sip:{device.user}@{device.place}"
    kind = "application/dialog-info+xml"
    said = []
    for version, state in enumerate(("terminated", "early", "terminated")):
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\r\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" '
            f'version="{version}" state="full" entity="sip:{watched.peer}@{DOMAIN}">\r\n'
            f' <dialog id="{watched.peer}"><state>{state}</state></dialog>\r\n</dialog-info>\r\n'
        )
        told = notice.request(
            "NOTIFY", ("Event: dialog", "Subscription-State: active;expires=3599"), body, kind=kind, uri=place
        )
        said.append(Said(version * 4 * SECOND, device, "NOTIFY", told, outbound=True))
        heard = notice.answer("200 OK", "NOTIFY", (device.contact,))
        said.append(Said(_TURN, device, "200 to NOTIFY", heard, outbound=False))
        notice.cseq += 1
    return said


def scan_options(line: Line) -> list[Said]:
    """Let a stranger ask whether a PBX is here."""
    dialog = Dialog(line, device := line.stranger(), to="100")
    return [
        Said(0, device, "OPTIONS, scanner's", dialog.request("OPTIONS"), outbound=False),
        Said(
            _TURN, device, "200 to OPTIONS, scanner's", dialog.answer("200 OK", "OPTIONS", (_contact(),)), outbound=True
        ),
    ]


def scan_register(line: Line) -> list[Said]:
    """Let a stranger try which extensions there are."""
    device = line.stranger()
    said = []
    for _ in range(4):
        device.user = str(line.random.randrange(100, 9999))
        dialog = Dialog(line, device)
        asked = _registering(dialog, "")
        refused = dialog.answer("401 Unauthorized", "REGISTER", (_challenge("WWW-Authenticate", line.nonce()),))
        said.append(Said(_TURN, device, "REGISTER, scanner's", asked, outbound=False))
        said.append(Said(_TURN, device, "401 to REGISTER, scanner's", refused, outbound=True))
    return said


def guessing(line: Line) -> list[Said]:
    """Let a stranger guess four or five times under one nonce; the fifth failure brings the ban, and he is gone."""
    device, nonce = line.stranger(), line.nonce()
    said = []
    for number in range(line.random.choice((5, 6))):
        dialog = Dialog(line, device)
        asked = _registering(dialog, nonce if number else "", number)
        refused = dialog.answer("401 Unauthorized", "REGISTER", (_challenge("WWW-Authenticate", nonce),))
        said.append(Said(_TURN, device, "REGISTER, guesser's", asked, outbound=False))
        said.append(Said(_TURN, device, "401 to REGISTER, guesser's", refused, outbound=True))
    return said
