"""The keeper's log: one structured line each, to standard error, whence systemd or a terminal takes it.

Promises: a line of the log is one line, whatever an attacker put into a field; a reader of the log that stalls or is
gone never stops the keeper. What is logged is said by those who call.
"""

from __future__ import annotations

import io
import json
import logging
import select
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from sipguard.control.text import clean

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Patient:
    """A stream that never waits: a stalled or closed reader loses lines, which are counted and told when it is back."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> None:
        """Write a line, at most PIPE_BUF bytes of it (poll(2): a pipe that is ready takes that many at once)."""
        if not self._ready():
            self._lost += 1
            return
        if self._lost:
            text, self._lost = f"({self._lost} lines of the log were lost)\n{text}", 0
        if len(text) > select.PIPE_BUF:
            text = text[: select.PIPE_BUF - 1] + "\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._lost += 1

    def flush(self) -> None:
        """Do nothing: each line has been flushed."""

    def _ready(self) -> bool:
        try:
            poll = select.poll()
            poll.register(self._stream.fileno(), select.POLLOUT)
            return any(events & select.POLLOUT for _, events in poll.poll(0))
        except io.UnsupportedOperation:  # no file, but memory
            return True
        except (OSError, ValueError):  # closed
            return False


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up logging: `level` one of LEVELS, `form` "text" or "json"; others mean "info" and "text"."""
    out = Patient(sys.stderr if stream is None else stream)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _as_json if form == "json" else _as_text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(out),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


def _as_json(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
    return json.dumps(event, sort_keys=True, default=str)


def _as_text(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
    """Write `time level event key=value ...`; values with a blank or a quote in them are quoted."""
    head = (clean(event.pop(key, "")) for key in ("timestamp", "level", "event"))
    return " ".join([*head, *_fields(event)])


def _fields(event: Mapping[str, Any]) -> list[str]:
    return [f"{clean(key)}={_quoted(value)}" for key, value in event.items()]


def _quoted(value: Any) -> str:
    text = clean(value)
    if text and not any(sign in text for sign in ' "='):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
