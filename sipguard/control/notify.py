"""Telling systemd how we are: sd_notify(3) as what it is, one datagram to the socket named in the environment.

Promises: never blocks, never raises, says nothing where there is no systemd. The environment is read by the caller.
"""

from __future__ import annotations

import socket
from contextlib import suppress


class Notify:
    """A line to the service manager. `address` is the value of `$NOTIFY_SOCKET`, empty where there is none."""

    __slots__ = ("_address", "_socket", "_status")

    def __init__(self, address: str) -> None:
        self._status = ""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """Say that start-up, or a reload, is over."""
        self._say("READY=1")

    def reloading(self, monotonic_ns: int) -> None:
        """Say that a new policy is being taken in; `ready` must follow. The time is CLOCK_MONOTONIC's."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns // 1000}")

    def alive(self) -> None:
        """Say that the loop has turned; systemd restarts us when this is not said for WatchdogSec."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that we are about to end."""
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`; the same line is not sent twice."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={text}")

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _say(self, text: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # systemd is restarting, or its queue is full: there will be a next time
                self._socket.sendto(text.encode(), self._address)
