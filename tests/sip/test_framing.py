"""Streams are cut into messages by their bytes alone, within bounds, and lose no more than what is broken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.sip.framing import MAX_BODY, Framer
from sipguard.sip.grammar import MAX_HEAD, MAX_LINE
from sipguard.sip.message import Fault
from tests.sip.build import build, read

PLAIN = build()
BODY = build("MESSAGE sip:a SIP/2.0", body="hello", content_length="5", cseq="1 MESSAGE")
ANSWER = build("SIP/2.0 200 OK")


def feed(data: bytes, step: int) -> tuple[list[bytes], Framer]:
    framer = Framer()
    return [message for at in range(0, len(data), step) for message in framer.feed(data[at : at + step])], framer


def test_messages_come_out_whole_however_the_stream_is_cut() -> None:
    stream = PLAIN + b"\r\n\r\n" + BODY + ANSWER + BODY
    for step in (1, 2, 3, 7, 100, 500, len(stream)):
        messages, framer = feed(stream, step)
        assert messages == [PLAIN, BODY, ANSWER, BODY]
        assert (framer.faults, framer.pending) == (0, 0)


def test_keep_alives_are_skipped_without_a_fault() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n\r\n") == []
    assert framer.feed(b"\r\n") == []
    assert (framer.pending, framer.faults) == (0, 0)
    assert framer.feed(PLAIN) == [PLAIN]


def test_compact_folded_and_odd_content_lengths_are_found() -> None:
    for line in ("l: 5", "L : 5", "CONTENT-length:\r\n 5", "l:\t5 "):
        message = build("MESSAGE sip:a SIP/2.0", line, body="hello", content_length=None)
        assert feed(message + PLAIN, 1)[0] == [message, PLAIN]


def test_a_content_length_in_another_header_or_in_a_body_is_none() -> None:
    message = build("MESSAGE sip:a SIP/2.0", "X: y\r\n l: 900", body="l: 99", content_length="5")
    messages, framer = feed(message + PLAIN, 1)
    assert (messages, framer.faults) == ([message, PLAIN], 0)


def test_garbage_is_skipped_up_to_the_next_start_line_and_counted_once() -> None:
    messages, framer = feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\xff\xfe junk\r\n" + PLAIN, 1)
    assert (messages, framer.faults) == ([PLAIN], 1)


def test_a_message_after_blanks_or_nul_is_found() -> None:
    for before in (b" ", b"\t", b"\0\0\0\0"):
        assert feed(before + PLAIN, 1)[0] == [before + PLAIN]


def test_a_start_line_that_ends_with_cr_alone_is_found() -> None:
    message = PLAIN.replace(b"SIP/2.0\r\n", b"SIP/2.0\r", 1)
    assert feed(message + ANSWER, 1)[0] == [message, ANSWER]


def test_after_a_gap_the_next_start_line_is_found() -> None:
    framer = Framer()
    framer.feed(BODY[:-3])
    framer.gap()
    assert framer.pending == 0
    assert framer.feed(b"llo" + b"ute:\r\n more\r\n\r\n" + PLAIN + ANSWER) == [PLAIN, ANSWER]
    assert framer.faults == 2


def test_a_gap_in_front_of_a_start_line_costs_nothing_but_the_message_before() -> None:
    framer = Framer()
    framer.feed(PLAIN[:50])
    framer.gap()
    assert framer.feed(PLAIN) == [PLAIN]


def test_a_message_with_no_or_a_bad_length_loses_its_body_and_no_more() -> None:
    for length in (None, "-1", "x", "99999999999"):
        message = build("MESSAGE sip:a SIP/2.0", body="hello", content_length=length)
        messages, framer = feed(message + b"\r\n" + PLAIN, 1)
        assert messages == [message[:-5], PLAIN]
        assert framer.faults == 2  # the length, and the body that is garbage now


def test_two_lengths_are_a_fault_and_the_first_counts_as_it_does_in_the_message() -> None:
    message = build("MESSAGE sip:a SIP/2.0", "l: 2", body="hello", content_length="5")
    messages, framer = feed(message, 1)
    assert messages == [message]
    assert read(messages[0]).body == b"hello"
    assert framer.faults == 1


def test_a_body_too_large_is_not_waited_for() -> None:
    message = build(content_length=str(MAX_BODY + 1))
    messages, framer = feed(message, len(message))
    assert messages == [message]
    assert Fault.CONTENT_LENGTH_MISMATCH in read(message).faults
    assert (framer.faults, framer.pending) == (1, 0)


def test_a_head_without_end_is_given_out_at_its_limit_and_the_stream_goes_on() -> None:
    endless = PLAIN[:-2] + b"X: y\r\n" * 20_000
    for step in (777, len(endless)):
        messages, framer = feed(endless + b"\r\n" + PLAIN, step)
        assert messages == [endless[:MAX_HEAD], PLAIN]
        assert Fault.NO_BLANK_LINE in read(messages[0]).noted
        assert framer.faults == 2  # the head, and the rest of it that is garbage now


def test_a_line_without_end_is_dropped_as_it_comes() -> None:
    framer = Framer()
    for _ in range(200):
        framer.feed(b"x" * 1000)
        assert framer.pending <= MAX_LINE + 1000
    assert framer.feed(b"\r\n" + PLAIN) == [PLAIN]
    assert framer.faults == 1


def test_nothing_waits_beyond_the_budget() -> None:
    framer = Framer()
    head = build(content_length=str(MAX_BODY))
    framer.feed(head[:-2] + b"Y: " + b"y" * (MAX_HEAD - len(head) - 3) + b"\r\n\r\n"[:4])
    for _ in range(MAX_BODY // 1000):
        framer.feed(b"z" * 1000)
        assert framer.pending <= MAX_HEAD + MAX_BODY


def test_an_odd_end_of_the_head_is_a_fault_of_the_flow() -> None:
    # Kamailio ends a head at LF LF, Asterisk goes on to LF CRLF: whoever sends it wants to be read in two ways
    messages, framer = feed(PLAIN.replace(b"\r\n\r\n", b"\n\n") + PLAIN, 1)
    assert messages == [PLAIN.replace(b"\r\n\r\n", b"\n\n"), PLAIN]
    assert framer.faults == 1


_PIECES = [b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\0", b" ", b"l: 7\r\n", b"OPTIONS sip:a SIP/2.0\r\n", b"x"]
CHUNKS = st.lists(st.sampled_from([PLAIN, BODY, ANSWER, *_PIECES]) | st.binary(max_size=30), max_size=12)


@given(CHUNKS, st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_how_a_stream_is_cut_makes_no_difference(chunks: list[bytes], steps: list[int]) -> None:
    stream = b"".join(chunks)
    whole = Framer()
    expected = whole.feed(stream)
    pieces, found, at = Framer(), [], 0
    while at < len(stream):
        step = steps[at % len(steps)]
        found += pieces.feed(stream[at : at + step])
        at += step
    assert found == expected
    assert (pieces.faults, pieces.pending) == (whole.faults, whole.pending)


@given(CHUNKS)
def test_one_byte_at_a_time_gives_the_same_messages(chunks: list[bytes]) -> None:
    stream = b"".join(chunks)
    assert feed(stream, 1)[0] == Framer().feed(stream)


@given(st.lists(st.sampled_from([PLAIN, BODY, ANSWER]), max_size=5), st.integers(0, 3))
def test_no_honest_message_is_lost(messages: list[bytes], blanks: int) -> None:
    framer = Framer()
    assert framer.feed((b"\r\n" * blanks).join([*messages, b""])) == messages
    assert framer.faults == 0
