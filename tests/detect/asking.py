"""Requests of strangers for the detectors' tests, each with a key of its own, so that none is a copy."""

from __future__ import annotations

from collections.abc import Sequence

from sipguard.detect import catalogue
from sipguard.model import Finding
from sipguard.policy.schema import Policy
from tests.engine.story import PBX, Story

STRANGER = "203.0.113.66"


def policy(**detect: object) -> Policy:
    """Give the default policy but for the tables named."""
    return Policy(detect=catalogue.Config(**detect))  # type: ignore[arg-type]


def request(
    number: int,
    method: str = "OPTIONS",
    uri: str = f"sip:100@{PBX}",
    *,
    source: str = STRANGER,
    change: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Write a request; `change` replaces texts in it."""
    text = (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {source}:5062;branch=z9hG4bKb{number};rport\r\n"
        f"From: <sip:200@{source}>;tag=t{number}\r\nTo: <sip:100@{PBX}>\r\nCall-ID: c{number}@{source}\r\n"
        f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:200@{source}>\r\n"
        "User-Agent: a phone\r\nContent-Length: 0\r\n\r\n"
    )
    for old, new in change:
        assert old in text
        text = text.replace(old, new, 1)
    return text.encode("utf-8")


def found(story: Story, detector: str) -> list[Finding]:
    """List a detector's findings."""
    return [each for each in story.findings() if each.detector == detector]
