"""A list of addresses on its way from the keeper to the packet process: cut into messages, and put together again.

Each piece is read between two packets, so it is small. Bounded: a list that grows past `MOST` is dropped whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from sipguard.address import Network, parse_network
from sipguard.control.pair import Message
from sipguard.model import Feed

PIECE = 500
"""Networks in one message: some 2 ms of reading."""

MOST = 200_000
"""The most networks of one list."""


def pieces(feed: Feed) -> Iterator[Message]:
    """Cut a list into messages; an empty one is one message."""
    networks = feed.networks
    for start in range(0, max(len(networks), 1), PIECE):
        yield {
            "t": "feed",
            "name": feed.name,
            "block": feed.block,
            "first": start == 0,
            "last": start + PIECE >= len(networks),
            "networks": [str(network) for network in networks[start : start + PIECE]],
        }


class Gathering:
    """Puts the pieces of one list after the other together."""

    def __init__(self) -> None:
        self._name = ""
        self._networks: list[Network] = []

    def take(self, message: Message) -> Feed | None:
        """Take a piece; gives the list when it is whole. Raises KeyError, TypeError or ValueError."""
        name = str(message["name"])
        if message["first"] is True:
            self._name, self._networks = name, []
        if name != self._name or len(self._networks) > MOST:
            self._name, self._networks = "", []
            raise ValueError("a piece of a list that was not begun, or has no end")
        self._networks += [parse_network(str(each)) for each in message["networks"]]
        if message["last"] is not True:
            return None
        whole = Feed(name, tuple(self._networks), message["block"] is True)
        self._name, self._networks = "", []
        return whole
