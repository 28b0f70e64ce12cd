"""The literal list of all detectors: their tables in the policy, and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sipguard.detect import credentials, samekey
from sipguard.event import Event
from sipguard.model import NOWHERE, Consequence, Finding, Lookups


@dataclass(frozen=True, slots=True)
class Config:
    """The tables of `[detect]`, one for each detector."""

    credentials: credentials.Config = field(default_factory=credentials.Config)
    samekey: samekey.Config = field(default_factory=samekey.Config)


class Detector(Protocol):
    """What every detector is: handlers by event type, dispatched from one table, and counters."""

    handlers: Mapping[type[Event], Callable[[Any], Sequence[Finding]]]

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        ...


def detectors(config: Config, look: Lookups = NOWHERE) -> Sequence[Detector]:
    """Make the detectors that the policy enables, in the order in which they speak; `look` says where addresses are."""
    made: list[Detector] = []
    if config.credentials.enabled:
        made.append(credentials.Detector(config.credentials))
    if config.samekey.enabled:
        made.append(samekey.Detector(config.samekey))
    return made


def consequences(config: Config) -> Mapping[str, Consequence]:
    """Say what the policy attaches to the findings of each detector."""
    return {credentials.NAME: config.credentials.then, samekey.NAME: config.samekey.then}
