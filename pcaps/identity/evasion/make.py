"""The wrong name is written in compact, folded and oddly cased headers, behind a display name that looks right."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
plain = made.add


def disguised(at: int, source: tuple[str, int], target: tuple[str, int], payload: bytes) -> None:
    """Write From so that a hasty reader takes it for the right one."""
    payload = payload.replace(b"From: <sip:2000@", b'f :\r\n\t":1001@" <sip:2000@')
    plain(at, source, target, payload.replace(b"Authorization: Digest", b"AUTHORIZATION:\r\n dIGEST"))


phone = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
for number in range(5):
    phone.register(600 * number * SECOND, "Zw7-1001-quiet", good=True)
made.add = disguised  # type: ignore[method-assign]
Phone(made, "198.51.100.20", 5060, "1001", "lab phone", name="2000").register(
    3100 * SECOND, "Zw7-1001-quiet", good=True
)
made.write(__file__)
