"""Captures made of nothing but numbers: the same bytes on every machine and every run.

For what would take too long to record. A `make.py` beside a traffic.pcap uses this and writes that file. Standard
library only. Packets are raw IPv4 (LINKTYPE_RAW) with right checksums, times are microseconds from the first packet.
"""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from pathlib import Path

PBX = "192.0.2.10"
PORT = 5060
REALM = "pbx.example"
FIRST_SECOND = 1_700_000_000  # some time in 2023; any would do
ANSWER_MICROSECONDS = 400
_LINKTYPE_RAW = 101


class Capture:
    """Packets in the order they are added, as a pcap file."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []

    def add(self, at: int, source: tuple[str, int], target: tuple[str, int], payload: bytes) -> None:
        """Add one UDP datagram at `at` microseconds from the start."""
        seconds, rest = divmod(at, 1_000_000)
        packet = datagram(source, target, payload, identification=len(self._packets) + 1)
        head = struct.pack("<IIII", FIRST_SECOND + seconds, rest, len(packet), len(packet))
        self._packets.append(head + packet)

    def write(self, beside: str) -> None:
        """Write traffic.pcap into the directory of the file `beside`."""
        head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _LINKTYPE_RAW)
        Path(beside).with_name("traffic.pcap").write_bytes(head + b"".join(self._packets))


class Phone:
    """Somebody at one address and port who registers, rightly or wrongly, with a PBX that answers.

    `name` is what stands in From, To and Contact, where it is not the user whose password is shown.
    """

    def __init__(self, capture: Capture, address: str, port: int, user: str, agent: str, *, name: str = "") -> None:
        self._capture = capture
        self._name = name or user
        self._here = (address, port)
        self._user = user
        self._agent = agent
        self._count = 0

    def register(self, at: int, password: str, *, good: bool) -> int:
        """Register at `at` microseconds: asked by 401, answered with `password`. Returns when it was over."""
        self._count += 1
        nonce = md5(f"nonce {self._here} {at}")
        uri = f"sip:{PBX}"
        secret, request = md5(f"{self._user}:{REALM}:{password}"), md5(f"REGISTER:{uri}")
        answer = (
            f'Authorization: Digest username="{self._user}", realm="{REALM}", nonce="{nonce}", uri="{uri}", '
            f'response="{md5(f"{secret}:{nonce}:{request}")}", algorithm=MD5'
        )
        challenge = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{nonce}"'
        at = self._exchange(at, 1, [], "401 Unauthorized", [challenge])
        if good:
            return self._exchange(at, 2, [answer], "200 OK", [f"Contact: {self._contact};expires=3600"])
        again = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{md5(nonce)}"'
        return self._exchange(at, 2, [answer], "401 Unauthorized", [again])

    @property
    def _contact(self) -> str:
        return f"<sip:{self._name}@{self._here[0]}:{self._here[1]}>"

    def _exchange(self, at: int, cseq: int, more: list[str], status: str, told: list[str]) -> int:
        """Add a request and its response."""
        token = md5(f"{self._here} {self._count} {cseq}")
        via = f"Via: SIP/2.0/UDP {self._here[0]}:{self._here[1]};branch=z9hG4bK{token[:16]};rport"
        common = [
            f"From: <sip:{self._name}@{PBX}>;tag={token[16:24]}",
            f"Call-ID: {md5(f'{self._here} {self._count}')}",
            f"CSeq: {cseq} REGISTER",
        ]
        to = f"To: <sip:{self._name}@{PBX}>"
        request = [
            f"REGISTER sip:{PBX} SIP/2.0", via, "Max-Forwards: 70", *common, to, f"Contact: {self._contact}",
            "Expires: 3600", f"User-Agent: {self._agent}", *more,
        ]  # fmt: skip
        response = [
            f"SIP/2.0 {status}", f"{via}={self._here[1]};received={self._here[0]}", *common, f"{to};tag={token[24:]}",
            *told, "Server: pbx",
        ]  # fmt: skip
        self._capture.add(at, self._here, (PBX, PORT), message(request))
        self._capture.add(at + ANSWER_MICROSECONDS, (PBX, PORT), self._here, message(response))
        return at + 2 * ANSWER_MICROSECONDS


def message(lines: list[str]) -> bytes:
    """Return a SIP message without a body."""
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


def md5(text: str) -> str:
    """Return the hexadecimal MD5, as digest authentication wants it."""
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - RFC 2617 says MD5


def datagram(source: tuple[str, int], target: tuple[str, int], payload: bytes, *, identification: int) -> bytes:
    """Return an IPv4 packet with a UDP datagram in it (RFC 791, RFC 768)."""
    ends = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(target[0]).packed
    length = 8 + len(payload)
    ports = struct.pack("!HHH", source[1], target[1], length)
    total = checksum(ends + struct.pack("!HH", 17, length) + ports + b"\0\0" + payload) or 0xFFFF
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, identification, 0x4000, 64, 17, 0)
    return head[:10] + struct.pack("!H", checksum(head + ends)) + ends + ports + struct.pack("!H", total) + payload


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
