"""Guesses that are wrongly written and judged all the same: each way was tried on Kamailio with the right password too.

A guard that reads such a message otherwise than the PBX, or not at all, does not see the guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.lab.cases.case import Case, Lab
from tests.lab.cases.ordinary import expect
from tests.lab.cases.register import RIGHT, VICTIM, guess
from tests.lab.client import Client, credentials, md5

Twist = Callable[[bytes], bytes]


def swap(old: bytes, new: bytes) -> Twist:
    """Return what replaces the first `old` by `new`."""
    return lambda request: request.replace(old, new, 1)


BROKEN: Mapping[str, Twist] = {
    "no branch in Via": lambda request: re.sub(rb";branch=[^;]*", b"", request),
    "no empty line at the end": lambda request: request[:-2],
    "Content-Length beyond the datagram": swap(b"Content-Length: 0", b"Content-Length: 999"),
    "a CSeq of another method": swap(b"CSeq: 2 REGISTER", b"CSeq: 2 OPTIONS"),
    "bare LF": lambda request: request.replace(b"\r\n", b"\n"),
    "somebody else's Via on top": swap(b"\r\nVia: ", b"\r\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKtop\r\nVia: "),
    "two Vias in one line": swap(b"\r\nVia: ", b"\r\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKtop, "),
    "maddr in Via": swap(b";branch", b";maddr=203.0.113.99;branch"),
    "a nonce without quotes": lambda request: re.sub(rb'nonce="([^"]*)"', rb"nonce=\1", request),
    "NUL in User-Agent": swap(b"lab phone", b"lab\0phone"),
    "an unknown parameter with a comma": swap(b"Digest ", b'Digest foo="a,b", '),
    "a backslash before a closing quote": swap(b"Digest ", b'Digest foo="\\", '),
    "a semicolon after algorithm": swap(b"algorithm=MD5", b"algorithm=MD5;x=y"),
    "another URI than the request's": swap(b"REGISTER sip:192.0.2.10 ", b"REGISTER sip:192.0.2.99 "),
    "neither Max-Forwards nor User-Agent": lambda request: re.sub(rb"(Max-F|User-A)[^\n]*\n", b"", request),
}

# Kamailio takes the last of a parameter that comes twice, and the first of two Authorization headers
DECOYS: Mapping[str, Twist] = {
    "nonce": swap(b'nonce="', b'nonce="decoy", nonce="'),
    "username": swap(b'username="', b'username="1001", username="'),
    "response": swap(b'response="', b'response="00000000000000000000000000000000", response="'),
    "realm": swap(b'realm="', b'realm="elsewhere.example", realm="'),
}


def broken(lab: Lab) -> None:
    """Send one wrong guess in every broken way, and a right one at the end."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number, twist in enumerate(BROKEN.values()):
            expect(twisted(client, twist, f"guess-{number}"), 401)
        expect(twisted(client, BROKEN["bare LF"], RIGHT), 200)


def decoys(lab: Lab) -> None:
    """Send guesses with a decoy before each parameter, and with a decoy header after the real one; then a right one."""
    with lab.recording(), Client(lab.world.attacker, lab.world.pbx.v4, port=5060) as client:
        for number, twist in enumerate((*DECOYS.values(), *DECOYS.values())):
            expect(twisted(client, twist, f"guess-{number}"), 401)
        for password, code in (("guess-last", 401), (RIGHT, 200)):
            expect(twisted(client, decoy_header(client), password), code)


def twisted(client: Client, twist: Twist, password: str) -> int:
    """Send one guess, written so, and return what the PBX says to it."""
    client.send(twist(guess(client, client.challenge(VICTIM), password)))
    return client.receive().code


def decoy_header(client: Client) -> Twist:
    """Return what adds a second Authorization, for another realm and with a nonce never given out."""
    foreign = replace(client.challenge(VICTIM), realm="elsewhere.example", nonce=md5("decoy"))
    value = credentials(foreign, "REGISTER", f"sip:{client.domain}", "1001", "decoy")
    return swap(b"\r\nContent-Length", f"\r\nAuthorization: {value}\r\nContent-Length".encode())


_GUESSER = "the guesser going unseen; an action against any other"

CASES = (
    Case(
        "evasion/broken",
        broken,
        f"Guesses written in {len(BROKEN)} wrong ways, all of which Kamailio reads and judges: {', '.join(BROKEN)}. "
        "The last guess is right, and accepted.",
        "own client",
        f"{_GUESSER}, as the 192.0.2.99 and 203.0.113.99 that Via names",
    ),
    Case(
        "evasion/decoy-credentials",
        decoys,
        "Guesses with a decoy before the real nonce, username, response or realm (Kamailio takes the last), and with a "
        "decoy Authorization after the real one (Kamailio takes the first). The last guess is right, and accepted.",
        "own client",
        _GUESSER,
    ),
)
