"""Phones and scanners by the headers that they send: sets as real ones have them, taken from captures.

A device writes requests and answers; what is said when is in `scenes.py`. All randomness is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sipguard.address import Address, show

DOMAIN = "pbx.example.net"
REALM = "asterisk"


@dataclass(frozen=True, slots=True)
class Make:
    """What a maker puts into every request, into REGISTER, into INVITE, and behind its Contact."""

    always: tuple[str, ...]
    registering: tuple[str, ...]
    inviting: tuple[str, ...]
    contact: str = ""
    digest: str = "algorithm=MD5"


_YEALINK = Make(
    always=(
        "User-Agent: Yealink SIP-T46U 108.86.0.90",
        "Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE",
    ),
    registering=("Allow-Events: talk,hold,conference,refer,check-sync", "Supported: path"),
    inviting=("Supported: replaces", "Allow-Events: talk,hold,conference,refer,check-sync", "Accept: application/sdp"),
)
_GRANDSTREAM = Make(
    always=(
        "User-Agent: Grandstream GXP2170 1.0.11.64 000b82abcdef",
        "Supported: replaces, path, timer, eventlist",
        "Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE",
    ),
    registering=("X-Grandstream-PBX: true", "P-Access-Network-Info: IEEE-EUI-48;eui-48-addr=00-0B-82-AB-CD-EF"),
    inviting=(
        "Privacy: none",
        f"P-Preferred-Identity: <sip:{DOMAIN}>",
        "P-Access-Network-Info: IEEE-EUI-48;eui-48-addr=00-0B-82-AB-CD-EF",
        "P-Emergency-Info: IEEE-EUI-48;eui-48-addr=00-0B-82-AB-CD-EF",
        "Accept: application/sdp, application/dtmf-relay",
    ),
    contact=';reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000B82ABCDEF>"',
)
_SNOM = Make(
    always=("User-Agent: snomD735/10.1.169.16", "Allow-Events: dialog"),
    registering=("X-Real-IP: 10.20.30.40", "Supported: path, gruu", "X-Serialnumber: 0004132F7A11"),
    inviting=(
        "Accept: application/sdp",
        "Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO, UPDATE",
        "Supported: timer, 100rel, replaces, from-change",
        "Session-Expires: 3600",
        "Min-SE: 90",
        "X-Serialnumber: 0004132F7A11",
        'P-Key-Flags: keys="3"',
    ),
    contact=';reg-id=1;q=1.0;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-0004132F7A11>";audio;duplex="full"',
)
_POLY = Make(
    always=(
        "User-Agent: PolycomVVX-VVX_411-UA/5.9.6.2327",
        "Accept-Language: en",
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER",
    ),
    registering=("Supported: path",),
    inviting=("Supported: 100rel,replaces", "Allow-Events: conference,talk,hold", "Accept: application/sdp"),
    contact=';methods="INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER"',
)
MAKES = (_YEALINK, _GRANDSTREAM, _SNOM, _POLY)

SCANNER = Make(always=("User-Agent: friendly-scanner", "Accept: application/sdp"), registering=(), inviting=())

PBX_ALWAYS = (
    "Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, MESSAGE, REFER",
    "Supported: 100rel, timer, replaces, norefersub",
)
PBX_SERVER = "Server: FPBX-16.0.40.7(18.20.2)"
PBX_AGENT = "User-Agent: FPBX-16.0.40.7(18.20.2)"


@dataclass(slots=True)
class Device:
    """One phone (or scanner) at an address and port, with the account it uses; `cseq` counts on."""

    address: Address
    port: int
    user: str
    make: Make
    cseq: int = 1

    @property
    def place(self) -> str:
        """The address and port as they stand in a Via."""
        return f"{show(self.address)}:{self.port}"

    @property
    def contact(self) -> str:
        """The Contact header."""
        return f"Contact: <sip:{self.user}@{self.place}>{self.make.contact}"


def message(start: str, lines: Sequence[str], body: str = "", kind: str = "application/sdp") -> bytes:
    """Put a message together; Content-Length is right."""
    typed = (f"Content-Type: {kind}",) if body else ()
    return "\r\n".join((start, *lines, *typed, f"Content-Length: {len(body)}", "", body)).encode()


def sdp(address: Address, session: int, port: int) -> str:
    """Write an offer or answer of four codecs, as phones do."""
    host = show(address)
    lines = (
        "v=0",
        f"o=- {session} {session} IN IP4 {host}",
        "s=SDP data",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP 9 0 8 101",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
    )
    return "\r\n".join(lines) + "\r\n"
