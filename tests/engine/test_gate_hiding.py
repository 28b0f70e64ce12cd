"""What is written so that the gate may overlook it: in headers before it, beyond what is read, under another name."""

from __future__ import annotations

import pytest

from sipguard.model import VerdictKind
from tests.engine.gated import asked, text, verdict
from tests.engine.story import PBX, PBX6, Story, ip, udp

STRANGER = "203.0.113.66"
OFFICE = "198.51.100.20"
ACCEPT, DROP, DEFER = VerdictKind.ACCEPT, VerdictKind.DROP, VerdictKind.DEFER
SCANNER = "User-Agent: friendly-scanner"


def test_a_datagram_of_which_the_kernel_gave_all_but_the_end_is_judged_by_the_rest() -> None:
    scan = text("OPTIONS", 1, more=SCANNER)
    packet = udp(STRANGER, 5062, PBX, 5060, scan + b"x" * (65_507 - len(scan)))
    assert verdict(Story(), packet[:65_531]).kind is DROP


@pytest.mark.parametrize("count", [1, 187, 300, 8_000])
def test_no_number_of_headers_before_it_hides_a_message(count: int) -> None:
    scan, plain = (text("OPTIONS", 1, more=more) for more in (SCANNER, ""))
    chain = bytes([60, 0, 1, 4, 0, 0, 0, 0]) * (count - 1) + bytes([17, 0, 1, 4, 0, 0, 0, 0])
    story = Story()
    for payload in (scan, plain):
        said = verdict(story, ip(60, "2001:db8:66::1", PBX6, chain + udp(STRANGER, 5062, PBX, 5060, payload)[20:]))
        assert said.kind is (DROP if payload is scan or count > 256 else ACCEPT)


@pytest.mark.parametrize("method", ["BYE", "CANCEL", "PRACK"])
def test_what_ends_a_call_that_never_was_is_no_way_to_guess_passwords(method: str) -> None:
    story = Story()
    story.register(OFFICE)
    strange, home = story.challenge(STRANGER), story.challenge(OFFICE)
    kinds = [asked(story, STRANGER, text(method, number, nonce=strange)) for number in range(8)]
    assert kinds == [ACCEPT] * 5 + [DEFER] * 3
    for number in range(8):
        assert asked(story, STRANGER, text(method, 50 + number)) is ACCEPT  # the PBX judges nothing of these
        assert asked(story, OFFICE, text(method, 80 + number, nonce=home)) is ACCEPT
