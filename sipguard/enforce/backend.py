"""Which back end this host has: tried, not guessed by version numbers. The operator's word stands above it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from typing import Literal, TypeAlias

from sipguard.enforce.base import Layout
from sipguard.enforce.dryrun import DryRun
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.netlink import Netlink
from sipguard.enforce.nft import Nft
from sipguard.errors import AdapterError
from sipguard.model import Instant
from sipguard.netfilter import sets

Kernel: TypeAlias = Nft | Ipsets | DryRun

_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def probe() -> Literal["nftables", "iptables"]:
    """Name the back end that works here, nftables before iptables. Raises AdapterError where none does."""
    if _installed("nft") and _nftables_answers():
        return "nftables"
    if _installed("iptables-restore") and _installed("ip6tables-restore"):
        return "iptables"
    raise AdapterError("enforcement", "neither nftables nor iptables can be used here (packages nftables, iptables)")


def chosen(layout: Layout) -> Literal["nftables", "iptables", "dryrun"]:
    """Name the back end that the layout asks for, or else the one that works here. Raises AdapterError."""
    return probe() if layout.backend == "auto" else layout.backend


def made(layout: Layout, now: Callable[[], Instant]) -> Kernel:
    """Make the back end that the layout asks for. Raises AdapterError."""
    wanted = chosen(layout)
    if wanted == "nftables":
        return Nft(layout, now)
    return Ipsets(layout, now) if wanted == "iptables" else DryRun(now)


def _installed(program: str) -> bool:
    return shutil.which(program) is not None or shutil.which(program, path=_SYSTEM_PATH) is not None


def _nftables_answers() -> bool:
    """Ask the kernel for the generation of its rulesets: a kernel without nf_tables has none."""
    netlink = Netlink()
    try:
        sequence = netlink.next_sequence()
        answers, code = netlink.ask(sets.ask_generation(sequence), sequence)
    except AdapterError:
        return False
    finally:
        netlink.close()
    return code in {0, errno.EPERM} and bool(answers)
