"""What a program on this host's kernel reads from tricky TCP is what `Streams` reads, or is among what it reads."""

from __future__ import annotations

import random

import pytest

from tests.wire.kernel import FIRST, Talk, Wire

pytestmark = pytest.mark.root


def test_overlapping_segments_that_differ_are_read_as_linux_reads_them(wire: Wire) -> None:
    for seed in range(60):
        choose = random.Random(seed)
        wire.renew()
        talk = Talk(wire)
        for turn in range(choose.randrange(2, 9)):
            talk.say(FIRST + choose.randrange(40), bytes([97 + turn]) * choose.randrange(1, 25))
        talk.say(FIRST, b"." * 70, "FA")
        read = talk.read()
        talk.close()
        assert len(read) == 70
        assert wire.heard() == read, seed


def test_a_decoy_with_an_old_timestamp_does_not_hide_the_text_that_linux_takes(wire: Wire) -> None:
    talk = Talk(wire, timestamps=True)
    talk.say(FIRST, b"OPTIONS harmless\r\n\r\n", value=5)
    talk.say(FIRST, b"REGISTER guess 1\r\n\r\n", "FA")
    assert talk.read() == b"REGISTER guess 1\r\n\r\n"
    talk.close()
    assert wire.texts == [(b"OPTIONS harmless\r\n\r\n", False), (b"REGISTER guess 1\r\n\r\n", True)]
    assert wire.flow is not None
    assert wire.flow.conflicts == 1


def test_data_without_the_ack_flag_are_read_by_nobody(wire: Wire) -> None:
    talk = Talk(wire)
    talk.say(FIRST, b"OPTIONS harmless", "P")
    talk.say(FIRST, b"REGISTER guess 1", "FA")
    assert talk.read() == wire.heard() == b"REGISTER guess 1"
    talk.close()


def test_the_urgent_byte_is_taken_out_as_linux_takes_it_out(wire: Wire) -> None:
    for pointer in (0, 1, 4, 9, 16):
        wire.renew()
        talk = Talk(wire)
        talk.say(FIRST, b"REGXISTER guess 1"[:16], "AU", urgent=pointer)
        talk.say(FIRST + 16, b"!", "FA")
        assert talk.read() == wire.heard(), pointer
        talk.close()


def test_a_reset_that_is_not_exact_ends_nothing(wire: Wire) -> None:
    talk = Talk(wire)
    talk.say(FIRST, b"REGISTER ")
    for offset in (-1, 1, 1000):
        talk.say(FIRST + 9 + offset, b"", "R")
    talk.say(FIRST + 9, b"guess 1", "FA")
    assert talk.read() == wire.heard() == b"REGISTER guess 1"
    talk.close()


def test_a_forged_syn_on_a_live_flow_changes_nothing(wire: Wire) -> None:
    talk = Talk(wire)
    talk.say(FIRST, b"REGISTER ")
    talk.say(777_777, b"", "S")
    talk.say(FIRST + 9, b"guess 1", "FA")
    assert talk.read() == wire.heard() == b"REGISTER guess 1"
    assert wire.flow is not None
    assert wire.flow.proven
    talk.close()


def test_the_same_connection_opened_anew_after_a_reset_is_read_from_its_start(wire: Wire) -> None:
    talk = Talk(wire)
    talk.say(FIRST, b"first call")
    talk.say(FIRST + 10, b"", "RA")
    talk.say(5_000_000, b"", "S")
    first, wire.texts = wire.texts, []
    assert first == [(b"first call", False)]
    assert wire.flow is not None
    assert not wire.flow.proven
    talk.say(5_000_001, b"second", ack=wire.flow.outward.next)
    assert wire.texts == [(b"second", False)]
    talk.close()


def test_what_the_kernel_sends_to_a_blind_spoofer_proves_nothing(wire: Wire) -> None:
    talk = Talk(wire)
    wire.renew()
    talk.port = next(wire.ports)
    talk.say(FIRST - 1, b"syn data", "S")
    for flags in ("A", "PA", "P", "", "FA", "F", "RA"):
        talk.say(FIRST, b"REGISTER guess 1\r\n", flags, ack=1)
        assert wire.flow is None or not (wire.flow.proven or wire.flow.confirmed), flags
    talk.listener.close()
    for flags in ("S", "A", "P", "FA", ""):
        talk.say(FIRST + 3, b"REGISTER guess 1\r\n", flags, ack=1)
        assert wire.flow is None or not (wire.flow.proven or wire.flow.confirmed), flags
    talk.close()


def test_one_honest_line_proves_its_sender(wire: Wire) -> None:
    talk = Talk(wire)
    assert wire.flow is not None
    assert wire.flow.confirmed
    assert not wire.flow.proven
    talk.say(FIRST, b"REGISTER")
    assert wire.flow.proven
    talk.close()
