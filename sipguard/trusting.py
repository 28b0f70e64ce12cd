"""What registrations and failed credentials mean for the sets: who is trusted, who is watched, where calls may cost.

Trust follows a registration and ends with it; whoever fails where he was trusted, or is proven, is watched for a while.
Calls to a trusted address are not looked at before they leave, for a device costs nothing. Where nobody has shown that
he holds the address, or a trunk is listed there, they are: a password, and another's address written into a datagram,
would else make a carrier pass for a phone. What else failures mean is for the detectors to say. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sipguard.address import Network, subject_of
from sipguard.decide.force import Force
from sipguard.decide.judge import Judge
from sipguard.event import AuthFailed, Event, Recalled, Registered
from sipguard.lesson import Notes
from sipguard.model import Action, Held, Instant, Record, SetName, Span
from sipguard.netset import NetSet
from sipguard.track.homes import Homes
from sipguard.track.trust import Trusts, blames


class Trusting:
    """Holds and releases by what is heard. `window`: for how long a failure is watched; `wake`: time is due then.

    `shown` tells until when a place is known to be a device's, `costs` whether a trunk is listed there.
    """

    __slots__ = ("_force", "_judge", "_trunks", "_trusts", "_wake", "costs", "homes", "shown", "window")

    def __init__(
        self, trusts: Trusts, force: Force, judge: Judge, wake: Callable[[Instant], None], window: Span, notes: Notes
    ) -> None:
        self.homes = Homes(notes)
        self._trusts = trusts
        self._force = force
        self._judge = judge
        self._wake = wake
        self._trunks: Sequence[Network] = ()
        self.window = window
        self.costs: Callable[[Network], bool] = lambda _: False
        self.shown: Callable[[Network], Instant] = lambda _: 0

    def restore(self) -> None:
        """Hold what is trusted since before a restart; nothing is told of it."""
        for place, until in self._trusts.places():
            if self._charged(place, until):
                self._force.ledger.hold(Held(SetName.CHARGED, place, until))
            self._force.ledger.hold(Held(SetName.TRUSTED, place, until))

    def hear(self, event: Event, actions: list[Action]) -> None:
        """Take an AuthFailed, Registered or Unregistered, and add what follows from it."""
        at, place = event.at, subject_of(event.source)
        if isinstance(event, Registered):
            self._wake(event.until)  # it ends also where nothing else comes of it
        if isinstance(event, AuthFailed) and blames(event):
            self._watch(event, place, actions)
        if (change := self._trusts.hear(event)) is None:
            if not isinstance(event, AuthFailed) and (until := self._held_until(place)) > at:
                self._charge(at, place, until, actions)  # who is not trusted may show a place as well, and then leave
            return
        actions.append(Record(at, change))
        if change.until:
            self.homes.trusted(at, change.account, change.network)
        until = self._trusts.until(place)
        if until > at:
            self._charge(at, place, until, actions)
            actions.extend(self._force.hold(at, Held(SetName.TRUSTED, place, until), ("registered",)))
            actions.extend(self._force.release(at, SetName.THROTTLED, place, ("trusted",)))
        else:
            actions.extend(self._force.release(at, SetName.TRUSTED, place, ("unregistered",)))
            actions.extend(self._force.release(at, SetName.CHARGED, place, ("unregistered",)))

    def charge(self, at: Instant, trunks: Sequence[Network]) -> list[Action]:
        """Learn where trunks are listed: what is trusted there, or was there, is looked at anew."""
        told: list[Action] = []
        before, self._trunks = self._trunks, tuple(trunks)
        near = NetSet({*before} ^ {*trunks})
        for place in [each for each in self._force.ledger.held(SetName.TRUSTED) if near.overlaps(each)] if near else ():
            self._charge(at, place, self._held_until(place), told)
        return told

    def _charged(self, place: Network, until: Instant) -> bool:
        """Tell whether calls to a place that is trusted until then may cost money before that."""
        return self.shown(place) < until or self.costs(place)

    def _held_until(self, place: Network) -> Instant:
        """Give until when the kernel trusts a place, also where it is forgotten why; 0 when it does not."""
        return self._force.ledger.until(SetName.TRUSTED, place) or 0

    def _charge(self, at: Instant, place: Network, until: Instant, actions: list[Action]) -> None:
        if not until or not self._charged(place, until):
            actions.extend(self._force.release(at, SetName.CHARGED, place, ("shown",)))
        elif self._force.ledger.until(SetName.CHARGED, place) != until:
            actions.extend(self._force.hold(at, Held(SetName.CHARGED, place, until), ("not shown",)))

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
