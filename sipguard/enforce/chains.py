"""The rules of the second back end, as text for `iptables-restore --noflush`. Pure; for one family at a time.

They say what `skeleton.py` says, in chains of our own, each hooked first into a chain of the kernel's: `raw` for bans,
`mangle` for the tap and, with one that is hooked last, the gate (`gatechains.py`). Loading the text twice changes
nothing: chains named in it are emptied and filled in one step, and no other chain is touched. What has no `goto` here
stands in order.
"""

from __future__ import annotations

from collections.abc import Iterator

from sipguard.enforce import gatechains
from sipguard.enforce.base import Layout
from sipguard.enforce.gatechains import LONG_ENOUGH, waiting, way_out, way_through, ways_in
from sipguard.enforce.ruleparts import PREFIX, above, altogether, counted, flooding, in_set, port_matches
from sipguard.netset import cover

HOOKS = (
    ("raw", "PREROUTING", "SIPGUARD-BANS"),
    ("raw", "OUTPUT", "SIPGUARD-OWN"),
    ("mangle", "PREROUTING", "SIPGUARD-IN"),
    ("mangle", "OUTPUT", "SIPGUARD-OUT"),
    ("mangle", "FORWARD", "SIPGUARD-THROUGH"),
    ("mangle", "INPUT", "SIPGUARD-LATE"),
    ("mangle", "POSTROUTING", "SIPGUARD-LATE"),
)
"""Table, chain of the kernel's, and ours that stands first in it."""
TAILS = tuple(("mangle", hook, "SIPGUARD-QUEUE") for hook in ("PREROUTING", "OUTPUT", "FORWARD"))
"""The same for what stands last: others' rules come before, as none of the table is run through after a verdict."""
CHAINS = {
    "raw": (
        *("SIPGUARD-BANS", "SIPGUARD-BANNED", "SIPGUARD-SLOWED", "SIPGUARD-FLOOD", "SIPGUARD-FLOODER"),
        "SIPGUARD-OWN",
    ),
    "mangle": (
        *("SIPGUARD-IN", "SIPGUARD-OUT", "SIPGUARD-THROUGH"),
        *("SIPGUARD-HEARD", "SIPGUARD-SAID", "SIPGUARD-CLOSED", "SIPGUARD-TAP-IN", "SIPGUARD-TAP-OUT"),
        *gatechains.CHAINS,
    ),
}


def render(layout: Layout, version: int) -> str:
    """Write both tables of one family."""
    raw, mangle = [*_bans(layout, version), *_own(layout)], [*_tap(layout, version), *waiting(layout, version)]
    return "".join(
        f"*{table}\n" + "".join(f":{chain} - [0:0]\n" for chain in CHAINS[table]) + "\n".join(rules) + "\nCOMMIT\n"
        for table, rules in (("raw", raw), ("mangle", mangle))
    )


def removal() -> str:
    """Write what empties our chains and takes them away, once nothing hooks into them."""
    return "".join(
        f"*{table}\n"
        + "".join(f":{chain} - [0:0]\n" for chain in chains)
        + "".join(f"-X {chain}\n" for chain in chains)
        + "COMMIT\n"
        for table, chains in CHAINS.items()
    )


def _skips(chain: str, layout: Layout, device: str) -> Iterator[str]:
    yield f"-A {chain} {device} lo -j RETURN"
    yield f"-A {chain} -m mark --mark {layout.mark:#x} -j RETURN"


def _idle(version: int) -> str:
    return f"-m set ! --match-set {PREFIX}acting{version} src -j RETURN"


def _bans(layout: Layout, version: int) -> Iterator[str]:
    if layout.static:
        yield f"-A SIPGUARD-BANS {_idle(version)}"
    if layout.observe:
        return
    yield from _skips("SIPGUARD-BANS", layout, "-i")
    yield f"-A SIPGUARD-BANS {in_set('allowed', version)} -j RETURN"
    if version == 6:
        for kind in (2, 133, 134, 135, 136, 137):  # RFC 4890 section 4.4.1
            yield f"-A SIPGUARD-BANS -p icmpv6 -m icmp6 --icmpv6-type {kind} -j RETURN"
    if layout.scope == "sip":
        yield from (f"-A SIPGUARD-BANS {match} -j SIPGUARD-BANNED" for match in port_matches(layout.ports, "dports"))
    else:
        spared = layout.spared if layout.scope == "except" else ()
        yield from (f"-A SIPGUARD-BANS {match} -j RETURN" for match in port_matches(spared, "dports"))
        yield "-A SIPGUARD-BANS -j SIPGUARD-BANNED"
    for chain in ("SIPGUARD-SLOWED", "SIPGUARD-FLOOD"):
        yield from (f"-A SIPGUARD-BANS {match} -j {chain}" for match in port_matches(layout.ports, "dports"))
    for name in ("blocked", "blocked_nets"):
        yield f"-A SIPGUARD-BANNED {in_set(name, version)} {counted('dropped')} -j DROP"
    trusted, rate = in_set("trusted", version), layout.throttle_rate
    slowed = above("slowed", rate, 2 * rate, version)
    yield f"-A SIPGUARD-SLOWED {trusted} -j RETURN"
    yield f"-A SIPGUARD-SLOWED {in_set('throttled', version)} {slowed} {counted('throttled')} -j DROP"
    yield from _flood(layout, version, trusted)


def _own(layout: Layout) -> Iterator[str]:
    """Leave what we send in others' names out of connection tracking: it opens no way through anybody's firewall."""
    yield f"-A SIPGUARD-OWN -m mark --mark {layout.mark:#x} -j CT --notrack"


def _flood(layout: Layout, version: int, trusted: str) -> Iterator[str]:
    chain = "-A SIPGUARD-FLOOD"
    yield f"{chain} -m addrtype --src-type LOCAL -j RETURN"
    for network in cover(layout.pbx):
        if network.version == version:
            yield f"{chain} -s {network} -j RETURN"
    stranger = above("stranger", layout.stranger_rate, 5 * layout.stranger_rate, version)
    yield f"{chain} {trusted} -j RETURN"
    yield f"{chain} {stranger} -g SIPGUARD-FLOODER"
    yield f"{chain} {altogether('strangers', layout.strangers_rate, 2, version)} {counted('crowded')} -j DROP"
    yield from flooding("SIPGUARD-FLOODER", version)


def _lengthless(layout: Layout) -> Iterator[str]:
    """Drop what IPv6 would deliver and nobody would read (`skeleton.py`); what has a length has a wrong checksum.

    That is let be where u32 was tried and works. Elsewhere both are dropped: no socket takes a wrong checksum anyway.
    """
    invalid = "-A SIPGUARD-HEARD -p udp -m conntrack --ctstate INVALID"
    acting = f" {in_set('acting', 6)}" if layout.static else ""
    if layout.gated:
        yield f"{invalid} {LONG_ENOUGH} -j RETURN"
    yield f"{invalid}{acting} {counted('dropped')} -j DROP"


def _tap(layout: Layout, version: int) -> Iterator[str]:
    own = [
        f"-m addrtype --dst-type {kind}"
        for kind in ("LOCAL", "BROADCAST", "MULTICAST")
        if version == 4 or kind != "BROADCAST"
    ]
    behind = [network for network in cover(layout.pbx) if network.version == version]
    yield from _skips("SIPGUARD-IN", layout, "-i")
    yield from _skips("SIPGUARD-OUT", layout, "-o")
    yield from _skips("SIPGUARD-THROUGH", layout, "-o")
    yield from way_through(layout)
    for side in ("dports", "sports"):
        for match in port_matches(layout.ports, side):
            for where in (*own, *(f"-d {network}" for network in behind)):
                yield f"-A SIPGUARD-IN {match} {where} -g SIPGUARD-HEARD"
            yield f"-A SIPGUARD-OUT {match} -g SIPGUARD-SAID"
            for network in behind:
                yield f"-A SIPGUARD-THROUGH {match} -s {network} -g SIPGUARD-SAID"
    if layout.closed and not layout.observe:
        yield from (f"-A SIPGUARD-HEARD {match} -j SIPGUARD-CLOSED" for match in port_matches(layout.ports, "dports"))
        if layout.static:
            yield f"-A SIPGUARD-CLOSED {_idle(version)}"
        yield f"-A SIPGUARD-CLOSED {in_set('allowed', version)} -j RETURN"
        yield "-A SIPGUARD-CLOSED -m conntrack --ctdir REPLY -j RETURN"
        yield f"-A SIPGUARD-CLOSED {counted('closed')} -j DROP"
    if version == 6 and not layout.observe:
        yield from _lengthless(layout)
    for chain, copy, way, key in (
        ("SIPGUARD-HEARD", "SIPGUARD-TAP-IN", "src", "srcip"),
        ("SIPGUARD-SAID", "SIPGUARD-TAP-OUT", "dst", "dstip"),
    ):
        yield f"-A {chain} -m conntrack --ctstate INVALID -j RETURN"
        # A segment without a handshake reaches no application: it is no evidence.
        yield f"-A {chain} -p tcp -m conntrack ! --ctstate ESTABLISHED -j RETURN"
        yield from ways_in(layout, version) if way == "src" else way_out(layout, version)
        yield f"-A {chain} -g {copy}"
        copied = f"-j NFLOG --nflog-group {layout.tap_group}"
        each = above(f"tap_{way}", layout.tap_each, layout.tap_each, version, key)
        measure = above(f"known_{way}", layout.known_rate, 2 * layout.known_rate, version, key)
        for name in ("allowed", "trusted"):
            yield f"-A {copy} {in_set(name, version, way)} {measure} {counted('known_uncopied')} -j RETURN"
            yield f"-A {copy} {in_set(name, version, way)} {copied}"
            yield f"-A {copy} {in_set(name, version, way)} -j RETURN"
        yield f"-A {copy} {each} {counted('tap_lost')} -j RETURN"
        # Who failed once is watched: a crowd of strangers cannot hide him, only he himself can lose his packets.
        yield f"-A {copy} {in_set('watched', version, way)} {copied}"
        yield f"-A {copy} {in_set('watched', version, way)} -j RETURN"
        most = altogether(f"all_{way}", layout.tap_rate, 1, version)
        yield f"-A {copy} {most} {counted('tap_lost')} -j RETURN"
        yield f"-A {copy} {copied}"
