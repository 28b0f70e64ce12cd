"""The other end of the control socket, for the commands: plain, blocking, quick to import.

Promises: every failure is one of the three errors here, each of which says what it means; a reply is bounded in size
and time. Nothing is printed here.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sipguard.errors import AdapterError

ADAPTER = "control"
RESTART = 2.5
"""Seconds that a socket may be there with nobody behind it: so long it takes to start a keeper anew."""
REPLY = 64 * 1024 * 1024
"""The most bytes in one line of a reply."""


class NotRunningError(AdapterError):
    """Nobody answers at the control socket."""


class NotPermittedError(AdapterError):
    """The socket is there, but not for this user."""


class DeniedError(AdapterError):
    """The guard answered, and will not. `kind` is usage, refused, busy or broken."""

    def __init__(self, what: str, kind: str) -> None:
        self.kind = kind
        super().__init__(ADAPTER, what)


def request(path: Path, verb: str, args: Mapping[str, Any], timeout: float = 15) -> Any:
    """Ask once; give the body of the reply. Raises NotRunningError, NotPermittedError or DeniedError."""
    talk = _talk(path, verb, args, timeout)
    while True:
        try:
            next(talk)
        except StopIteration as end:
            return end.value


def events(path: Path, args: Mapping[str, Any], timeout: float | None = None) -> Iterator[dict[str, Any]]:
    """Give event lines as they come, until the guard ends them. Raises as `request` does."""
    yield from _talk(path, "events", args, timeout)


def _talk(
    path: Path, verb: str, args: Mapping[str, Any], timeout: float | None
) -> Generator[dict[str, Any], None, Any]:
    with _connect(path, timeout) as sock, sock.makefile("rb") as stream:
        try:
            with suppress(ConnectionError):  # turned away before it was said: why, waits to be read
                sock.sendall(json.dumps({"verb": verb, "args": args}).encode() + b"\n")
            while "event" in (message := _read(stream.readline(REPLY))):
                yield message["event"]
        except TimeoutError:
            raise NotRunningError(ADAPTER, f"the guard at {path} does not answer") from None
        except OSError as error:
            raise NotRunningError(ADAPTER, f"the guard went away: {error.strerror or error}") from None
    if message.get("ok") is not True:
        raise DeniedError(str(message.get("error", "no reason given")), str(message.get("kind", "refused")))
    return message.get("body")


def _read(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise NotRunningError(ADAPTER, "the guard ended the connection")
    try:
        message = json.loads(line)
    except ValueError:
        raise NotRunningError(ADAPTER, "what answers is not the guard") from None
    if not isinstance(message, dict):
        raise NotRunningError(ADAPTER, "what answers is not the guard")
    return message


def _connect(path: Path, timeout: float | None) -> socket.socket:
    end = time.monotonic() + RESTART
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(str(path))
        except PermissionError:
            sock.close()
            raise NotPermittedError(ADAPTER, f"this user may not open {path}") from None
        except OSError as error:
            sock.close()
            if not isinstance(error, ConnectionRefusedError) or time.monotonic() > end:
                raise NotRunningError(ADAPTER, f"nobody answers at {path} ({error.strerror or error})") from None
            time.sleep(0.1)
        else:
            return sock
