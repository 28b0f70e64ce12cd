"""What others chose cannot act on a terminal or a log."""

from __future__ import annotations

import io
import json
import os

import structlog
from hypothesis import given
from hypothesis import strategies as st

from sipguard.control import journal
from sipguard.control.text import clean

HOSTILE = "\x1b[2J[/x]\r\nfake line\x00\u202egpj\udcff\x9b31m\u2028"


@given(st.text(st.characters()))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    assert clean(text).isprintable()
    assert clean(text, most=10**9) == text or not text.isprintable()


def test_control_characters_are_shown() -> None:
    assert clean(HOSTILE) == "\\x1b[2J[/x]\\x0d\\x0afake line\\x00\\u202egpj\\udcff\\x9b31m\\u2028"
    assert len(clean("a" * 10_000)) == 500


def test_a_line_of_the_log_is_one_line_in_both_forms() -> None:
    for form in ("text", "json"):
        out = io.StringIO()
        journal.configure("info", form, out)
        structlog.get_logger().info("decision", subject=HOSTILE, reason='x" verdict=release')
        structlog.get_logger().debug("not shown")
        (line,) = out.getvalue().splitlines()
        assert line.isprintable()
        if form == "json":
            assert json.loads(line)["subject"] == HOSTILE
        else:
            assert '"x\\" verdict=release"' in line
    journal.configure("info", "text")


def test_a_closed_stream_is_no_error() -> None:
    out = io.StringIO()
    journal.configure("info", "text", out)
    out.close()
    structlog.get_logger().info("decision")
    journal.configure("info", "text")


def test_a_stalled_reader_of_the_log_stops_nobody_and_hears_what_it_missed() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb", buffering=0) as reader:
        journal.configure("info", "json", stream)
        for number in range(2000):
            structlog.get_logger().info("decision", number=number, text="x" * 400)
        got = reader.read(1 << 20)
        structlog.get_logger().info("last")
        assert b"lines of the log were lost" in reader.read(1 << 20)
        assert got.count(b"\n") < 2000
    journal.configure("info", "text")
