"""One wrong phone does not cost an office its line, and a guesser in an office does not either.

A source where other accounts stand registered is not banned: what fails is put under quarantine there, one account by
name, or, when many are tried, all but the healthy ones. The operator is told which. Patience with a place where one
account alone is healthy ends, since that one may be the guesser's own.
"""

from __future__ import annotations

from sipguard.address import Network
from sipguard.model import EVERY_OTHER, MINUTE, Account, Instant, Pair, Span
from sipguard.table import Table
from sipguard.window import Sliding

WINDOW: Span = 10 * MINUTE
SPARED = 10
"""Findings within the window that a place with one healthy account is spared; five failures each, one in 12 seconds."""

_MOST = 10_000


class Collateral:
    """Counts how often each place was spared."""

    __slots__ = ("_spared",)

    def __init__(self) -> None:
        self._spared: Table[Network, Sliding] = Table(_MOST)

    def ward(
        self, at: Instant, place: Network, failing: tuple[Account, ...], registered: frozenset[Account]
    ) -> Pair | None:
        """Say what to put under quarantine in place of a ban; None when a ban hits nobody else."""
        healthy = registered.difference(failing)
        if not healthy or not failing:
            return None
        if len(healthy) == 1:
            spared = self._spared.get(place)
            if spared is None:
                spared = Sliding(WINDOW, SPARED + 1)
                self._spared.put(place, spared, place.address)
            spared.mark(at)
            if spared.count(at) > SPARED:
                return None
        return Pair(place, failing[0] if len(failing) == 1 else EVERY_OTHER)
