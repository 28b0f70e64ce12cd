"""Recorded captures through the same engine, under packet time. Nothing in the engine knows that this is not live.

What differs from the packet process: time comes from the packets, nothing touches a kernel, and where neither the
policy nor the caller names the ports, SIP on other ports is found by its looks and read from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sipguard import report
from sipguard.address import Network
from sipguard.engine import Engine
from sipguard.model import NOWHERE, Clock, Frame, Hold, Instant, Lookups, Rates, SetName, State
from sipguard.policy.schema import Policy
from sipguard.wire.fragments import Fragments
from sipguard.wire.l4 import decode
from sipguard.wire.link import strip
from sipguard.wire.pcap import Captured

_START_LINE = re.compile(rb"(?:[A-Z]{3,12} [^\s]{1,512} SIP/2\.0\r?\n|SIP/2\.0 [1-6]\d\d[ \r\n])")
_PORTS_MOST = 64


class Replay:
    """One engine and the captures that are fed to it, in the order of their packets.

    `pbx` adds to the policy's addresses of the PBX. `ports` takes the place of the policy's; None means those of the
    policy and whatever other ports are found to carry SIP (`found_ports`). `look` says where addresses are,
    `rates` what calls cost. With `calls` each call that leaves is told as well, though nobody finds fault with it.
    """

    def __init__(
        self,
        policy: Policy,
        pbx: Sequence[Network] = (),
        ports: Sequence[int] | None = None,
        look: Lookups = NOWHERE,
        rates: Rates | None = None,
        *,
        calls: bool = False,
    ) -> None:
        self._policy = replace(policy, pbx=(*policy.pbx, *pbx), ports=policy.ports if ports is None else tuple(ports))
        self._discover = ports is None
        self._engine = Engine(self._policy, State(), look)
        self._rates = rates
        self._calls = calls
        self._base: Instant | None = None
        self.found_ports: tuple[int, ...] = ()
        self.packets = 0
        self.unread = 0  # packets of a link type or a protocol that cannot carry SIP here
        self.backwards = 0  # packets older than the one before them
        self.blocked = 0
        self._last: Instant = 0

    def feed(self, captured: Captured) -> Iterator[report.Json]:
        """Give the JSON lines of what one packet brings about."""
        self.packets += 1
        at = captured.at
        if self._base is None:
            self._base = at
            self._engine.feed(at, Clock(0))  # a capture's time is the wall's
            if self._rates is not None:
                self._engine.feed(at, self._rates)
        if at < self._last:
            self.backwards += 1
        self._last = max(self._last, at)
        packet = strip(captured.linktype, captured.data)
        if packet is None:
            self.unread += 1
            return
        if self._discover and b"SIP/2.0" in packet:
            self._look(at, packet)
        for action in self._engine.feed(at, Frame(packet)):
            if type(action) is Hold and action.held.set is SetName.BLOCKED:
                self.blocked += 1
            line = report.line(action, self._base)
            if line is not None and (self._calls or line["kind"] != "call"):
                yield line

    def counters(self) -> dict[str, int]:
        """Give what was counted, by name."""
        own = {"packets": self.packets, "unread": self.unread, "backwards": self.backwards, "blocked": self.blocked}
        return {**own, **self._engine.counters()}

    def _look(self, at: Instant, packet: bytes) -> None:
        """Read SIP on a port that nobody listed from its first start line on."""
        found = decode(at, packet, Fragments())
        ports = self._policy.ports
        if found is None or found.sport in ports or found.dport in ports or not _START_LINE.match(found.payload):
            return
        if len(self.found_ports) >= _PORTS_MOST:
            return
        port = found.sport if found.payload.startswith(b"SIP/") else found.dport
        self.found_ports = (*self.found_ports, port)
        self._policy = replace(self._policy, ports=(*ports, port))
        self._engine.feed(at, self._policy)


def dump(line: report.Json) -> str:
    """Write a line as it stands in `expected.jsonl`: keys sorted, nothing between."""
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def lines(replay: Replay, packets: Iterable[Captured]) -> Iterator[report.Json]:
    """Give the JSON lines of many packets."""
    for captured in packets:
        yield from replay.feed(captured)
