"""What the packet process is set up by: its measures, and plain values for the adapters. Nothing is done here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from sipguard.enforce.base import Layout
from sipguard.model import MILLISECOND, SECOND, Span
from sipguard.policy.schema import Backend, Mode, Policy, Scope, Strangers

DRAINS = 4  # times so many that are read of the tap before a verdict is given all the same
AT_ONCE = 256  # frames read before the keeper, signals and the clock are looked at again
SLACK: Span = 50 * MILLISECOND  # a captured packet reaches us within this: the kernel gathers them for 10 ms at most
PATIENCE: Span = 5 * SECOND  # for how long the start waits for a keeper that says nothing ...
LONGEST: Span = 60 * SECOND  # ... and for one that has much to say
SHOWN = 10  # elements that the kernel did not take in a large change, each of which is told of


_SCOPES: Mapping[Scope, Literal["sip", "all", "except"]] = {Scope.SIP: "sip", Scope.ALL: "all", Scope.EXCEPT: "except"}
_BACKENDS: Mapping[Backend, Literal["auto", "nftables", "iptables", "dryrun"]] = {
    Backend.AUTO: "auto", Backend.NFTABLES: "nftables", Backend.IPTABLES: "iptables", Backend.DRYRUN: "dryrun",
}  # fmt: skip


def acting(policy: Policy, *, enforce: bool) -> Policy:
    """Give a policy with the mode that is in force, whatever is written in it."""
    return replace(policy, mode=Mode.ENFORCE if enforce else Mode.OBSERVE)


def layout_of(policy: Policy) -> Layout:
    """Give the policy's part in the rules; by what the gate queues is found out when they are loaded."""
    return Layout(
        ports=policy.ports,
        scope=_SCOPES[policy.enforcement.scope],
        spared=policy.enforcement.except_ports,
        backend=_BACKENDS[policy.enforcement.backend],
        closed=policy.strangers is Strangers.CLOSED,
        pbx=policy.pbx,
        tap_group=policy.shell.tap.group,
        throttle_rate=policy.enforcement.throttle_rate,
        stranger_rate=policy.enforcement.stranger_rate,
        strangers_rate=policy.enforcement.strangers_rate,
        known_rate=policy.enforcement.known_rate,
        gate="nft" if policy.gate else "",
    )
