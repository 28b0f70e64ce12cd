"""The rate deck on its way from the keeper to the packet process: read by the one, put together by the other.

The packet process reads no file, and a deck of 100,000 prices takes seconds to parse: the keeper does that in a thread,
at the start, when the policy is read again, and each minute when the file has changed or a new day has come, with which
prices come into force. A deck with errors is told of, and the one before it stays.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import date

from sipguard.control.pair import Message
from sipguard.feeds.deck import DeckWatch, Loaded
from sipguard.model import Rates

PIECE = 24_000
"""Bytes of a deck in one message."""
MOST = 32 << 20
"""The most bytes of a packed deck."""
EVERY = 60.0
"""Seconds between two looks at the file."""
SHOWN = 5


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


class Decks:
    """The deck that the policy wants; `send` passes messages on, `alert` tells the operator."""

    def __init__(self, send: Callable[[Message], None], alert: Callable[[str, str, str], None]) -> None:
        self._send = send
        self._alert = alert
        self._watch = DeckWatch()
        self._path = self._currency = ""
        self._packed = b""
        self._prefixes = 0
        self._in_use = ""

    async def want(self, path: str, currency: str) -> None:
        """Take up what a policy says: a file ("" for none), and the currency for one that names none."""
        self._path, self._currency = path, currency
        await self.look()

    async def look(self) -> None:
        """Read the file if it is another than before, and pass it on; what is wrong with it is told."""
        found = await asyncio.to_thread(self._watch.look, self._path, self._currency, date.today())  # noqa: DTZ011
        if found is None:
            return
        if isinstance(found, Loaded):
            self._packed, self._prefixes, self._in_use = found.packed, found.prefixes, found.currency
            self.present()
            return
        first = "; ".join(str(each) for each in found.problems[:SHOWN])
        more = f" and {found.total - SHOWN} more" if found.total > SHOWN else ""
        kept = "the prices before it stay" if self._packed else "calls have no price until it is good"
        self._alert("rates-refused", self._path, f"{first}{more}; {kept}")

    def present(self) -> None:
        """Pass on what is in use, as for a packet process that was started anew."""
        for message in pieces(self._packed):
            self._send(message)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(EVERY)
            await self.look()

    def about(self) -> dict[str, str | int]:
        """Tell of the deck, for `status`."""
        return {"file": self._path, "prefixes": self._prefixes, "currency": self._in_use}
