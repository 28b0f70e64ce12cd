"""Who queues what the gate's rules have marked: nft where the kernel lets it, else four rules of iptables.

The rules stand in a chain of our own in iptables' `mangle` table, reached from the end of three of its chains, for IPv4
and IPv6; other chains and rules are not touched. They are inert by themselves: only our nft table gives the mark, and
only while somebody judges.
"""

from __future__ import annotations

from sipguard.enforce.base import Layout
from sipguard.enforce.gaterules import BITS, queues
from sipguard.enforce.tools import nft_takes, run_tool
from sipguard.errors import AdapterError

CHAIN = "SIPGUARD"
_HOOKS = ("PREROUTING", "OUTPUT", "FORWARD")
# The programs that speak to nf_tables: they need no lock of root's.
_SAVE = ("iptables-nft-save", "ip6tables-nft-save")
_PROBE = """table inet sipguard_probe {
    chain probe {
        type filter hook prerouting priority -152; policy accept;
        meta mark 1 queue flags bypass to 1
    }
}
"""


def nft_can_queue() -> bool:
    """Tell whether nft may queue here; Linux without CONFIG_NFT_QUEUE says no."""
    return nft_takes(_PROBE)


def wanted(layout: Layout, saved: str) -> str:
    """Write what `iptables-restore --noflush` is to load, given what `iptables-save` says is there."""
    lines = ["*mangle", f":{CHAIN} - [0:0]"]
    for bit, number in queues(layout):
        mark = f"{bit:#x}/{BITS:#x}"
        lines.append(f"-A {CHAIN} -m mark --mark {mark} -j NFQUEUE --queue-num {number} --queue-bypass")
    lines += [f"-A {hook} -j {CHAIN}" for hook in _HOOKS if _jump(hook) not in saved.splitlines()]
    return "\n".join([*lines, "COMMIT", ""])


def unwanted(saved: str) -> str:
    """Write what takes our chain out again; empty when it is not there."""
    lines = saved.splitlines()
    if not any(line.startswith(f":{CHAIN} ") for line in lines):
        return ""
    jumps = [f"-D {hook} -j {CHAIN}" for hook in _HOOKS for line in lines if line == _jump(hook)]
    return "\n".join(["*mangle", *jumps, f"-F {CHAIN}", f"-X {CHAIN}", "COMMIT", ""])


def installed(layout: Layout) -> bool:
    """Tell whether all of our rules stand where they should. Raises AdapterError."""
    return all(is_whole(layout, run_tool(save, "-t", "mangle")) for save in _SAVE)


def is_whole(layout: Layout, saved: str) -> bool:
    """Tell whether `iptables-save` says that our chain is reached, and holds a rule for each queue and no other."""
    lines = saved.splitlines()
    rules = [line for line in lines if line.startswith(f"-A {CHAIN} ")]
    there = all(
        any(f"--mark {bit:#x}/{BITS:#x} " in rule and f"--queue-num {number} " in rule for rule in rules)
        for bit, number in queues(layout)
    )
    return there and len(rules) == len(queues(layout)) and all(_jump(hook) in lines for hook in _HOOKS)


def install(layout: Layout) -> None:
    """Load the rules; done twice it is the same. Raises AdapterError."""
    for save in _SAVE:
        _restore(save, wanted(layout, run_tool(save, "-t", "mangle")))


def remove() -> bool:
    """Take the rules out; nothing is wrong when there are none, or no iptables. Raises AdapterError.

    Tells whether there were any.
    """
    found = False
    for save in _SAVE:
        try:
            saved = run_tool(save, "-t", "mangle")
        except AdapterError:
            continue  # where it cannot be asked, it was never told
        text = unwanted(saved)
        found = found or bool(text)
        try:
            if text:
                _restore(save, text)
        except AdapterError:
            if unwanted(run_tool(save, "-t", "mangle")):  # else somebody has done it meanwhile
                raise
    return found


def _restore(save: str, text: str) -> None:
    run_tool(save.replace("-save", "-restore"), "--noflush", text=text)


def _jump(hook: str) -> str:
    return f"-A {hook} -j {CHAIN}"
