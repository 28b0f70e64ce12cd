"""Other people's captures of attacks: every attacker is known by its first request, and every dialler by what it dials.

The captures lie beside the project, not in it; without them these tests are skipped.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sipguard.capture import files
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.replay import Replay
from sipguard.report import Json

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
ATTACK = CORPUS / "attack"
QUIET = load('[detect.fingerprint]\nthen = "report"\n')

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of captures is not beside the project")


def replayed(path: Path, policy: Policy | None = None, ports: tuple[int, ...] | None = None) -> list[tuple[int, Json]]:
    """Give the lines of a capture, each with the number of its packet."""
    replay = Replay(policy or Policy(), ports=ports)
    return [(count, line) for count, each in enumerate(files.read(path), start=1) for line in replay.feed(each)]


def found(lines: list[tuple[int, Json]], detector: str) -> list[tuple[int, Json]]:
    return [(count, line) for count, line in lines if line.get("detector") == detector]


@pytest.mark.parametrize("name", ["svmap_options", "svwar_register", "svwar_invite", "svcrack_1001"])
def test_each_tool_of_sipvicious_is_known_by_its_first_request(name: str) -> None:
    lines = replayed(ATTACK / f"own--{name}.pcapng", ports=(15060,))
    count, finding = found(lines, "fingerprint")[0]
    assert (count, finding["identifier"], finding["severity"]) == (1, "sipvicious", 10)
    assert not [line for _, line in lines if line.get("action") == "block"]  # its address is the PBX's own


def test_all_eleven_scanners_that_come_a_few_times_a_day_are_known_by_their_first_packet() -> None:
    path = next(ATTACK.glob("*BadUserAgent*"))
    lines = replayed(path)
    first: dict[str, int] = {}
    for count, line in found(lines, "fingerprint"):
        first.setdefault(str(line["subject"]), count)
    seen: dict[str, int] = {}
    for count, each in enumerate(files.read(path), start=1):
        source = ".".join(map(str, each.data[26:30]))
        seen.setdefault(source, count)
    assert first == seen
    assert len(first) == 11
    assert not [line for _, line in lines if line.get("action") == "block"]  # nobody proved an address
    assert {line["evidence"]["target"] for _, line in found(lines, "fingerprint")} == {"131.243.0.1:5060"}
    agents = {line["evidence"]["agent"] for _, line in found(lines, "fingerprint")}
    assert agents == {"friendly-scanner", "Zeeko"}


def test_the_scanner_of_the_cesnet_capture_is_known_at_once_and_banned_at_its_first_guess() -> None:
    lines = replayed(ATTACK / "CESNET__ipfixprobe--inputs-sip.pcap")
    assert found(lines, "fingerprint")[0][0] == 1
    assert [(count, line["subject"]) for count, line in lines if line.get("action") == "block"] == [
        (30, "147.32.77.113")
    ]


def test_that_its_last_guess_was_right_is_told_where_nobody_stops_it_and_no_guess_is_shown() -> None:
    policy = load('[detect.fingerprint]\nthen = "report"\n[detect.credentials]\nthen = "report"\n')
    lines = replayed(ATTACK / "CESNET__ipfixprobe--inputs-sip.pcap", policy)
    right = [(count, line) for count, line in found(lines, "fingerprint") if line["identifier"] == "right guess"]
    assert [(count, line["evidence"]["account"]) for count, line in right] == [(48, "6001@asterisk")]
    assert "123456" not in str(lines)


def test_the_dialler_of_2018_is_known_by_its_first_call_and_by_its_third_prefix() -> None:
    path = next(ATTACK.glob("*SIP-3700*"))
    lines = replayed(path, QUIET)
    count, tool = found(lines, "fingerprint")[0]
    assert (count, tool["subject"], tool["identifier"]) == (1, "40.129.198.250", "sipcli")
    dialled = found(lines, "dialplan")
    assert {line["subject"] for _, line in dialled} == {"40.129.198.250"}
    assert dialled[0][1]["evidence"]["number"] == "...011972599501806"
    assert dialled[0][1]["evidence"]["prefixes"] == "none, 1010333, 1010555"


def test_the_fuzzer_is_slowed_down_and_nobody_else_is_touched() -> None:
    lines = replayed(CORPUS / "malformed" / "ntop__nDPI--fuzz-2006-06-26-2594.pcap")
    assert {line["detector"] for _, line in lines if line["kind"] == "finding"} == {"malformed"}
    assert {line["subject"] for _, line in lines} == {"192.168.1.2"}
    assert {line["action"] for _, line in lines if line["kind"] == "action"} == {"throttle"}
