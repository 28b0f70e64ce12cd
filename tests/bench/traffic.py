"""The generated mix: conversations of a PBX with phones and strangers, woven into one capture by their times.

Deterministic: the same size and seed give the same bytes. `SHARES` says what part of the messages each kind of
conversation has; it is the mix that docs/bench.md speaks of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sipguard.address import Address, subject_of
from sipguard.model import DAY, SECOND, Account, Instant, State, Trust
from sipguard.wire import pcap
from sipguard.wire.link import ETHERNET
from tests.bench import packets, scenes
from tests.bench.devices import REALM
from tests.bench.scenes import Line, Said

SHARES: tuple[tuple[str, float, Callable[[Line], list[Said]]], ...] = (
    ("registration, challenged", 0.06, scenes.registration),
    ("registration, refreshed", 0.06, scenes.refresh),
    ("registration, stale nonce", 0.03, scenes.stale_refresh),
    ("call, both legs", 0.30, scenes.call),
    ("OPTIONS, PBX to phone", 0.24, scenes.qualify),
    ("CRLF keep-alive", 0.06, scenes.keepalive),
    ("SUBSCRIBE and NOTIFY", 0.10, scenes.subscription),
    ("scan by OPTIONS", 0.04, scenes.scan_options),
    ("scan by REGISTER", 0.06, scenes.scan_register),
    ("guessing", 0.05, scenes.guessing),
)
BEGIN: Instant = 1_700_000_000 * SECOND
_PER_SECOND = 250  # messages; a PBX with some thousand phones
_PIECE = 1000
PHONES = 2000


class Sent:
    """One datagram of the mix: when, whence, whither, what, and what kind of message it is."""

    __slots__ = ("at", "frame", "kind", "outbound", "packet", "payload")

    def __init__(self, at: Instant, kind: str, packet: bytes, payload: bytes, *, outbound: bool) -> None:
        self.at = at
        self.kind = kind
        self.outbound = outbound
        self.packet = packet
        self.payload = payload
        self.frame = packets.ethernet(packet)


@dataclass(frozen=True, slots=True)
class Mix:
    """A generated capture: its datagrams in order, and the same as a pcap file, cut between packets.

    `state` is what a guard knows that has been running on that PBX: its phones are registered.
    """

    sent: Sequence[Sent]
    pieces: Sequence[bytes]
    state: State

    def kinds(self) -> dict[str, int]:
        """Count the messages of each kind, most frequent first."""
        return dict(Counter(each.kind for each in self.sent).most_common())


def mix(size: int, seed: int = 1) -> Mix:
    """Generate about `size` messages."""
    random = Random(seed)
    line = Line(random, scenes.phones(random, min(PHONES, max(8, size // 8))))
    span = max(60 * SECOND, size * SECOND // _PER_SECOND)
    sent: list[Sent] = []
    for _name, share, play in SHARES:
        wanted = max(1, round(size * share))
        made = 0
        while made < wanted:
            said = play(line)
            made += len(said)
            sent += _timed(said, BEGIN + random.randrange(span))
    sent.sort(key=lambda each: each.at)
    head = pcap.header(ETHERNET)
    records = [pcap.record(each.at, each.frame) for each in sent]
    pieces = [b"".join(records[start : start + _PIECE]) for start in range(0, len(records), _PIECE)]
    return Mix(sent, [head + pieces[0], *pieces[1:]], _running(line, BEGIN + span + DAY))


def _running(line: Line, until: Instant) -> State:
    registered = {(each.address, each.user): each for each in line.phones}
    return State(
        trust=tuple(
            Trust(subject_of(phone.address), Account(phone.user, REALM), until) for phone in registered.values()
        )
    )


def _timed(said: Sequence[Said], at: Instant) -> list[Sent]:
    found = []
    for each in said:
        at += each.after
        there: tuple[Address, int] = (each.address, each.port)
        here = (scenes.PBX, 5060)
        ends = (*here, *there) if each.outbound else (*there, *here)
        packet = packets.datagram(*ends, each.payload)
        found.append(Sent(at, each.kind, packet, each.payload, outbound=each.outbound))
    return found
