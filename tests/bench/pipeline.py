"""The whole pipeline and its stages over one generated capture, next to dpkt parsing the same bytes in the same run.

All passes are taken in turns, so that whatever else the machine does meets each of them; medians are compared, and only
within a run. Time is the processor's, of this process alone.
"""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

import dpkt  # type: ignore[import-untyped]

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
from sipguard.wire.pcap import Captured, Reader
from tests.bench.traffic import Mix

CHUNK = 1 << 18
_RAISED = (dpkt.UnpackError, ValueError, TypeError, AttributeError, IndexError)
"""What dpkt is known to raise on messages that it cannot read."""


@dataclass(slots=True)
class Speed:
    """Nanoseconds of each pass by name, and what the passes counted."""

    spans: dict[str, list[int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def typical(self, name: str) -> float:
        """Give the median of one pass's times, in nanoseconds."""
        return median(self.spans[name])


def _captured(file: bytes) -> Iterable[Captured]:
    reader = Reader()
    for start in range(0, len(file), CHUNK):
        yield from reader.packets(file[start : start + CHUNK])
    reader.close()


def _pcap(file: bytes) -> Mapping[str, int]:
    read = 0
    for _ in _captured(file):
        read += 1
    return {"packets": read}


def _link(file: bytes) -> Mapping[str, int]:
    for captured in _captured(file):
        strip(captured.linktype, captured.data)
    return {}


def _decode(file: bytes) -> Mapping[str, int]:
    fragments = Fragments()
    for captured in _captured(file):
        packet = strip(captured.linktype, captured.data)
        if packet is not None:
            decode(captured.at, packet, fragments)
    return {}


def _never(*_: object) -> bool:
    return False


def _intake(file: bytes) -> Mapping[str, int]:
    intake = Intake(Policy().ports, _never)
    for captured in _captured(file):
        packet = strip(captured.linktype, captured.data)
        if packet is not None:
            intake.read(captured.at, Frame(packet))
    return {}


def _track(file: bytes) -> Mapping[str, int]:
    policy = Policy()
    intake, tracker = (
        Intake(policy.ports, _never),
        Tracker(policy.track, Sides(policy.ports), lambda _at, _address: Standing.STRANGER),
    )
    for captured in _captured(file):
        packet = strip(captured.linktype, captured.data)
        if packet is not None:
            for heard in intake.read(captured.at, Frame(packet)):
                tracker.hear(captured.at, heard)
    return {}


def _engine(file: bytes) -> Mapping[str, int]:
    engine = Engine(Policy(), State())
    actions = 0
    for captured in _captured(file):
        packet = strip(captured.linktype, captured.data)
        if packet is not None:
            actions += len(engine.feed(captured.at, Frame(packet)))
    return {**engine.counters(), "actions": actions}


def _replay(file: bytes) -> Mapping[str, int]:
    replay = Replay(Policy())
    written = 0
    for captured in _captured(file):
        for line in replay.feed(captured):
            written += len(dump(line))
    return {"json_bytes": written}


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


def _dpkt(file: bytes) -> Mapping[str, int]:
    raised = 0
    for _at, frame in dpkt.pcap.Reader(io.BytesIO(file)):
        raised += not parse_by_dpkt(frame)
    return {"dpkt_raised": raised}


PASSES: Mapping[str, Callable[[bytes], Mapping[str, int]]] = {
    "engine": _engine,
    "dpkt": _dpkt,
    "pcap": _pcap,
    "link": _link,
    "decode": _decode,
    "intake": _intake,
    "track": _track,
    "replay": _replay,
}


def race(mix: Mix, rounds: int, names: Iterable[str] = tuple(PASSES)) -> Speed:
    """Run the named passes in turns, `rounds` times each."""
    speed = Speed()
    gc.collect()
    gc.freeze()  # the mix itself is no garbage of anybody's
    for _ in range(rounds):
        for name in names:
            gc.collect()
            began = time.process_time_ns()
            counts = PASSES[name](mix.file)
            speed.spans.setdefault(name, []).append(time.process_time_ns() - began)
            speed.counts.update(counts)
    gc.unfreeze()
    return speed
