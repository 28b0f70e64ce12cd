"""What the packet process says to others in somebody's name: refusals of calls, and what ends them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipguard.enforce.calls import Refusals
from sipguard.enforce.injecting import Injections
from sipguard.model import Action, HangUp, Instant


class Speaker:
    """Both, in the network namespace that it was made in; each within its own measure."""

    def __init__(self, mark: int, now: Callable[[], Instant]) -> None:
        self._refusals = Refusals(mark, now)
        self._injections = Injections(mark, now)
        self.refuse = self._refusals.refuse

    def perform(self, actions: Sequence[Action]) -> None:
        """Send what hang-ups call for; what cannot be sent is counted."""
        for action in actions:
            if isinstance(action, HangUp):
                self._injections.perform(action)

    def close(self) -> None:
        """Close the sockets."""
        self._refusals.close()
        self._injections.close()

    def counters(self) -> dict[str, int]:
        """Give how much was said, and how much could not be."""
        return {**self._refusals.counters(), **self._injections.counters()}
