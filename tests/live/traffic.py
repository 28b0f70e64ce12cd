"""Guessers and honest phones for the live tests, and how many guesses a PBX answered, read from a capture."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import dpkt  # type: ignore[import-untyped]

from tests.lab.cases.register import guess
from tests.lab.client import Client
from tests.lab.errors import LabError
from tests.lab.kamailio import ACCOUNTS

VICTIM = "1002"
SOON = 2.0
"""Seconds within which a PBX in the same machine answers, busy as that may be, if it gets to hear the question."""


def answered(client: Client) -> bool:
    """Ask OPTIONS; tell whether an answer comes."""
    try:
        client.ask(client.request("OPTIONS", "monitor"), seconds=SOON)
    except LabError:
        return False
    return True


MOST = 400
"""Guesses that take a second or more: a guard that has not cut off the guesser by then never will."""


def guess_until_silent(client: Client, *, most: int = MOST, user: str = VICTIM) -> int:
    """Guess, each time for a fresh challenge, until nothing comes back; returns how many guesses were answered."""
    for count in range(most):
        try:
            challenge = client.ask(client.request("REGISTER", user), seconds=SOON).challenge
            client.ask(guess(client, challenge, f"wrong-{count}", user), seconds=SOON)
        except LabError:
            return count
    return most


def registers(client: Client, user: str) -> bool:
    """Tell whether an honest phone can register."""
    return client.register(user, ACCOUNTS[user]).code == 200


def messages(path: Path) -> Iterator[tuple[str, str, str]]:
    """Read a capture: source, destination and text of each SIP message over UDP."""
    with path.open("rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(frame).data
            if isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6) and isinstance(packet.data, dpkt.udp.UDP):
                family = socket.AF_INET if isinstance(packet, dpkt.ip.IP) else socket.AF_INET6
                yield (
                    socket.inet_ntop(family, packet.src),
                    socket.inet_ntop(family, packet.dst),
                    packet.data.data.decode(errors="replace"),
                )


def guesses(path: Path, pbx: str) -> tuple[int, int]:
    """Count the guesses in a capture: how many different ones were sent, and how many of those the PBX answered."""
    sent: dict[str, str] = {}
    shown = set()
    done = set()
    for source, _, text in messages(path):
        # SIPVicious says the same Call-ID and CSeq in all; its branches differ
        key = " ".join(re.findall(r"(?im)(?:^(?:Call-ID|CSeq)[ \t]*:[ \t]*|;branch=)([^;\r]+)", text)[:3])
        credential = re.search(r'(?im)^Authorization:.*response="(\w+)"', text)
        if credential and source != pbx:
            sent[key] = credential.group(1)
            shown.add(credential.group(1))
        elif source == pbx and text.startswith(("SIP/2.0 4", "SIP/2.0 2")) and key in sent:
            done.add(sent[key])
    return len(shown), len(done)
