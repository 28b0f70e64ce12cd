"""Where the scenes of calls are played: an Asterisk, phones and carriers, and a recording on the PBX's host."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.agent import Agent, Leg
from tests.lab.asterisk import CARRIER, CARRIERS_V6, FIRST_CARRIER, STRANGER, Asterisk, AsteriskSettings, asterisk
from tests.lab.capture import Recording, recording
from tests.lab.errors import LabError
from tests.lab.wait import until
from tests.lab.world import PHONE, World, world

EXPRESSION = "port 5060"
"""What is kept: signalling, not the silence that Asterisk may send where nobody listens."""


@dataclass(slots=True)
class Stage:
    """One Asterisk with everybody around it. Agents made here are closed when it is left."""

    world: World
    server: Asterisk
    kept: contextlib.ExitStack
    path: Path | None = None
    recorded: Recording | None = None

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Keep what passes the PBX while this lasts, and until it has no call left; nothing without a path."""
        if self.path is None:
            yield
            return
        with recording(self.world.pbx, self.path, expression=EXPRESSION) as made:
            yield
            until(lambda: self.server.channels == 0, "Asterisk without calls", seconds=60)
        self.recorded = made

    def phone(self, user: str, *, tcp: bool = False) -> Agent:
        """Return a registered phone; that of 1001 is at 198.51.100.21."""
        made = self._phone(user, tcp=tcp)
        made.register()
        return made

    def phones(self, *users: str) -> Sequence[Agent]:
        """Return several registered phones."""
        return [self.phone(user) for user in users]

    @property
    def pbx(self) -> str:
        """Where the PBX listens."""
        return self.world.pbx.v6 if self.server.settings.v6 else self.world.pbx.v4

    def carrier(self, address: str = "", *, tcp: bool = False) -> Agent:
        """Return a carrier's switch, by default the first's."""
        address = address or (CARRIERS_V6[0] if self.server.settings.v6 else FIRST_CARRIER)
        made = Agent(self.world.hosts["carrier"], self.pbx, "switch", address=address, tcp=tcp, listen=tcp)
        return self.kept.enter_context(made)

    def _phone(self, user: str, *, tcp: bool) -> Agent:
        address = f"{'2001:db8:20:1::' if self.server.settings.v6 else '198.51.100.'}{20 + int(user) % 10}"
        password = self.server.settings.extensions[user]
        made = Agent(self.world.phone, self.pbx, user, password, address=address, tcp=tcp)
        return self.kept.enter_context(made)


@dataclass(frozen=True, slots=True)
class CallCase:
    """`play` must enter `stage.recording()` once. What is text is printed in the case's README."""

    name: str
    play: Callable[[Stage], None]
    purpose: str
    how: str
    never: str
    settings: AsteriskSettings = field(default_factory=AsteriskSettings)
    agents: str = "own user agents"


@contextlib.contextmanager
def stage(settings: AsteriskSettings | None = None, path: Path | None = None) -> Iterator[Stage]:
    """Yield a new world with an Asterisk. Needs root. Raises LabError when either does not come up."""
    with (
        world((STRANGER, PHONE, CARRIER)) as made,
        asterisk(made, settings) as server,
        contextlib.ExitStack() as kept,
    ):
        yield Stage(made, server, kept, path)


def talk(seconds: float) -> None:
    """Let a call last: what it costs is what the scene is about."""
    time.sleep(seconds)


def dial(phone: Agent, number: str) -> Leg:
    """Let a phone dial, and prove who it is when it is asked."""
    leg = phone.call(number)
    leg.prove()
    return leg


def connect(phone: Agent, number: str, carrier: Agent) -> tuple[Leg, Leg]:
    """Call from a phone through a carrier and be answered; gives both legs."""
    inside = dial(phone, number)
    outside = carrier.called()
    outside.ring()
    outside.pick_up()
    return inside.answered(), outside


def expect(seen: object, wanted: object) -> None:
    """Raise LabError unless the scene went as written; a recording of something else is worth nothing."""
    if seen != wanted:
        raise LabError(f"expected {wanted!r}, saw {seen!r}")
