"""Replays files for tests, through the same code as `sipguard replay`."""

from __future__ import annotations

from pathlib import Path

from sipguard.address import parse_network
from sipguard.capture import files
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.replay import Replay, dump
from sipguard.report import Json


def policy_of(case: Path) -> Policy:
    """Read the policy of a pcap case, the default one where it has none."""
    path = case / "policy.toml"
    return load(path.read_text(encoding="utf-8")) if path.exists() else Policy()


def run(path: Path, policy: Policy | None = None, pbx: tuple[str, ...] = ()) -> tuple[Replay, list[Json]]:
    """Replay one capture; gives the replay, for its counters, and its lines."""
    replay = Replay(policy or Policy(), tuple(parse_network(each) for each in pbx))
    return replay, [line for captured in files.read(path) for line in replay.feed(captured)]


def text(lines: list[Json]) -> list[str]:
    """Write lines as `expected.jsonl` has them."""
    return [dump(line) for line in lines]


def bans(lines: list[Json]) -> list[Json]:
    """Pick the lines that ban."""
    return [line for line in lines if line.get("action") == "block"]
