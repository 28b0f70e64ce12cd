"""The contract of every enforcer: what it is given, what it answers. No rule of any firewall stands here.

Enforcers do what they are told. They keep what the kernel already holds, make every change in batches of which each is
all or nothing, and never let one bad element keep the others out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sipguard.address import Network
from sipguard.model import Enforced, Held

MARK = 0x53495047
"""The packet mark of what the guard itself sends ("SIPG"): skipped by all our rules."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the skeleton of rules is built from: plain values, already checked by the policy. Rates are per second.

    `scope`: what a ban closes, the SIP ports, everything, or everything but `spared`. `pbx`: addresses of PBXs behind
    this host. `closed`: the SIP ports are open to allowed addresses only. `observe`: the tap and nothing else; no
    packet is touched.
    """

    ports: tuple[int, ...] = (5060, 5061, 5080, 50600)
    scope: Literal["sip", "all", "except"] = "sip"
    spared: tuple[int, ...] = (22,)  # TCP and UDP ports of this host
    closed: bool = False
    pbx: tuple[Network, ...] = ()
    tap_group: int = 5060
    mark: int = MARK
    throttle_rate: int = 5  # from one throttled source
    stranger_rate: int = 100  # packets to the SIP ports that one stranger may send for long, five times it at once
    strangers_rate: int = 5_000  # that all strangers together may send: below what PBX and guard can bear
    known_rate: int = 2_000  # copies of one registered or allowed address, each way; and so many that are held
    tap_rate: int = 20_000  # copies of all strangers together, each way; the guard reads some 50,000 a second
    tap_each: int = 1_000  # copies of one stranger, so that a single flooder hides nobody else
    handshake_rate: int = 1_000  # copies of the PBX's own SYN-ACKs
    observe: bool = False
    static: bool = False  # rules that stand whether we act or not, and heed the set `acting` (iptables-legacy)
    backend: Literal["auto", "nftables", "iptables", "dryrun"] = "auto"
    gate: Literal["", "nft", "iptables"] = ""  # what queues packets for a verdict, if anything does
    gate_rate: int = 2_000  # packets of all strangers together that wait for one: half of what the guard can judge

    @property
    def gated(self) -> bool:
        """Tell whether any packet waits for a verdict."""
        return bool(self.gate) and not self.observe

    @property
    def queues(self) -> tuple[int, int]:
        """Give the numbers of our two queues: that of the tap's group, and the one beside it."""
        return self.tap_group, self.tap_group + (1 if self.tap_group < 65_535 else -1)


@dataclass(frozen=True, slots=True)
class Plan:
    """The smallest change that makes what is enforced what is wanted. Each in the order of set and network."""

    add: tuple[Held, ...] = ()
    remove: tuple[Held, ...] = ()
    refresh: tuple[Held, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.refresh)


@dataclass(frozen=True, slots=True)
class Tally:
    """What one counter has counted since its element was last written, or its table made."""

    name: str
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Counters:
    """`named`: dropped, throttled, closed, tap_lost. `blocked`: one for each banned network, its name the network."""

    named: tuple[Tally, ...] = ()
    blocked: tuple[Tally, ...] = ()


class Enforcer(Protocol):
    """Holds addresses in sets that packets are judged by. All but `hold` and `release` may raise AdapterError."""

    def install(self) -> None:
        """Put the rules in place; done twice it is the same, and elements already held stay."""

    def protect(self, never: Iterable[Network]) -> None:
        """Name the addresses that no ban or throttle may ever hold: own, gateways, allowed. Replaces what was named."""

    def held(self) -> frozenset[Held]:
        """Tell what is held, as the kernel says, each with its end (0 for allowed, which has none)."""

    def apply(self, plan: Plan) -> Sequence[Enforced]:
        """Make the change; answer for each element, in the order remove, refresh, add."""

    def hold(self, held: Held) -> Enforced:
        """Put one element in, or move its end. Never raises: a failure is in the answer."""

    def release(self, held: Held) -> Enforced:
        """Take one element out; that it is not there is no failure. Never raises.

        A network inside a wider ban is cut out of it, a wider network takes along the bans inside: the next `apply`
        puts back what is still wanted.
        """

    def counters(self) -> Counters:
        """Read all counters."""

    def uninstall(self) -> None:
        """Remove our rules and sets, and nobody else's; no error when there are none."""
