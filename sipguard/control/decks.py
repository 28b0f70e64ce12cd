"""The rate deck on its way from the keeper to the packet process: read by the one, put together by the other.

The packet process reads no file, and a deck of 100,000 prices takes seconds to parse: the keeper does that.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from sipguard.control.pair import Message
from sipguard.model import Rates

PIECE = 24_000
"""Bytes of a deck in one message."""
MOST = 32 << 20
"""The most bytes of a packed deck."""


def pieces(packed: bytes) -> Iterator[Message]:
    """Cut a deck into messages; none at all is one empty message."""
    for start in range(0, max(len(packed), 1), PIECE):
        data = base64.b64encode(packed[start : start + PIECE]).decode("ascii")
        yield {"t": "rates", "first": start == 0, "last": start + PIECE >= len(packed), "data": data}


class Gathering:
    """Puts the pieces together."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0

    def take(self, message: Message) -> Rates | None:
        """Take a piece; gives the deck when it is whole. Raises KeyError or ValueError."""
        if message["first"] is True:
            self._pieces, self._held = [], 0
        try:
            piece = base64.b64decode(str(message["data"]), validate=True)
        except binascii.Error as error:
            raise ValueError("a piece of a rate deck that is no base64") from error
        self._held += len(piece)
        if self._held > MOST:
            self._pieces, self._held = [], 0
            raise ValueError("a rate deck that has no end")
        self._pieces.append(piece)
        if message["last"] is not True:
            return None
        whole = Rates(b"".join(self._pieces))
        self._pieces, self._held = [], 0
        return whole
