"""A guard of calls and of nothing else on the PBX's host: hears by the tap, hangs up when it is told to.

It is made of the program's own parts, put together by hand; the rules are the guard's own, and real.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import select
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial

from sipguard.address import parse_address, parse_network
from sipguard.call import Call
from sipguard.capture.tap import Tap
from sipguard.control.ami import Ami
from sipguard.endings import Endings
from sipguard.enforce.base import MARK, Layout
from sipguard.enforce.injecting import Injections
from sipguard.enforce.nft import Nft
from sipguard.event import CallEnded, Standing
from sipguard.intake import Intake
from sipguard.model import MILLISECOND, Action, Alert, HangUp, Instant
from sipguard.track.limits import Config
from sipguard.track.sides import Sides
from sipguard.track.tracker import Tracker
from tests.lab.asterisk import FIRST_CARRIER, SECOND_CARRIER
from tests.lab.world import World

_PORTS = (5060, 5061)
_LAYOUT = Layout(tap_rate=1_000_000, tap_each=1_000_000, stranger_rate=1_000_000, strangers_rate=1_000_000)


def _now() -> Instant:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Guard:
    """Runs in a thread of its own in the PBX's namespace. `told` are the alerts and hang-ups, in order."""

    def __init__(self, world: World, manager: Ami | None, *, orphans: bool) -> None:
        self._without_caller = orphans
        self._manager, self._pbx = manager, world.pbx
        self.hung_up = 0  # channels, by the manager
        sides = Sides(_PORTS)
        sides.name([parse_network(world.pbx.v4), parse_network(world.pbx.v6)])
        trunks = {parse_address(FIRST_CARRIER): "trunk1", parse_address(SECOND_CARRIER): "trunk2"}
        self._sides = sides
        self._intake = Intake(_PORTS, lambda _source, _hook, _payload: False)
        self._tracker = Tracker(Config(), sides, lambda _at, _address: Standing.EXEMPT, trunks.get)
        self.endings = Endings(self._tracker.calls.shares, managed=manager is not None)
        self._wishes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = threading.Event()
        self.told: list[Action] = []
        self.calls: list[Call] = []
        self.fault: BaseException | None = None
        self._tap, self._injections = world.pbx.inside(self._made)
        self._thread = threading.Thread(target=self._run)

    def _made(self) -> tuple[Tap, Injections]:
        nft = Nft(_LAYOUT, _now)
        nft.install()
        nft.close()
        return Tap(_LAYOUT.tap_group), Injections(MARK, _now)

    def hang_up(self) -> None:
        """Hang up every call there is."""
        self._wishes.put("")

    def hang_up_one(self, number: str) -> None:
        """Hang up the call to a number."""
        self._wishes.put(number)

    def alerts(self) -> list[str]:
        """List the kinds of the alerts so far."""
        return [each.kind for each in self.told if isinstance(each, Alert)]

    def orders(self) -> list[HangUp]:
        """List the hang-ups so far."""
        return [each for each in self.told if isinstance(each, HangUp)]

    @property
    def unsent(self) -> int:
        """How many packets could not be sent."""
        return self._injections.unsent

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                select.select([self._tap], [], [], 0.01)
                self._turn()
        except BaseException as fault:  # noqa: BLE001 - handed to the test by `guarding`
            self.fault = fault

    def _turn(self) -> None:
        for frame in self._tap.read(256):
            at = _now()
            for heard in self._intake.read(at, frame):
                for event in self._tracker.hear(at, heard):
                    if isinstance(event, CallEnded):
                        self._do(self.endings.heard(event))
        self._tracker.advance(_now() - 50 * MILLISECOND)
        self.calls = list(self._tracker.calls.live())
        with contextlib.suppress(queue.Empty):
            number = self._wishes.get_nowait()
            for call in self.calls:
                if number in ("", call.called.dialled):
                    legs = self._tracker.calls.leg(call)
                    if self._without_caller:
                        legs = legs[0], None
                    self._do(self.endings.begin(_now(), call, legs, "a test says so"))
        self._do(self.endings.advance(_now()))

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self.told.append(action)
            if isinstance(action, HangUp):
                self._injections.perform(action)
                if action.managed and self._manager is not None:
                    self.hung_up += self._pbx.inside(partial(asyncio.run, self._manager.hang_up(action.managed)))

    def begin(self) -> None:
        """Begin to hear."""
        self._thread.start()

    def end(self) -> None:
        """Hear no more."""
        self._stop.set()
        self._thread.join()
        self._tap.close()
        self._injections.close()


@contextlib.contextmanager
def guarding(world: World, manager: Ami | None = None, *, orphans: bool = False) -> Iterator[Guard]:
    """Yield a guard that hears what passes the PBX. Raises what went wrong in it. `orphans`: it knows no callers."""
    guard = Guard(world, manager, orphans=orphans)
    guard.begin()
    try:
        yield guard
    finally:
        guard.end()
        if guard.fault is not None:
            raise guard.fault
