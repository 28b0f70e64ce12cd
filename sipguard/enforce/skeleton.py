"""The rules of our own table, as text for `nft -f -`. Pure; elements are never part of it.

Why the rules stand in this order is said beside them. Loading the text twice changes
nothing: tables, sets and chains that exist are kept with their elements, only the rules are written anew, and all of it
in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sipguard.address import Network
from sipguard.enforce.base import Layout
from sipguard.enforce.gaterules import gate_chains, gate_hooks
from sipguard.enforce.ruletext import TABLE, chain, known_measure, lookups, network, ports, source
from sipguard.netset import cover

COUNTERS = (
    *("dropped", "throttled", "flooded", "crowded", "closed"),
    *("tap_lost", "known_uncopied", "known_unheld", "held", "unheld"),
)
FLOODS = ("flooded", "crowded")

# An element is some 100 to 200 bytes of kernel memory. Only proven sources are banned for long, so a flood of spoofed
# ones does not fill these; a full set refuses the next element and says so.
BLOCKED_SIZE = 1_048_576
HOSTS_SIZE = 262_144
NETS_SIZE = 524_288  # all lists, twice: what leaves stays until what comes is there
ALLOWED_SIZE = 65_536
METER_SIZE = 65_536
FLOODERS_SIZE = 1_024

_TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}
# Packet too big, router and neighbour discovery, redirect: without them IPv6 itself stops (RFC 4890 section 4.4.1).
_ESSENTIAL = "icmpv6 type { 2, 133-137 } accept"
# The gate stands open but while this is filled, a second at a time: `meta nfproto` is in it or not. Of `size`, what has
# expired takes up room until the kernel collects it: in a set of two nothing could be put in anew meanwhile.
ALIVE = f"add set inet {TABLE} alive {{ typeof meta nfproto; flags timeout; size 16; }}"
# IPv6 takes a datagram of length 0 for as long as its packet (RFC 2675 section 4) and delivers it; to connection
# tracking it is invalid, so that nobody would read it. No SIP comes so.
_LENGTHLESS = "meta nfproto ipv6 udp length < 8 counter name dropped drop"
_PRIORITY = "priority -155"  # before -150, where iptables' mangle table queues what is marked here
_LOST = "counter name tap_lost accept"
_SIDES = ("blocked_nets", "blocked_next")


def render(layout: Layout) -> str:
    """Write the whole skeleton: sets and counters, then the rules that stand for this layout."""
    return "\n".join([*_declarations(), *_ban_rules(layout), *_tap_rules(layout)]) + "\n"


def removal() -> str:
    """Write what removes our table, present or not, in one transaction."""
    return f"add table inet {TABLE}\ndelete table inet {TABLE}\n"


def remade(layout: Layout, names: Iterable[str], text: str = "") -> str:
    """Write what makes some of our sets anew, empty but for the elements in `text`, in one transaction.

    Taking all elements out of a set of networks goes by the square of their number; a set is dropped whole at once.
    """
    rules = [line for line in render(layout).splitlines() if not line.startswith("flush set ")]
    gone = [f"flush chain inet {TABLE} {line.split()[4]}" for line in rules if line.startswith("add chain ")]
    gone += [f"delete set inet {TABLE} {name}" for name in names]
    return "\n".join([*gone, *rules]) + "\n" + text


def _declarations() -> list[str]:
    lines = [f"add table inet {TABLE}", ALIVE, *(f"add counter inet {TABLE} {name}" for name in COUNTERS)]
    for version, kind in _TYPE.items():
        sets = (
            ("trusted", f"flags timeout; size {HOSTS_SIZE};"),
            ("charged", f"flags timeout; size {HOSTS_SIZE};"),
            ("watched", f"flags timeout; size {HOSTS_SIZE};"),
            ("throttled", f"flags timeout; size {HOSTS_SIZE};"),
            ("blocked", f"flags timeout; counter; size {BLOCKED_SIZE};"),
            ("throttle_meter", f"flags dynamic,timeout; timeout 1m; size {HOSTS_SIZE};"),
            ("flood_meter", f"flags dynamic,timeout; timeout 10s; size {METER_SIZE};"),
            ("known_meter_in", f"flags dynamic,timeout; timeout 10s; size {METER_SIZE};"),
            ("known_meter_out", f"flags dynamic,timeout; timeout 10s; size {METER_SIZE};"),
            ("known_meter_held", f"flags dynamic,timeout; timeout 10s; size {METER_SIZE};"),
            ("flooders", f"flags dynamic,timeout; timeout 1m; size {FLOODERS_SIZE};"),
            ("tap_meter_in", f"flags dynamic,timeout; timeout 10s; size {METER_SIZE};"),
            ("tap_meter_out", f"flags dynamic,timeout; timeout 10s; size {METER_SIZE};"),
        )
        nets = (
            ("allowed", f"flags interval; size {ALLOWED_SIZE};"),
            ("blocked_nets", f"flags interval,timeout; counter; size {NETS_SIZE};"),
            ("blocked_next", f"flags interval,timeout; counter; size {NETS_SIZE};"),
        )
        lines += [f"add set inet {TABLE} {name}{version} {{ type {kind}; {what} }}" for name, what in sets]
        lines += [
            f"add set inet {TABLE} {name}{version} {{ typeof {network(version)}; {what} }}" for name, what in nets
        ]
        # A meter's element keeps the rate it was made with: these, and no others, start anew.
        lines += [
            f"flush set inet {TABLE} {name}{version}" for name, _what in sets if "meter" in name or name == "flooders"
        ]
    return lines


def _skips(layout: Layout, device: str) -> list[str]:
    return [f'{device} "lo" accept', f"meta mark {layout.mark:#x} accept"]


def _either(layout: Layout, side: str) -> str:
    return f"meta l4proto {{ tcp, udp }} th {side} {ports(layout)}"


def _jump_banned(layout: Layout) -> list[str]:
    """Give the rules by which a ban closes what it should: an operator's SSH may be spared from the same address."""
    if layout.scope == "sip":
        return [f"{_either(layout, 'dport')} jump banned"]
    if layout.scope == "all" or not layout.spared:
        return ["jump banned"]
    ports = ", ".join(map(str, sorted(set(layout.spared))))
    # What has no ports is closed too; a fragment was put together before it came here.
    return [
        "meta l4proto != { tcp, udp } jump banned",
        f"meta l4proto {{ tcp, udp }} th dport != {{ {ports} }} jump banned",
    ]


def _ban_rules(layout: Layout) -> list[str]:
    """Before connection tracking spends anything: allowed pass, essentials pass, the banned are dropped."""
    drops = [f"{source(version)} @blocked{version} counter name dropped drop" for version in (4, 6)]
    drops += [f"{network(version)} @{side}{version} counter name dropped drop" for side in _SIDES for version in (4, 6)]
    meters = [
        f"{source(version)} @throttled{version} {source(version)} != @trusted{version} "
        f"update @throttle_meter{version} {{ {source(version)} limit rate over {layout.throttle_rate}/second "
        f"burst {2 * layout.throttle_rate} packets }} counter name throttled drop"
        for version in (4, 6)
    ]
    sip = _either(layout, "dport")
    rules = [
        *_skips(layout, "iifname"),
        *(f"{network(version)} @allowed{version} accept" for version in (4, 6)),
        _ESSENTIAL,
        *_jump_banned(layout),
        f"{sip} jump throttled",
        f"{sip} jump flood",
    ]
    # -310 is just before "raw": packets are whole again (defragmentation is -400), no connection is looked up yet.
    return [
        *chain("banned", drops),
        *chain("throttled", meters),
        *_flood_rules(layout),
        *chain("bans", [] if layout.observe else rules, hook="prerouting priority -310"),
    ]


def _flood_rules(layout: Layout) -> list[str]:
    """Measure each sender, then all strangers together: who fills the meters with forged senders meets the second.

    Nothing is dropped here of known devices, of own addresses and the PBX's; the allowed do not even come here.
    """
    rules = ["fib saddr type local return", *(f"{where} return" for where in _behind(layout.pbx, "saddr"))]
    rules += lookups("trusted", "return")
    rules += [
        f"update @flood_meter{version} {{ {source(version)} limit rate over {layout.stranger_rate}/second "
        f"burst {5 * layout.stranger_rate} packets }} goto flooding"
        for version in (4, 6)
    ]
    rules.append(
        f"limit rate over {layout.strangers_rate}/second burst {2 * layout.strangers_rate} packets "
        "counter name crowded drop"
    )
    # Who is too fast is remembered for a minute, to be named; a full set names no more, and all is dropped the same.
    flooding = [f"update @flooders{version} {{ {source(version)} counter }}" for version in (4, 6)]
    return [*chain("flooding", [*flooding, "counter name flooded drop"]), *chain("flood", rules)]


def _tap_rules(layout: Layout) -> list[str]:
    """After connection tracking, before address translation: copies to the guard of what comes in and what leaves."""
    ours = ["fib daddr type { local, broadcast, multicast }", *_behind(layout.pbx, "daddr")]
    inbound = [f"{_either(layout, side)} {where} goto inbound" for side in ("dport", "sport") for where in ours]
    outbound = [f"{_either(layout, side)} goto outbound" for side in ("sport", "dport")]
    forward = [
        f"{_either(layout, side)} {where} goto outbound"
        for side in ("sport", "dport")
        for where in _between(layout.pbx)
    ]
    return [
        *chain("copy", [f"log group {layout.tap_group}"]),
        *chain("known_in", [*known_measure(layout, "in", "accept", "known_uncopied"), "goto copy"]),
        *chain("known_out", [*known_measure(layout, "out", "accept", "known_uncopied", far="daddr"), "goto copy"]),
        *chain("strangers_in", _strangers(layout, "in", "saddr")),
        *chain("strangers_out", _strangers(layout, "out", "daddr")),
        *chain("closed", _closed(layout)),
        *gate_chains(layout),
        *chain("inbound", _inbound(layout)),
        *chain("outbound", _outbound(layout)),
        *chain("tap_in", [*_skips(layout, "iifname"), *inbound], hook=f"prerouting {_PRIORITY}"),
        *chain("tap_out", [*_skips(layout, "oifname"), *outbound], hook=f"output {_PRIORITY}"),
        *chain("tap_forward", [*_skips(layout, "oifname"), *forward], hook=f"forward {_PRIORITY}"),
        *gate_hooks(layout),
        *chain("own", [f"meta mark {layout.mark:#x} notrack"], hook="output priority -310"),
    ]


def _inbound(layout: Layout) -> list[str]:
    return [
        f"{_either(layout, 'dport')} jump closed",
        *([] if layout.observe else [_LENGTHLESS]),
        "ct state invalid accept",
        # A segment without a handshake reaches no application: it is no evidence.
        "meta l4proto tcp ct state != established accept",
        *([f"meta nfproto @alive {_either(layout, 'dport')} goto gate_in"] if layout.gated else []),
        "goto strangers_in",
    ]


def _outbound(layout: Layout) -> list[str]:
    return [
        "ct state invalid accept",
        "meta l4proto tcp ct state != established accept",
        # A flood of spoofed SYNs is answered by the PBX: its answers must not fill the tap.
        f"tcp flags & (syn | ack) == syn | ack limit rate over {layout.handshake_rate}/second {_LOST}",
        *(["meta nfproto @alive goto gate_out"] if layout.gated else []),
        "goto strangers_out",
    ]


def _closed(layout: Layout) -> list[str]:
    """Drop what comes to the SIP ports from addresses not allowed, but for answers to what the PBX asked."""
    if not layout.closed or layout.observe:
        return []
    return [
        *(f"{network(version)} @allowed{version} return" for version in (4, 6)),
        "ct direction reply return",
        "counter name closed drop",
    ]


def _strangers(layout: Layout, way: str, far: str) -> list[str]:
    """Copy what known addresses send, each up to a measure of its own; of strangers as much as the guard can read.

    Who failed once is watched: a crowd of strangers cannot hide him, only he himself can lose his packets.
    """
    known = [*lookups("allowed", f"goto known_{way}", far=far), *lookups("trusted", f"goto known_{way}", far=far)]
    watched = lookups("watched", "goto copy", far=far)
    meters = [
        f"update @tap_meter_{way}{version} {{ {source(version, far=far)} limit rate over {layout.tap_each}/second "
        f"burst {layout.tap_each} packets }} {_LOST}"
        for version in (4, 6)
    ]
    ceiling = f"limit rate over {layout.tap_rate}/second burst {layout.tap_rate} packets {_LOST}"
    return [*known, *meters, *watched, ceiling, "goto copy"]


def _behind(pbx: Sequence[Network], side: str) -> list[str]:
    """Give one expression per family that matches the addresses of PBXs behind this host."""
    found = []
    for version, word in ((4, "ip"), (6, "ip6")):
        networks = [str(network) for network in cover(pbx) if network.version == version]
        if networks:
            found.append(f"{word} {side} {{ {', '.join(networks)} }}")
    return found


def _between(pbx: Sequence[Network]) -> list[str]:
    """Match what a PBX behind this host sends, but not to another one: that was copied when it came in."""
    return [
        f"{sent} {to.replace(' daddr {', ' daddr != {')}"
        for sent, to in zip(_behind(pbx, "saddr"), _behind(pbx, "daddr"), strict=True)
    ]
