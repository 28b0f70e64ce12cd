"""What registrations and failed credentials mean for the sets: who is trusted, and who is watched. Pure.

Trust follows a registration and ends with it; whoever fails where he was trusted, or is proven, is watched for a while.
What else failures mean is for the detectors to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sipguard.address import Network, subject_of
from sipguard.decide.force import Force
from sipguard.decide.judge import Judge
from sipguard.event import AuthFailed, Event, Recalled, Registered
from sipguard.lesson import Notes
from sipguard.model import Action, Held, Instant, Record, SetName, Span
from sipguard.track.homes import Homes
from sipguard.track.trust import Trusts, blames


class Trusting:
    """Holds and releases by what is heard. `window`: for how long a failure is watched; `wake`: time is due then."""

    __slots__ = ("_force", "_judge", "_trusts", "_wake", "homes", "window")

    def __init__(
        self, trusts: Trusts, force: Force, judge: Judge, wake: Callable[[Instant], None], window: Span, notes: Notes
    ) -> None:
        self.homes = Homes(notes)
        self._trusts = trusts
        self._force = force
        self._judge = judge
        self._wake = wake
        self.window = window

    def hear(self, event: Event, actions: list[Action]) -> None:
        """Take an AuthFailed, Registered or Unregistered, and add what follows from it."""
        at, place = event.at, subject_of(event.source)
        if isinstance(event, Registered):
            self._wake(event.until)  # it ends also where nothing else comes of it
        if isinstance(event, AuthFailed) and blames(event):
            self._watch(event, place, actions)
        if (change := self._trusts.hear(event)) is None:
            return
        actions.append(Record(at, change))
        if change.until:
            self.homes.trusted(at, change.account, change.network)
        until = self._trusts.until(place)
        if until > at:
            actions.extend(self._force.hold(at, Held(SetName.TRUSTED, place, until), ("registered",)))
            actions.extend(self._force.release(at, SetName.THROTTLED, place, ("trusted",)))
        else:
            actions.extend(self._force.release(at, SetName.TRUSTED, place, ("unregistered",)))

    def recalled(self, at: Instant) -> Iterator[Recalled]:
        """Tell where accounts were at home lately, then of the registrations that stand, as of `at`."""
        yield from self.homes.recalled(at)
        yield from self._trusts.recalled(at)

    def counters(self) -> dict[str, int]:
        """Give the fill and the evictions of where accounts are at home."""
        return self.homes.counters()

    def _watch(self, event: AuthFailed, place: Network, actions: list[Action]) -> None:
        """Watch whoever fails: a trusted address, or a proven one. Strangers are looked at anyway."""
        ledger = self._force.ledger
        if ledger.until(SetName.WATCHED, place) is not None or self._judge.spared(place):
            return
        if event.proven or ledger.until(SetName.TRUSTED, place) is not None:
            until = event.at + self.window
            actions.extend(self._force.hold(event.at, Held(SetName.WATCHED, place, until), ("failed",)))
