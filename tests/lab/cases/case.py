"""A case: a scene with a PBX, its purpose in words, and what must not come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.capture import Recording, recording
from tests.lab.kamailio import Kamailio, Settings, kamailio
from tests.lab.world import World, world


@dataclass(slots=True)
class Lab:
    """A world with a Kamailio in it. `recording` is the part of the scene that is kept."""

    world: World
    server: Kamailio
    path: Path | None = None
    recorded: Recording | None = None

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Keep what passes the PBX while this lasts; nothing is kept when the lab was given no path."""
        if self.path is None:
            yield
            return
        with recording(self.world.pbx, self.path) as made:
            yield
        self.recorded = made


@dataclass(frozen=True, slots=True)
class Case:
    """`play` must enter `lab.recording()` once. `purpose`, `how` and `never` are printed in the case's README."""

    name: str
    play: Callable[[Lab], None]
    purpose: str
    how: str
    never: str
    tools: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    wish: str = ""


@contextlib.contextmanager
def lab(settings: Settings | None = None, path: Path | None = None) -> Iterator[Lab]:
    """Yield a new world with a Kamailio that answers. Needs root. Raises LabError when either does not come up."""
    with world() as made, kamailio(made, settings) as server:
        yield Lab(made, server, path)
