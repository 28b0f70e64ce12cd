"""This host's own addresses and gateways, as the kernel tells them, and word when its addresses change.

Whoever may never be banned starts with these. Reading never ends by what arrives.
"""

from __future__ import annotations

from collections.abc import Callable

from sipguard.address import Network
from sipguard.capture import netlink
from sipguard.errors import AdapterError
from sipguard.netfilter import nfnetlink, rtnetlink

ADAPTER = "host"

_ROUTE = 0  # NETLINK_ROUTE
_READ_BYTES = 131_072
_TRIES = 5


class Host:
    """A watch on the addresses of the network namespace that the object was made in. Raises AdapterError."""

    def __init__(self) -> None:
        self._watch = netlink.opened(_ROUTE, rtnetlink.WATCH_ADDRESSES, ADAPTER)
        self._watch.setblocking(False)

    def fileno(self) -> int:
        """Give the descriptor to poll: readable when addresses may have changed."""
        return self._watch.fileno()

    def close(self) -> None:
        """Stop watching; done twice it is the same."""
        self._watch.close()

    def changed(self) -> bool:
        """Tell whether addresses may have changed since last asked, and forget it. Never raises for what arrives."""
        news = False
        for _attempt in range(1_000):
            try:
                self._watch.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                # ENOBUFS: more changed than the buffer holds, which is a change too.
                return True
            news = True
        return news

    def addresses(self) -> tuple[Network, ...]:
        """Give the own addresses on all interfaces, each as a network of one, in order. Raises AdapterError."""

        def own(message: nfnetlink.Message) -> list[Network]:
            found = rtnetlink.address(message)
            return [] if found is None else [found]

        return _dumped(rtnetlink.GET_ADDRESS, own)

    def gateways(self) -> tuple[Network, ...]:
        """Give the gateways of all routes, each as a network of one, in order. Raises AdapterError."""
        return _dumped(rtnetlink.GET_ROUTE, rtnetlink.gateways)


def _dumped(kind: int, read: Callable[[nfnetlink.Message], list[Network]]) -> tuple[Network, ...]:
    """Ask over a socket of its own, so that news and answers never mix."""
    made = netlink.opened(_ROUTE, 0, ADAPTER)
    try:
        for sequence in range(1, _TRIES + 1):
            found: set[Network] = set()
            made.send(rtnetlink.ask(kind, sequence))
            if _complete(made.recv, sequence, read, found):
                break
    except OSError as error:
        raise AdapterError(ADAPTER, f"addresses cannot be read: {error.strerror}") from error
    finally:
        made.close()
    return tuple(sorted(found, key=lambda one: (len(one.address), one)))


def _complete(
    receive: Callable[[int], bytes],
    sequence: int,
    read: Callable[[nfnetlink.Message], list[Network]],
    found: set[Network],
) -> bool:
    """Read one listing to its end; False when the kernel says that it changed meanwhile."""
    steady = True
    while True:
        for message in nfnetlink.messages(receive(_READ_BYTES))[0]:
            if message.sequence != sequence:
                continue
            steady = steady and not message.flags & nfnetlink.INTERRUPTED
            if message.kind in {nfnetlink.DONE, nfnetlink.REPLY}:
                return steady
            found.update(read(message))
