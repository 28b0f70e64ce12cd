"""Replays files for tests, through the same code as `sipguard replay`."""

from __future__ import annotations

from pathlib import Path

from sipguard.address import parse_network
from sipguard.capture import files
from sipguard.geo.places import Places
from sipguard.model import NOWHERE, Lookups
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.replay import Replay, dump
from sipguard.report import Json


def policy_of(case: Path) -> Policy:
    """Read the policy of a pcap case, the default one where it has none."""
    path = case / "policy.toml"
    return load(path.read_text(encoding="utf-8")) if path.exists() else Policy()


def look_of(case: Path) -> Lookups:
    """Read where addresses are in a pcap case, nowhere where it does not say."""
    path = case / "places.mmdb"
    if not path.exists():
        return NOWHERE
    places = Places(print)
    places.load((str(path),))
    return places.look


def replay_of(case: Path) -> Replay:
    """Make ready to replay a pcap case, by its policy and its places."""
    return Replay(policy_of(case), look=look_of(case))


def run(
    path: Path, policy: Policy | None = None, pbx: tuple[str, ...] = (), look: Lookups = NOWHERE
) -> tuple[Replay, list[Json]]:
    """Replay one capture; gives the replay, for its counters, and its lines."""
    replay = Replay(policy or Policy(), tuple(parse_network(each) for each in pbx), look=look)
    return replay, [line for captured in files.read(path) for line in replay.feed(captured)]


def text(lines: list[Json]) -> list[str]:
    """Write lines as `expected.jsonl` has them."""
    return [dump(line) for line in lines]


def bans(lines: list[Json]) -> list[Json]:
    """Pick the lines that ban."""
    return [line for line in lines if line.get("action") == "block"]
