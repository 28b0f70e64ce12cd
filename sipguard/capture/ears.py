"""What the packet process hears with: the tap, this host's own addresses, and what the kernel knows of connections.

Promises: what arrives never raises; a tap that fails is closed and told of once, and can be opened again. Decides
nothing, and knows nothing of what it hears.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipguard.address import Network
from sipguard.call import Doubt, Media
from sipguard.capture.connections import Connections
from sipguard.capture.host import Host
from sipguard.capture.tap import Tap
from sipguard.errors import AdapterError
from sipguard.model import Frame, Instant, Origin, Sensor


class Ears:
    """Begins deaf. `own` are this host's addresses, `fault` says why the tap was closed, empty while all is well."""

    def __init__(self) -> None:
        """Read the own addresses. Raises AdapterError."""
        self._tap: Tap | None = None
        self._host = Host()
        self._connections = Connections()
        self.own: tuple[Network, ...] = self._host.addresses()
        self.fault = ""

    @property
    def deaf(self) -> bool:
        """Tell whether no tap is open."""
        return self._tap is None

    def listen(self, group: int, buffer_bytes: int, *, rehearsal: bool = False) -> None:
        """Open the tap on a log group, if it is not. Raises AdapterError; another guard on this host is one reason.

        With `rehearsal`, the gate is to say of what is heard what it would have done.
        """
        if self._tap is not None and self._tap.group != group:
            self.stop()
        if self._tap is None:
            self._tap = Tap(group, buffer_bytes)
            self.fault = ""
        self._tap.origin = Origin.REHEARSAL if rehearsal else Origin.TAP

    def close(self) -> None:
        """Stop listening for good."""
        self.stop()
        self._host.close()
        self._connections.close()

    def stop(self) -> None:
        """Stop listening; done twice it is the same."""
        if self._tap is not None:
            self._tap.close()
        self._tap = None

    def fileno(self) -> int:
        """Give the descriptor to wait for: readable when packets wait; -1 when deaf."""
        return -1 if self._tap is None else self._tap.fileno()

    def read(self, limit: int) -> Sequence[Frame]:
        """Give the frames that wait, at least `limit` of them if there are so many."""
        if self._tap is None:
            return ()
        try:
            return self._tap.read(limit)
        except AdapterError as error:
            self.fault = error.what
            self.stop()
            return ()

    def told(self, now: Instant, doubtful: Callable[[int], Sequence[Doubt]]) -> list[Sensor | Media]:
        """Give what was lost since the last time, and what the kernel knows of the media of calls in doubt."""
        lost = () if self._tap is None else self._tap.sensors()
        return [*lost, *self._connections.look(now, doubtful)]

    def moved(self) -> bool:
        """Tell whether `own` has changed since the last time this was asked. Raises AdapterError."""
        earlier = self.own
        if self._host.changed():
            self.own = self._host.addresses()
        return self.own != earlier

    def counters(self) -> dict[str, int]:
        """Give what the tap has counted since it was opened, and how often media were asked for."""
        tap = self._tap
        media = self._connections.counters()
        if tap is None:
            return media
        return media | {
            "lost": tap.lost,
            "overruns": tap.overruns,
            "malformed": tap.malformed,
            "truncated": tap.truncated,
        }
