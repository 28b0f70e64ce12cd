"""The gate's part of the second back end: which packets wait, in iptables. Pure text, for one family at a time.

They say what `gaterules.py` says in nft. What is to wait is given the same bits of the packet mark by chains that stand
first in the kernel's, and is queued by one that stands last: a verdict ends the table for a packet, and so others'
rules of `mangle` have seen it before.

Nothing is marked unless our set `alive` holds every address: it is one of networks, and its two elements, the halves of
all addresses, last a second. A set of networks, as every packet has a source that is in it; one of ports would need all
the SIP ports in it, and one of marks a mark on every packet before it is asked.

Whatever still has the bit later on was not held, and is copied to the tap then: in INPUT, FORWARD and POSTROUTING, as a
queue that lets pass ends the table, too. By then the destination may be translated. Others' rules between the two that
overwrite the whole mark take the bit away: that is told (`counting.py`).

u32 looks at fixed places: in IPv4 behind the header, however long; in IPv6 only where no extension header stands in
between. With one, a datagram is taken for none that is harmless or short, and a segment for one with content: it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sipguard.enforce.base import Layout
from sipguard.enforce.gaterules import BITS, CALLS, STRANGERS, queues
from sipguard.enforce.ruleparts import above, altogether, counted, flooding, in_set, port_matches
from sipguard.sip import tokens

CHAINS = (
    *("SIPGUARD-GATE-ASK", "SIPGUARD-GATE-CALL", "SIPGUARD-GATE-METER", "SIPGUARD-GATE-KNOWN", "SIPGUARD-GATE-DATA"),
    "SIPGUARD-GATE-FLOODER",
    *("SIPGUARD-GATE-UDP", "SIPGUARD-GATE-IN", "SIPGUARD-GATE-SENT", "SIPGUARD-GATE-PAID", "SIPGUARD-GATE-OUT"),
    *("SIPGUARD-PAST", "SIPGUARD-LATE", "SIPGUARD-QUEUE"),
)
PROBE = "SIPGUARDPROBE"
"""A chain by which rules are tried; not one of ours by its name, so that one left behind is not taken for a damage."""

_VALUES_MOST = 10  # of one test (xt_u32.h, XT_U32_MAXSIZE)
_WORDS = range(5, 16)  # lengths of a TCP header
_ANY = "0:0xffffffff"
_BEHIND = "0>>22&0x3c@"  # IPv4: go on behind its header
_PLAIN_UDP, _PLAIN_TCP = "3&0xff=17&&", "3&0xff=6&&"  # IPv6: what comes next is that, and nothing in between
LONG_ENOUGH = f'-m u32 --u32 "{_PLAIN_UDP}44>>16=8:0xffff"'
"""Matches datagrams of IPv6, without extension headers, that have the length of their own header at least."""
_SHORTEST, _SHORT = 8, 8 + tokens.SHORT  # UDP's own length counts its header


def waiting(layout: Layout, version: int) -> Iterator[str]:
    """Write what decides who waits, and what queues; nothing where there is no gate."""
    if not layout.gated:
        return
    yield from _marking("SIPGUARD-GATE-ASK", STRANGERS)
    yield from _marking("SIPGUARD-GATE-CALL", CALLS)
    yield from _coming(layout, version)
    yield from _leaving(layout, version)
    for bit, number in queues(layout):
        queue = f"-j NFQUEUE --queue-num {number} --queue-bypass"
        yield f"-A SIPGUARD-QUEUE -m mark --mark {bit:#x}/{BITS:#x} {counted('queued')} {queue}"
    yield f"-A SIPGUARD-LATE {_marked()} -g SIPGUARD-PAST"
    yield f"-A SIPGUARD-PAST {counted('unheld')} -j MARK --set-xmark 0x0/{BITS:#x}"
    # A full queue says that the guard is late already: more copies would make it later still.
    yield f"-A SIPGUARD-PAST {altogether('past', layout.gate_rate // 2, 2, version)} -j RETURN"
    yield f"-A SIPGUARD-PAST -j NFLOG --nflog-group {layout.tap_group}"


def ways_in(layout: Layout, version: int) -> Iterator[str]:
    """Write what leads from what was heard to the gate, while somebody judges."""
    for match in port_matches(layout.ports, "dports") if layout.gated else ():
        yield f"-A SIPGUARD-HEARD {match} {in_set('alive', version)} -g SIPGUARD-GATE-IN"


def way_out(layout: Layout, version: int) -> Iterator[str]:
    """Write what leads from what the PBX says to the gate, while somebody judges."""
    if layout.gated:
        yield f"-A SIPGUARD-SAID {in_set('alive', version)} -g SIPGUARD-GATE-OUT"


def way_through(layout: Layout) -> Iterator[str]:
    """Write what comes first where packets are passed on: what should have waited when it came is seen here."""
    if layout.gated:
        yield f"-A SIPGUARD-THROUGH {_marked()} -g SIPGUARD-PAST"


def probe(layout: Layout, version: int) -> str:
    """Write a chain that nothing leads to, with one of each kind that only the gate needs."""
    bit, number = queues(layout)[0]
    return "\n".join(
        (
            f"*mangle\n:{PROBE} - [0:0]",
            f"-A {PROBE} -p udp {_word(tokens.HARMLESS[:_VALUES_MOST], version)} -j RETURN",
            f"-A {PROBE} -j MARK --set-xmark {bit:#x}/{bit:#x}",
            f"-A {PROBE} -m mark --mark {bit:#x}/{BITS:#x} -j NFQUEUE --queue-num {number} --queue-bypass",
            "COMMIT\n",
        )
    )


def probed() -> str:
    """Write what takes that chain away again."""
    return f"*mangle\n:{PROBE} - [0:0]\n-X {PROBE}\nCOMMIT\n"


def _coming(layout: Layout, version: int) -> Iterator[str]:
    seen = "-g SIPGUARD-TAP-IN"
    # Hold of strangers what the guard can judge; who sends more than that loses it, and so does a crowd.
    meter = "-A SIPGUARD-GATE-METER"
    yield f"{meter} {above('tap_src', layout.tap_each, layout.tap_each, version)} -g SIPGUARD-GATE-FLOODER"
    yield f"{meter} {altogether('gate', layout.gate_rate, 1, version)} {counted('crowded')} -j DROP"
    yield f"{meter} -g SIPGUARD-GATE-ASK"
    yield from flooding("SIPGUARD-GATE-FLOODER", version)
    # Only over UDP: the gate must see every segment of a connection. What leaves the PBX then is held all the same.
    known = "-A SIPGUARD-GATE-KNOWN"
    for start in range(0, len(tokens.HARMLESS), _VALUES_MOST):
        yield f"{known} -p udp {_word(tokens.HARMLESS[start : start + _VALUES_MOST], version)} {seen}"
    measure = above("known_held", layout.known_rate, 2 * layout.known_rate, version)
    yield f"{known} {measure} {counted('known_unheld')} {seen}"
    yield f"{known} -g SIPGUARD-GATE-CALL"
    yield from _by_source("SIPGUARD-GATE-DATA", version, allowed=seen, trusted="-g SIPGUARD-GATE-CALL", last="allowed")
    yield f"-A SIPGUARD-GATE-UDP -p udp {_short(version)} {seen}"
    yield f"-A SIPGUARD-GATE-UDP -p udp {_word((tokens.ANSWER,), version)} {seen}"
    then = "-g SIPGUARD-GATE-KNOWN"
    yield from _by_source("SIPGUARD-GATE-UDP", version, allowed=then, trusted=then, last="watched")
    yield "-A SIPGUARD-GATE-IN -p udp -g SIPGUARD-GATE-UDP"
    yield from (f"-A SIPGUARD-GATE-IN -p tcp {match} -g SIPGUARD-GATE-DATA" for match in _content(version))
    yield f"-A SIPGUARD-GATE-IN {seen}"


def _by_source(chain: str, version: int, *, allowed: str, trusted: str, last: str) -> Iterator[str]:
    """Tell those who send from one another. Over TCP the allowed come first, over UDP the watched."""
    listed = {"allowed": allowed, "watched": "-g SIPGUARD-GATE-ASK", "trusted": trusted}
    for name in ("watched", "allowed", "trusted") if last == "watched" else ("allowed", "watched", "trusted"):
        yield f"-A {chain} {in_set(name, version)} {listed[name]}"
    yield f"-A {chain} -g SIPGUARD-GATE-METER"


def _leaving(layout: Layout, version: int) -> Iterator[str]:
    """Hold every call that leaves for an address where no device is known to be, and the ACK to our own refusal.

    A PBX writes the method at the start of what it sends. On a connection that it opened to another's SIP port calls
    can stand anywhere in the stream: all of it is held.
    """
    seen, held = "-g SIPGUARD-TAP-OUT", "-g SIPGUARD-GATE-CALL"
    yield f"-A SIPGUARD-GATE-OUT {in_set('charged', version, 'dst')} -g SIPGUARD-GATE-PAID"
    yield f"-A SIPGUARD-GATE-OUT {in_set('trusted', version, 'dst')} {seen}"
    yield "-A SIPGUARD-GATE-OUT -g SIPGUARD-GATE-PAID"
    yield f"-A SIPGUARD-GATE-PAID -p udp {_word(tokens.LEAVING, version)} {held}"
    if version == 6:
        yield f"-A SIPGUARD-GATE-PAID -p udp {_u32('3&0xff=0:16,18:255')} {held}"
    for match in port_matches(layout.ports, "dports", ("tcp",)):
        yield f"-A SIPGUARD-GATE-PAID {match} -g SIPGUARD-GATE-SENT"
    yield f"-A SIPGUARD-GATE-PAID -p tcp {_first(tokens.LEAVING[:1], version)} {held}"
    if version == 6:
        yield f"-A SIPGUARD-GATE-PAID -p tcp {_u32('3&0xff=0:5,7:255')} {held}"
    yield f"-A SIPGUARD-GATE-PAID {seen}"
    yield from (f"-A SIPGUARD-GATE-SENT -p tcp {match} {held}" for match in _content(version))
    yield f"-A SIPGUARD-GATE-SENT {seen}"


def _marking(chain: str, bit: int) -> Iterator[str]:
    yield f"-A {chain} {counted('held')} -j MARK --set-xmark {bit:#x}/{bit:#x}"


def _marked() -> str:
    return f"-m mark ! --mark 0x0/{BITS:#x}"


# --- What stands where in a packet ------------------------------------------------------------------------------------


def _u32(tests: str) -> str:
    return f'-m u32 --u32 "{tests}"'


def _values(words: Iterable[bytes]) -> str:
    return ",".join(f"0x{word.hex()}" for word in words)


def _word(words: Iterable[bytes], version: int) -> str:
    """Match a datagram whose content begins with one of these words of four bytes."""
    return _u32(f"{_BEHIND}8={_values(words)}" if version == 4 else f"{_PLAIN_UDP}48={_values(words)}")


def _first(words: Iterable[bytes], version: int) -> str:
    """Match a segment whose content begins with one of these words of four bytes."""
    header = f"{_BEHIND}12>>26&0x3c@0" if version == 4 else f"{_PLAIN_TCP}52>>26&0x3c@40"
    return _u32(f"{header}={_values(words)}")


def _short(version: int) -> str:
    """Match a datagram too short for any request."""
    lengths = f">>16={_SHORTEST}:{_SHORT - 1}"
    return _u32(f"{_BEHIND}4{lengths}" if version == 4 else f"{_PLAIN_UDP}44{lengths}")


def _content(version: int) -> Iterator[str]:
    """Match segments with content, by one of many: most have the four bytes that u32 reads at once.

    Of those with fewer, the first byte is read as the last of four, which u32 can only where it knows the header's
    length.
    """
    if version == 6:
        yield _u32("3&0xff=0:5,7:255")
        yield _u32(f"52>>26&0x3c@40={_ANY}")
    else:
        yield _u32(f"{_BEHIND}12>>26&0x3c@0={_ANY}")
    for words in _WORDS:
        last = 4 * words - 3
        if version == 4:
            yield _u32(f"{_BEHIND}12>>28={words}&&{_BEHIND}{last}={_ANY}")
        else:
            yield _u32(f"52>>28={words}&&{40 + last}={_ANY}")
