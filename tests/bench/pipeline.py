"""The whole pipeline and its stages over one generated capture, next to dpkt parsing the same bytes in the same run.

The capture is cut into pieces of some hundred packets, and every pass takes each piece in turn before any takes the
next: whatever else the machine does at that moment meets all of them. Only ratios within a run mean something. Time is
the processor's, of this process alone.
"""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import dpkt  # type: ignore[import-untyped]

from sipguard.address import Network
from sipguard.engine import Engine
from sipguard.event import Standing
from sipguard.intake import Intake
from sipguard.model import Frame, State
from sipguard.policy.schema import Policy
from sipguard.replay import Replay, dump
from sipguard.track.sides import Sides
from sipguard.track.tracker import Tracker
from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import decode
from sipguard.wire.link import strip
from sipguard.wire.pcap import Reader
from tests.bench.scenes import PBX
from tests.bench.traffic import BEGIN, Mix

_RAISED = (dpkt.UnpackError, ValueError, TypeError, AttributeError, IndexError)
"""What dpkt is known to raise on messages that it cannot read."""


_NAMED = (Network(PBX, 32),)
"""The PBX's address, as `--pbx` names it, and as the live guard knows its own."""


@dataclass(slots=True)
class Speed:
    """Nanoseconds of each round by pass, and what the passes counted."""

    spans: dict[str, list[int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def typical(self, name: str) -> float:
        """Give the median of one pass's rounds, in nanoseconds."""
        return median(self.spans[name])


class Pass:
    """Takes a capture piece by piece; this one only reads the file, each further one does a stage more.

    `as_live`: the collector is off, as in the packet process, and called after each piece, within the time measured.
    """

    as_live = True

    def __init__(self) -> None:
        self.reader = Reader()

    def step(self, piece: bytes) -> None:
        """Take a piece."""
        for _ in self.reader.packets(piece):
            pass

    def counts(self) -> Mapping[str, int]:
        """Give what was counted."""
        return {}


class _Link(Pass):
    def step(self, piece: bytes) -> None:
        for captured in self.reader.packets(piece):
            strip(captured.linktype, captured.data)


class _Decode(Pass):
    def __init__(self) -> None:
        super().__init__()
        self.fragments = Fragments()

    def step(self, piece: bytes) -> None:
        for captured in self.reader.packets(piece):
            packet = strip(captured.linktype, captured.data)
            if packet is not None:
                decode(captured.at, packet, self.fragments)


def _never(*_: object) -> bool:
    return False


class _Intake(Pass):
    def __init__(self) -> None:
        super().__init__()
        self.intake = Intake(Policy().ports, _never)

    def step(self, piece: bytes) -> None:
        for captured in self.reader.packets(piece):
            packet = strip(captured.linktype, captured.data)
            if packet is not None:
                self.intake.read(captured.at, Frame(packet))


class _Track(_Intake):
    def __init__(self) -> None:
        super().__init__()
        policy = Policy()
        sides = Sides(policy.ports)
        sides.name(_NAMED)
        self.tracker = Tracker(policy.track, sides, lambda _at, _address: Standing.STRANGER)

    def step(self, piece: bytes) -> None:
        for captured in self.reader.packets(piece):
            packet = strip(captured.linktype, captured.data)
            if packet is not None:
                for heard in self.intake.read(captured.at, Frame(packet)):
                    self.tracker.hear(captured.at, heard)


class _Engine(Pass):
    def __init__(self, state: State | None = None) -> None:
        super().__init__()
        self.engine = Engine(replace(Policy(), pbx=_NAMED), state or State())
        self.engine.advance(BEGIN)  # takes up what is known of earlier lives: a start, and no message

    def step(self, piece: bytes) -> None:
        for captured in self.reader.packets(piece):
            packet = strip(captured.linktype, captured.data)
            if packet is not None:
                self.engine.feed(captured.at, Frame(packet))

    def counts(self) -> Mapping[str, int]:
        return self.engine.counters()


class _Replay(Pass):
    as_live = False

    def __init__(self) -> None:
        super().__init__()
        self.replay = Replay(Policy(), _NAMED)

    def step(self, piece: bytes) -> None:
        for captured in self.reader.packets(piece):
            for line in self.replay.feed(captured):
                dump(line)


def parse_by_dpkt(frame: bytes) -> bool:
    """Parse one Ethernet frame down to SIP, as dpkt does; False when it raises."""
    payload = dpkt.ethernet.Ethernet(frame).data.data.data
    try:
        if payload[:4] == b"SIP/":
            dpkt.sip.Response(payload)
        else:
            dpkt.sip.Request(payload)
    except _RAISED:
        return False
    return True


class _Dpkt(Pass):
    as_live = False

    def __init__(self) -> None:
        super().__init__()
        self.head = b""
        self.raised = 0

    def step(self, piece: bytes) -> None:
        if not self.head:  # the file's own, which dpkt wants at the start of each piece
            self.head, piece = piece[:24], piece[24:]
        for _at, frame in dpkt.pcap.Reader(io.BytesIO(self.head + piece)):
            self.raised += not parse_by_dpkt(frame)

    def counts(self) -> Mapping[str, int]:
        return {"dpkt_raised": self.raised}


PASSES: Mapping[str, Callable[[], Pass]] = {
    "engine": _Engine,
    "dpkt": _Dpkt,
    "pcap": Pass,
    "link": _Link,
    "decode": _Decode,
    "intake": _Intake,
    "track": _Track,
    "replay": _Replay,
}


def _timed(each: Pass, piece: bytes) -> int:
    if each.as_live:
        gc.disable()
    began = time.process_time_ns()
    each.step(piece)
    if each.as_live:
        gc.collect(1)
    took = time.process_time_ns() - began
    gc.enable()
    return took


def race(mix: Mix, rounds: int, names: Sequence[str] = tuple(PASSES)) -> Speed:
    """Let the named passes take the whole capture in step, `rounds` times."""
    speed = Speed()
    gc.collect()
    gc.freeze()  # the mix itself is no garbage of anybody's
    for _ in range(rounds):
        gc.collect()
        passes = {name: _Engine(mix.state) if name == "engine" else PASSES[name]() for name in names}
        spans = dict.fromkeys(names, 0)
        for piece in mix.pieces:
            for name, each in passes.items():
                spans[name] += _timed(each, piece)
        for name, each in passes.items():
            speed.spans.setdefault(name, []).append(spans[name])
            speed.counts.update(each.counts())
    gc.unfreeze()
    return speed
