"""Runs iptables and ip6tables: our chains are loaded, hooked in and out, their counters read. Never a shell.

Elements of sets do not go this way. Every error becomes an `AdapterError` with the program's own words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from sipguard.enforce.tools import run_tool

_LOCK_SECONDS = "5"  # for the lock of iptables-legacy
_COUNTED = re.compile(r'^\[([0-9]+):([0-9]+)\] -A SIPGUARD.*--comment "sipguard ([a-z_]+)"', re.MULTILINE)


class Programs:
    """The programs of both families."""

    def restore(self, version: int, text: str) -> None:
        """Load a text; chains that it does not name stay as they are. Raises AdapterError."""
        run_tool(f"{_name(version)}-restore", "-w", _LOCK_SECONDS, "--noflush", text=text)

    def hook(self, version: int, table: str, hook: str, chain: str) -> None:
        """Have the kernel's chain begin with ours; done twice it is the same. Raises AdapterError."""
        if not self._hooked(version, table, hook, chain):
            run_tool(_name(version), "-w", _LOCK_SECONDS, "-t", table, "-I", hook, "1", "-j", chain)

    def unhook(self, version: int, table: str, hook: str, chain: str) -> None:
        """Take ours out of the kernel's chain, if it is there. Raises AdapterError."""
        while self._hooked(version, table, hook, chain):
            run_tool(_name(version), "-w", _LOCK_SECONDS, "-t", table, "-D", hook, "-j", chain)

    def counted(self, version: int) -> Iterator[tuple[str, int, int]]:
        """Give name, packets and octets of our rules that count. Raises AdapterError."""
        for table in ("raw", "mangle"):
            text = run_tool(f"{_name(version)}-save", "-c", "-t", table)
            for packets, octets, name in _COUNTED.findall(text):
                yield name, int(packets), int(octets)

    def legacy(self) -> bool:
        """Tell whether iptables is the one before nf_tables. Raises AdapterError."""
        return "nf_tables" not in run_tool(_name(4), "--version")

    @staticmethod
    def may_write() -> bool:
        """Tell whether the lock of iptables-legacy is ours to take; only root may."""
        return os.geteuid() == 0

    def complete(self, version: int, hooks: Iterable[tuple[str, str, str]], text: str) -> bool:
        """Tell whether all hooks are there, and as many rules of ours as the text has. Raises AdapterError."""
        for table in ("raw", "mangle"):
            saved = run_tool(f"{_name(version)}-save", "-t", table)
            if any(f"-A {hook} -j {chain}\n" not in saved for where, hook, chain in hooks if where == table):
                return False
            part = text.partition(f"*{table}\n")[2].partition("COMMIT")[0]
            if saved.count("\n-A SIPGUARD-") != part.count("\n-A SIPGUARD-"):
                return False
        return True

    def ours(self) -> bool:
        """Tell whether any of our chains is there. Raises AdapterError."""
        return any("SIPGUARD-" in run_tool(f"{_name(version)}-save") for version in (4, 6))

    def _hooked(self, version: int, table: str, hook: str, chain: str) -> bool:
        saved = run_tool(f"{_name(version)}-save", "-t", table)
        return f"-A {hook} -j {chain}\n" in saved


def _name(version: int) -> str:
    return "iptables" if version == 4 else "ip6tables"
