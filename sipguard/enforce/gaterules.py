"""The gate's part of the skeleton: which packets wait for a verdict, and in which queue. Pure text.

Nothing waits unless our set `alive` says that somebody judges: its elements last a second, and the packet loop puts
them in anew four times in that. What is to wait is given a bit of the packet mark, whichever program then queues by it:
our own chain, or where nft cannot queue, rules of iptables (`queueing.py`). Whatever still has the bit afterwards was
not held (nobody had bound the queue, it was full, the rules are gone): it passes, and is copied to the tap. A verdict
takes the bit away, so nothing is both judged and copied.
"""

from __future__ import annotations

from sipguard.enforce.base import Layout
from sipguard.enforce.ruletext import chain, known_measure, lookups, ports
from sipguard.sip import tokens

STRANGERS = 0x20000000
"""The mark's bit of what strangers and watched sources ask."""
CALLS = 0x80000000
"""The mark's bit of calls that may cost money, and of whatever else known sources must not slip in."""
BITS = STRANGERS | CALLS

_SHORT = 8 + tokens.SHORT  # UDP's own length counts its header
_SPOKEN = "@ih,0,8 & 0x00 == 0x00"  # true for any first byte of content, and for none when there is no content


def gate_chains(layout: Layout) -> list[str]:
    """Write the chains that `inbound` and `outbound` of the skeleton go to, empty where there is no gate."""
    if not layout.gated:
        names = ("strangers", "calls", "metered", "known", "data", "udp", "in", "paid", "out", "past")
        return [line for name in names for line in chain(f"gate_{name}", [])]
    unseen = "goto strangers_in"
    harmless = ", ".join(_word(token) for token in tokens.HARMLESS)
    return [
        *chain("gate_strangers", [_marking(STRANGERS)]),
        *chain("gate_calls", [_marking(CALLS)]),
        *chain("gate_metered", _metered(layout)),
        # Only over UDP: the gate must see every segment of a connection. What leaves the PBX then is held all the same.
        *chain(
            "gate_known",
            [
                f"@th,64,32 {{ {harmless} }} {unseen}",
                *known_measure(layout, "held", unseen, "known_unheld"),
                "goto gate_calls",
            ],
        ),
        *chain(
            "gate_data",
            [
                *lookups("allowed", "return"),
                *lookups("watched", "goto gate_strangers"),
                *lookups("trusted", "goto gate_calls"),
                "goto gate_metered",
            ],
        ),
        *chain(
            "gate_udp",
            [
                f"udp length < {_SHORT} {unseen}",
                f"@th,64,32 {_word(tokens.ANSWER)} {unseen}",
                *lookups("watched", "goto gate_strangers"),
                *lookups("allowed", "goto gate_known"),
                *lookups("trusted", "goto gate_known"),
                "goto gate_metered",
            ],
        ),
        *chain(
            "gate_in",
            [f"meta l4proto tcp {_SPOKEN} jump gate_data", "meta l4proto udp goto gate_udp", unseen],
        ),
        *chain("gate_paid", _paid(layout)),
        *chain("gate_out", _leaving()),
        *chain(
            "gate_past",
            [
                f"meta mark set meta mark & {~BITS & 0xFFFFFFFF:#x} counter name unheld",
                # A full queue says that the guard is late already: more copies would make it later still.
                f"limit rate over {layout.gate_rate // 2}/second burst {layout.gate_rate} packets accept",
                "goto copy",
            ],
        ),
    ]


def gate_hooks(layout: Layout) -> list[str]:
    """Write the base chains: what was marked is queued, if nft can; and what was not held is seen at least."""
    queue: list[str] = []
    past: list[str] = []
    if layout.gated:
        past = [f"meta mark & {BITS:#x} != 0 goto gate_past"]
        if layout.gate == "nft":
            queue = [
                f"meta mark & {BITS:#x} == {bit:#x} queue flags bypass to {number}" for bit, number in queues(layout)
            ]
    lines: list[str] = []
    for hook in ("prerouting", "output", "forward"):
        # iptables' mangle table stands at -150, between the two.
        lines += chain(f"gate_queue_{hook}", queue, hook=f"{hook} priority -152")
        lines += chain(f"gate_past_{hook}", past, hook=f"{hook} priority -148")
    return lines


def queues(layout: Layout) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give the two bits, each with the number of its queue."""
    return (STRANGERS, layout.queues[0]), (CALLS, layout.queues[1])


def _marking(bit: int) -> str:
    return f"meta mark set meta mark | {bit:#x} counter name held accept"


def _word(token: bytes) -> str:
    return f"{int.from_bytes(token):#x}"


def _metered(layout: Layout) -> list[str]:
    """Hold of strangers what the guard can judge; who sends more than that loses it, and so does a crowd."""
    return [
        *(
            f"update @tap_meter_in{version} {{ {key} limit rate over {layout.tap_each}/second "
            f"burst {layout.tap_each} packets }} goto flooding"
            for version, key in ((4, "ip saddr"), (6, "ip6 saddr & ffff:ffff:ffff:ffff::"))
        ),
        f"limit rate over {layout.gate_rate}/second burst {layout.gate_rate} packets counter name crowded drop",
        "goto gate_strangers",
    ]


def _leaving() -> list[str]:
    """Send what leaves for where calls may cost money one way, and what goes to a device that is known the other."""
    return [
        *lookups("charged", "goto gate_paid", far="daddr"),
        *lookups("trusted", "goto strangers_out", far="daddr"),
        "goto gate_paid",
    ]


def _paid(layout: Layout) -> list[str]:
    """Hold every call that leaves for an address where no device is known to be, and the ACK to our own refusal.

    A PBX writes the method at the start of what it sends. On a connection that it opened to another's SIP port calls
    can stand anywhere in the stream: all of it is held.
    """
    invite, ack = map(_word, tokens.LEAVING)
    return [
        f"meta l4proto udp @th,64,32 {{ {invite}, {ack} }} goto gate_calls",
        f"meta l4proto tcp th dport {ports(layout)} {_SPOKEN} goto gate_calls",
        f"meta l4proto tcp @ih,0,32 {invite} goto gate_calls",
        "goto strangers_out",
    ]
