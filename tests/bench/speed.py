"""Sections on speed: the whole next to dpkt, by stage, by kind of message."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from statistics import median

from sipguard.address import Network
from sipguard.engine import Engine
from sipguard.model import Frame
from sipguard.policy.schema import Policy
from tests.bench.outcome import Section
from tests.bench.pipeline import Speed, parse_by_dpkt
from tests.bench.scenes import PBX
from tests.bench.traffic import SHARES, Mix

_STAGES = (
    ("pcap", "capture file to frames"),
    ("link", "Ethernet off"),
    ("decode", "IPv4 and UDP"),
    ("intake", "ports, bans in force, SIP start line"),
    ("track", "headers, transactions, nonces, registrations"),
    ("engine", "events, detectors, decisions, actions"),
)


def mix_section(mix: Mix) -> Section:
    """Say what the capture holds."""
    section = Section("mix", "The mix", ("conversations", "of messages"))
    section.rows = [(name, f"{share:.0%}") for name, share, _ in SHARES]
    file_bytes = sum(map(len, mix.pieces))
    sizes = [len(each.payload) for each in mix.sent if len(each.payload) > 4]
    lines = [each.payload.partition(b"\r\n\r\n")[0].count(b"\r\n") for each in mix.sent if len(each.payload) > 4]
    credentials = sum(b"uthorization: Digest" in each.payload for each in mix.sent) / len(mix.sent)
    section.data = {
        "messages": len(mix.sent),
        "file_bytes": file_bytes,
        "kinds": mix.kinds(),
        "bytes_median": median(sizes),
        "headers_median": median(lines),
        "with_credentials": round(credentials, 3),
    }
    section.notes.append(
        f"{len(mix.sent):,} messages, {file_bytes / 1e6:.1f} MB; without keep-alives {median(sizes):.0f} bytes and "
        f"{median(lines):.0f} headers in the median, {min(sizes)} to {max(sizes)} bytes, {min(lines)} to {max(lines)} "
        f"headers; {credentials:.0%} carry credentials"
    )
    return section


def race_section(mix: Mix, speed: Speed) -> Section:
    """Compare the whole pipeline with dpkt parsing the same bytes."""
    count = len(mix.sent)
    section = Section("whole", "The whole pipeline, next to dpkt", ("pass", "messages/s", "µs each", "ratio"))
    base = speed.typical("dpkt")
    names = {"engine": "sipguard, whole", "replay": "sipguard replay, with JSON", "dpkt": "dpkt, parsing only"}
    for name, shown in names.items():
        span = speed.typical(name)
        section.rows.append((shown, f"{count * 1e9 / span:,.0f}", f"{span / count / 1000:.2f}", f"{base / span:.2f}"))
        section.data[name] = {"per_second": round(count * 1e9 / span), "ratio": round(base / span, 3)}
    pairs = [ours / theirs for ours, theirs in zip(speed.spans["dpkt"], speed.spans["engine"], strict=True)]
    section.data["ratio_range"] = [round(min(pairs), 3), round(max(pairs), 3)]
    section.data["counts"] = speed.counts
    section.notes = [
        f"{len(pairs)} rounds in turns, medians; the ratio round by round was {min(pairs):.2f} to {max(pairs):.2f}",
        f"dpkt raised on {speed.counts['dpkt_raised']:,} of {count:,}: it cannot read keep-alives",
        f"the engine read {speed.counts['messages']:,} messages and banned {speed.counts['held_blocked']} guessers",
    ]
    return section


def stage_section(mix: Mix, speed: Speed) -> Section:
    """Give what each stage adds, by difference."""
    section = Section("stages", "Cost by stage, by difference", ("up to", "µs", "adds", "of all"))
    whole = speed.typical("engine") / len(mix.sent) / 1000
    before = 0.0
    for name, what in _STAGES:
        span = speed.typical(name) / len(mix.sent) / 1000
        section.rows.append(
            (f"{name}: {what}", f"{span:.2f}", f"{span - before:.2f}", f"{(span - before) / whole:.0%}")
        )
        section.data[name] = round(span - before, 3)
        before = span
    return section


def kind_section(mix: Mix, rounds: int) -> Section:
    """Time every message alone, ours and dpkt's; medians of each kind."""
    ours: dict[str, list[int]] = {}
    theirs: dict[str, list[int]] = {}
    clock = time.perf_counter_ns
    for _ in range(rounds):
        gc.collect()
        engine = Engine(replace(Policy(), pbx=(Network(PBX, 32),)), mix.state)
        for each in mix.sent:
            frame = Frame(each.packet)
            began = clock()
            engine.feed(each.at, frame)
            ours.setdefault(each.kind, []).append(clock() - began)
            began = clock()
            parse_by_dpkt(each.frame)
            theirs.setdefault(each.kind, []).append(clock() - began)
    title = "Cost by kind of message, µs in the median, clock included"
    section = Section("kinds", title, ("kind", "messages", "engine", "dpkt", "ratio"))
    for kind, count in mix.kinds().items():
        mine, other = median(ours[kind]) / 1000, median(theirs[kind]) / 1000
        section.rows.append((kind, f"{count:,}", f"{mine:.1f}", f"{other:.1f}", f"{other / mine:.2f}"))
        section.data[kind] = {"messages": count, "engine": round(mine, 2), "dpkt": round(other, 2)}
    return section
