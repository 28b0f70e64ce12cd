"""Many senders in one capture: offices, callers, and those who write somebody else's name. Builds on `synthetic.py`.

Small when compressed: identifications are 0, as RFC 6864 section 4.1 allows, and tokens no longer than needed. Times
are microseconds from the first packet; packets may be added in any order and are sorted when written.
"""

from __future__ import annotations

import gzip
import ipaddress
import struct
from dataclasses import dataclass, field
from pathlib import Path

from synthetic import FIRST_SECOND, PBX, PORT, REALM, checksum, datagram, md5, message

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
ANSWER = 400


@dataclass
class Crowd:
    """Packets in the order of their time."""

    packets: list[tuple[int, int, bytes]] = field(default_factory=list)

    def add(self, at: int, source: tuple[str, int], target: tuple[str, int], payload: bytes) -> None:
        """Add one datagram."""
        number = len(self.packets)
        self.packets.append((at, number, datagram(source, target, payload, identification=0)))

    def segment(self, at: int, source: tuple[str, int], payload: bytes, *, sequence: int, flags: int) -> None:
        """Add one TCP segment to the PBX (RFC 9293), sent by whoever likes."""
        number = len(self.packets)
        ends = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(PBX).packed
        plain = struct.pack("!HHIIBBHHH", source[1], PORT, sequence, 1, 0x50, flags, 65535, 0, 0)
        total = checksum(ends + struct.pack("!HH", 6, len(plain) + len(payload)) + plain + payload)
        body = plain[:16] + struct.pack("!H", total) + plain[18:] + payload
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0x4000, 64, 6, 0)
        head = head[:10] + struct.pack("!H", checksum(head + ends)) + ends
        self.packets.append((at, number, head + body))

    def write(self, beside: str) -> None:
        """Write traffic.pcap.gz into the directory of the file `beside`, the same bytes each time."""
        parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
        for at, _, packet in sorted(self.packets):
            seconds, rest = divmod(at, SECOND)
            parts.append(struct.pack("<IIII", FIRST_SECOND + seconds, rest, len(packet), len(packet)) + packet)
        Path(beside).with_name("traffic.pcap.gz").write_bytes(gzip.compress(b"".join(parts), mtime=0))


@dataclass
class Device:
    """Somebody at one address and port, with an account or without, and a PBX that answers."""

    crowd: Crowd
    address: str
    port: int
    user: str
    agent: str = "lab phone"
    delay: int = ANSWER
    count: int = 0

    def register(self, at: int, *, good: bool = True, forgotten: str = "") -> int:
        """Register: asked by 401, then answered. With `forgotten`, first try a nonce that the PBX gave out before."""
        uri = f"sip:{PBX}"
        if forgotten:
            nonce = md5(f"{forgotten} {self.user}")[:12]
            fresh = md5(f"fresh {forgotten} {self.user}")[:12]
            told = [self.challenge(fresh)]
            at = self.ask(at, "REGISTER", uri, self.user, "401 Unauthorized", told, [self._answer(nonce, good=True)])
        else:
            fresh = md5(f"nonce {self.address} {self.port} {at}")[:12]
            at = self.ask(at, "REGISTER", uri, self.user, "401 Unauthorized", [self.challenge(fresh)])
        again = [self.challenge(f"{fresh}x")]
        done = [f"Contact: <sip:{self.user}@{self.address}:{self.port}>;expires=3600"]
        status, told = ("200 OK", done) if good else ("401 Unauthorized", again)
        return self.ask(at, "REGISTER", uri, self.user, status, told, [self._answer(fresh, good=good)], again=True)

    def call(self, at: int, number: str, status: str = "486 Busy Here") -> int:
        """Call a number as registered devices do: challenged by 407, then let through, and answered."""
        uri = f"sip:{number}@{PBX}"
        fresh = md5(f"call {self.address} {self.port} {at}")[:12]
        told = [self.challenge(fresh).replace("WWW", "Proxy")]
        at = self.ask(at, "INVITE", uri, number, "407 Proxy Authentication Required", told)
        answer = "Proxy-" + self._answer(fresh, good=True)
        return self.ask(at, "INVITE", uri, number, status, [], [answer], again=True)

    def ask(
        self,
        at: int,
        method: str,
        uri: str,
        to: str,
        status: str = "",
        told: list[str] | None = None,
        more: list[str] | None = None,
        *,
        again: bool = False,
        claimed: str = "",
    ) -> int:
        """Send a request, and have it answered with `status` where one is given. Gives when that is over."""
        self.count += not again
        key = md5(f"{self.address} {self.port} {self.count}")
        token = md5(f"{key} {again} {more}")
        via = f"Via: SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{token[:8]};rport"
        common = [
            f"From: <sip:{claimed or self.user}@{PBX}>;tag={token[8:14]}",
            f"Call-ID: {key[:12]}",
            f"CSeq: {1 + again} {method}",
        ]
        to = f"To: <sip:{to}@{PBX}>"
        contact = f"Contact: <sip:{self.user}@{self.address}:{self.port}>"
        request = [
            f"{method} {uri} SIP/2.0", via, "Max-Forwards: 70", *common, to, contact, "Expires: 3600",
            f"User-Agent: {self.agent}", *(more or []),
        ]  # fmt: skip
        self.crowd.add(at, (self.address, self.port), (PBX, PORT), message(request))
        if status:
            response = [
                f"SIP/2.0 {status}", f"{via}={self.port};received={self.address}", *common, f"{to};tag={token[24:30]}",
                *(told or []), "Server: pbx",
            ]  # fmt: skip
            self.crowd.add(at + self.delay, (PBX, PORT), (self.address, self.port), message(response))
        return at + 2 * self.delay

    @staticmethod
    def challenge(nonce: str) -> str:
        """Write a challenge."""
        return f'WWW-Authenticate: Digest realm="{REALM}", nonce="{nonce}"'

    def _answer(self, nonce: str, *, good: bool) -> str:
        response = md5(f"{self.user} {nonce} {good}")  # nobody here can check it, and the PBX's answer says what it is
        return (
            f'Authorization: Digest username="{self.user}", realm="{REALM}", nonce="{nonce}", uri="sip:{PBX}", '
            f'response="{response}", algorithm=MD5'
        )
