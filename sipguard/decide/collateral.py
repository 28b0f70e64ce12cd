"""One wrong phone does not cost an office its line.

A source behind which other accounts are registered is not banned for the failures of one account: the operator is told
which phone it is. That patience ends when what fails is no longer one account, or comes faster than a phone retries.
"""

from __future__ import annotations

from sipguard.address import Network
from sipguard.model import MINUTE, Instant, Span
from sipguard.table import Table
from sipguard.window import Sliding

WINDOW: Span = 10 * MINUTE
SPARED = 10
"""Findings of one source within the window that are let pass; at five failures each, one every twelve seconds."""

_MOST = 10_000


class Collateral:
    """Counts how often each source was spared."""

    __slots__ = ("_spared",)

    def __init__(self) -> None:
        self._spared: Table[Network, Sliding] = Table(_MOST)

    def spares(self, at: Instant, network: Network, accounts: int) -> bool:
        """Tell whether a source with healthy devices is spared once more, `accounts` being how many failed there."""
        if accounts > 1:
            return False
        spared = self._spared.get(network)
        if spared is None:
            spared = Sliding(WINDOW, SPARED + 1)
            self._spared.put(network, spared, network.address)
        spared.mark(at)
        return spared.count(at) <= SPARED
