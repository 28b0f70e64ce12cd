"""Other people's captures: no exception, nobody innocent banned, and the guesser found at the right packet.

The captures lie beside the project, not in it; without them these tests are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sipguard.capture import files
from sipguard.policy.load import load
from sipguard.replay import Replay
from tests.replay.replaying import bans, run

CORPUS = Path(os.environ.get("SIPGUARD_CORPUS", Path(__file__).resolve().parents[3] / "shared" / "corpus"))
INNOCENT = sorted(
    path
    for folder in ("benign", "malformed", "not-sip")
    for path in (CORPUS / folder).glob("*")
    if path.suffix in {".pcap", ".pcapng", ".fuzzed"} and "fuzz-2006" not in path.name
)
"""Without the capture of a fuzzer at work, which is found, and rightly so: `test_corpus_tools.py`."""

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of captures is not beside the project")


@pytest.mark.parametrize("path", INNOCENT, ids=lambda path: path.name)
def test_no_capture_of_honest_or_broken_traffic_leads_to_an_action_against_anybody(path: Path) -> None:
    replay, lines = run(path)
    assert replay.packets > 0
    assert lines == []


def test_the_webex_phone_that_nobody_answers_leaves_no_finding() -> None:
    replay, lines = run(CORPUS / "benign" / "ntop__nDPI--webex.pcap")
    assert replay.counters()["messages"] == 22
    assert lines == []


def test_the_guesser_of_the_cesnet_capture_is_banned_at_its_fifth_rejected_guess() -> None:
    path = CORPUS / "attack" / "CESNET__ipfixprobe--inputs-sip.pcap"
    replay = Replay(load("[detect.fingerprint]\nenabled = false\n"))  # its tool is known before it guesses
    banned_at = []
    for count, captured in enumerate(files.read(path), start=1):
        banned_at += [(count, line["subject"]) for line in replay.feed(captured) if line.get("action") == "block"]
    assert [subject for _, subject in banned_at] == ["147.32.77.113"]
    assert banned_at[0][0] == 42  # the fifth 401 to a credential: packets 32, 36, 38, 40 and 42


def test_svcrack_on_the_pbxs_own_address_is_found_but_not_banned() -> None:
    _, lines = run(CORPUS / "attack" / "own--svcrack_1001.pcapng")
    assert bans(lines) == []
    found = [line for line in lines if line.get("detector") == "credentials"]
    assert found
    assert {line["subject"] for line in found} == {"127.0.0.1"}
    of_senders = [line for line in lines if line["kind"] == "decision" and line["subject"] == "127.0.0.1"]
    assert {line["verdict"] for line in of_senders} == {"exempt"}


def test_the_password_that_svcrack_found_is_told_and_its_account_may_not_call() -> None:
    _, lines = run(CORPUS / "attack" / "own--svcrack_1001.pcapng")
    assert [line["subject"] for line in lines if line.get("detector") == "passwordfound"] == ["1001@asterisk"]
    assert [line["subject"] for line in lines if line.get("verdict") == "quarantine"] == ["1001@asterisk"]


def test_the_password_found_in_the_cesnet_capture_is_told_when_nobody_stopped_the_guesser() -> None:
    policy = load('[detect.credentials]\nthen = "report"\n[detect.fingerprint]\nthen = "report"\n')
    replay = Replay(policy)
    found = []
    for count, captured in enumerate(files.read(CORPUS / "attack" / "CESNET__ipfixprobe--inputs-sip.pcap"), start=1):
        found += [(count, line) for line in replay.feed(captured) if line.get("detector") == "passwordfound"]
    assert len(found) == 1
    assert found[0][1]["subject"].startswith("6001@")
    assert found[0][1]["evidence"]["source"] == "147.32.77.113"


@pytest.mark.parametrize("name", ["own--svmap_options", "own--svwar_register", "own--svwar_invite"])
def test_scans_without_credentials_are_no_guessing(name: str) -> None:
    _, lines = run(CORPUS / "attack" / f"{name}.pcapng")
    assert not [line for line in lines if line.get("detector") in {"credentials", "passwordfound"}]
    assert bans(lines) == []
