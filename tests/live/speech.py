"""People who talk: a packet of speech each 20 ms, both ways, as long as it is wanted and no longer than a minute."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Iterator

from tests.lab.agent import Agent
from tests.lab.calls.stage import dial
from tests.lab.errors import LabError

_PACKETS = 3000
_SILENCE = b"\xd5" * 160  # PCMA


def described(text: str) -> int:
    """Give the port of the first media of a session description. Raises LabError where there is none."""
    found = re.search(r"m=audio (\d+)", text)
    if found is None:
        raise LabError(f"no media in {text!r}")
    return int(found.group(1))


@contextlib.contextmanager
def talking(phone: Agent, number: str, carrier: Agent) -> Iterator[None]:
    """Call, be answered, and talk at both ends while this lasts; then the phone hangs up."""
    inside = dial(phone, number)
    outside = carrier.called()
    outside.ring()
    outside.pick_up()
    answer = inside.final()
    if outside.asked is None:
        raise LabError("nobody has called")
    with _speech(phone, described(answer.body)), _speech(carrier, described(outside.asked.body)):
        yield
    inside.hang_up()
    outside.hung_up()


@contextlib.contextmanager
def _speech(agent: Agent, port: int) -> Iterator[None]:
    mouth = agent.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mouth.bind((agent.address, described(agent.sdp())))
    enough = threading.Event()

    def speak() -> None:
        for number in range(_PACKETS):
            head = struct.pack(">BBHII", 0x80, 8, number, number * 160, 4711)
            with contextlib.suppress(OSError):  # nobody listens yet, or any more
                mouth.sendto(head + _SILENCE, (agent.server, port))
            if enough.wait(0.02):
                return

    voice = threading.Thread(target=speak)
    with mouth:
        voice.start()
        try:
            yield
        finally:
            enough.set()
            voice.join()
