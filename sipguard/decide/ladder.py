"""How long a ban lasts: longer each time, within a memory of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from sipguard.address import Network
from sipguard.constraint import Between, Described, DurationBetween
from sipguard.model import DAY, HOUR, MINUTE, SECOND, Instant, Offence, Span
from sipguard.table import Table


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of `[ban]`: the first ban lasts `first`, each further one `factor` times as long, `maximum` at most."""

    first: Annotated[Span, DurationBetween(10 * SECOND, 365 * DAY), Described("How long the first ban lasts")] = HOUR
    factor: Annotated[int, Between(1, 100), Described("Each further ban lasts this many times as long")] = 4
    maximum: Annotated[Span, DurationBetween(10 * SECOND, 365 * DAY), Described("No ban lasts longer")] = 30 * DAY
    memory: Annotated[
        Span, DurationBetween(MINUTE, 365 * DAY), Described("How long after its end a ban is remembered")
    ] = 30 * DAY
    remembered: Annotated[int, Between(1000, 10_000_000), Described("The most offenders remembered at once")] = 100_000
    throttle: Annotated[
        Span, DurationBetween(10 * SECOND, DAY), Described("How long a source is throttled that proves nothing")
    ] = 10 * MINUTE


class Ladder:
    """Remembers offenders; when full the one that offended longest ago is forgotten."""

    __slots__ = ("_config", "_offences")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._offences: Table[Network, Offence] = Table(config.remembered)

    def adopt(self, config: Config) -> None:
        """Go by these settings from now on; what is remembered stays."""
        self._config = config

    def restore(self, offences: Sequence[Offence]) -> None:
        """Take up what was remembered before a restart."""
        for each in offences:
            self._offences.put(each.network, each, each.network.address)

    def climb(self, at: Instant, network: Network) -> tuple[Offence, Instant]:
        """Count one more offence; gives it, and when its ban ends."""
        count, _, span = self.ahead(at, network)
        count += 1
        until = at + span
        offence = Offence(network, count, until + self._config.memory)
        self._offences.put(network, offence, network.address)
        self._offences.touch(network)
        return offence, until

    def ahead(self, at: Instant, network: Network) -> tuple[int, Instant, Span]:
        """Give how many offences are remembered, until when (0: none), and how long the next ban would last."""
        known = self._offences.get(network)
        count, until = (known.count, known.until) if known is not None and at < known.until else (0, 0)
        span = self._config.first
        for _ in range(count):
            span *= self._config.factor
            if span >= self._config.maximum:
                break
        return count, until, min(span, self._config.maximum)

    def forgive(self, network: Network) -> Offence | None:
        """Forget an offender; gives the record of it, None when nothing was remembered."""
        return Offence(network, 0, 0) if self._offences.pop(network) is not None else None

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions."""
        return {"offenders": len(self._offences), "offenders_evicted": self._offences.evicted}
