"""Memory and the collector under a million spoofed sources; run as a process of its own, so that nothing else counts.

    python -m tests.bench.memory SOURCES {packet-process | automatic} [shown]

Each source sends a REGISTER for one of a million accounts, which the PBX challenges; every tenth goes on with a
credential, rejected: in turn with a nonce it made up and one that was sent to another address. Every thousandth guesses
on. With `shown` a thirtieth do what no spoofed source can and use the nonce that was sent to them, so they do hold
their addresses; those that guess are banned. Prints one line of JSON, and to stderr one after each million sources.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sipguard.address import Address, Network, parse_address, show
from sipguard.control.memory import Memory
from sipguard.engine import Engine
from sipguard.model import MICROSECOND, Frame, Hook, Names, Origin, Role, State
from sipguard.policy.schema import Policy
from tests.bench import packets

_PBX = parse_address("192.0.2.10")
_PAGE = resource.getpagesize()
_SECOND = 20_000  # packets between two looks of the collector, as the packet process has each second
_ACCOUNTS = _TOLD = 1_000_000
_STRIDE = 2_654_435_761  # odd, so that multiples of it run through all addresses before one comes again

_REQUEST = (
    "REGISTER sip:pbx.example.net SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:5060;branch=z9hG4bK{token};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:{user}@pbx.example.net>;tag={token}\r\nTo: <sip:{user}@pbx.example.net>\r\n"
    "Call-ID: {token}@{ip}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{ip}:5060>\r\nExpires: 3600\r\n"
    "User-Agent: friendly-scanner\r\n{credential}Content-Length: 0\r\n\r\n"
)
_CREDENTIAL = (
    'Authorization: Digest username="{user}", realm="asterisk", nonce="{nonce}", uri="sip:pbx.example.net", '
    'response="{token}{token}", algorithm=MD5\r\n'
)
_ANSWER = (
    "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP {ip}:5060;rport=5060;received={ip};branch=z9hG4bK{token}\r\n"
    "From: <sip:{user}@pbx.example.net>;tag={token}\r\nTo: <sip:{user}@pbx.example.net>;tag=as{token}\r\n"
    "Call-ID: {token}@{ip}\r\nCSeq: {cseq} REGISTER\r\nServer: pbx\r\n"
    'WWW-Authenticate: Digest realm="asterisk", nonce="{nonce}", algorithm=MD5\r\nContent-Length: 0\r\n\r\n'
)


def spoofed(number: int) -> Address:
    """Give the address of a source: all different, in no order."""
    return (number * _STRIDE % (1 << 32)).to_bytes(4, "big")


def conversation(number: int, *, shown: bool = True) -> Iterator[tuple[bool, bytes]]:
    """Give what one source and the PBX send: whether it is the PBX, and the IP packet."""
    address = spoofed(number)
    fields = {"ip": show(address), "user": number % _ACCOUNTS, "token": f"{number:016x}"}
    own = f"{number:024x}"
    guesses = 6 if number % 1000 == 0 else int(number % 10 == 0)
    used = (f"made-up-{number}", f"{number - 1:024x}", own)[number // 10 % (3 if shown else 2)]
    if shown and guesses > 1:
        used = own
    for cseq in range(guesses + 1):
        credential = _CREDENTIAL.format(nonce=used, **fields) if cseq else ""
        asked = _REQUEST.format(cseq=cseq, credential=credential, **fields)
        yield False, packets.datagram(address, 5060, _PBX, 5060, asked.encode())
        refused = _ANSWER.format(cseq=cseq, nonce=own, **fields)
        yield True, packets.datagram(_PBX, 5060, address, 5060, refused.encode())


class Pauses:
    """How long the collector took each time it ran by itself or was called."""

    def __init__(self) -> None:
        self.spans: list[int] = []
        self._began = 0
        gc.callbacks.append(self._called)

    def _called(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time_ns()
        else:
            self.spans.append(time.thread_time_ns() - self._began)


def resident() -> int:
    """Read this process's resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def run(sources: int, *, by_itself: bool, shown: bool = True) -> dict[str, Any]:
    """Feed the sources to one engine; give memory, fills and pauses. With `by_itself` the collector runs unasked."""
    engine = Engine(Policy(), State())
    engine.feed(1, Names(Role.OWN, "host", (Network(_PBX, 32),)))
    memory = None if by_itself else Memory()
    if memory is not None:
        memory.pause()
        memory.settle()
    idle, pauses, fed = resident(), Pauses(), 0
    began = time.process_time_ns()
    for number in range(1, sources + 1):
        for outbound, packet in conversation(number, shown=shown):
            fed += 1
            hook = Hook.OUTPUT if outbound else Hook.PREROUTING
            engine.feed(fed * 50 * MICROSECOND, Frame(packet, hook, Origin.TAP))
            if memory is not None and fed % _SECOND == 0:
                memory.collect(time.perf_counter_ns, idle=False)
        if number % _TOLD == 0:
            sys.stderr.write(f"{number} sources, {fed} packets, {resident() // 1_000_000} MB\n")
    spent = time.process_time_ns() - began
    between = max(pauses.spans, default=0)
    if memory is not None:
        memory.collect(time.perf_counter_ns, idle=True)
    return {
        "sources": sources,
        "packets": fed,
        "idle_bytes": idle,
        "after_bytes": resident(),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "microseconds_each": round(spent / fed / 1000, 2),
        "pause_between_packets_ns": between,
        "pause_whole_ns": max(pauses.spans, default=0),
        "counters": engine.counters(),
    }


if __name__ == "__main__":
    found = run(int(sys.argv[1]), by_itself=sys.argv[2] == "automatic", shown="shown" in sys.argv[3:])
    sys.stdout.write(json.dumps(found) + "\n")
