"""Runs iptables and ip6tables: our chains are loaded, hooked in and out, their counters read. Never a shell.

Elements of sets do not go this way. Every error becomes an `AdapterError` with the program's own words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from sipguard.enforce.tools import run_tool

Hooks: TypeAlias = Sequence[tuple[str, str, str]]
"""Table, chain of the kernel's, and ours that it leads to."""

_LOCK_SECONDS = "5"  # for the lock of iptables-legacy
_MARKING = re.compile(
    r"^\[([0-9]+):[0-9]+\] -A (?!SIPGUARD|INPUT|POSTROUTING)(.* -j (?:MARK --set-xmark 0x[0-9a-f]+/0x([0-9a-f]+)|"
    r"CONNMARK --restore-mark(?: --nfmask 0x([0-9a-f]+))?).*)$",
    re.MULTILINE,
)
_COUNTED = re.compile(r'^\[([0-9]+):([0-9]+)\] -A SIPGUARD.*--comment "sipguard ([a-z_]+)"', re.MULTILINE)


class Programs:
    """The programs of both families."""

    def restore(self, version: int, text: str) -> None:
        """Load a text; chains that it does not name stay as they are. Raises AdapterError."""
        run_tool(f"{_name(version)}-restore", "-w", _LOCK_SECONDS, "--noflush", text=text)

    def lay(self, version: int, text: str, hooks: Hooks, tails: Hooks) -> None:
        """Load a text, and have the kernel's chains begin with ours or, of `tails`, end. Raises AdapterError.

        Each table in one step; done twice it is the same.
        """
        written = []
        for table, part in parts(text):
            saved = self._saved(version, table)
            lines = [
                f"-I {hook} 1 -j {chain}" for at, hook, chain in hooks if at == table and not _has(saved, hook, chain)
            ]
            lines += [
                f"-A {hook} -j {chain}" for at, hook, chain in tails if at == table and not _has(saved, hook, chain)
            ]
            written.append(part + "".join(f"{line}\n" for line in lines) + "COMMIT\n")
        self.restore(version, "".join(written))

    def take_out(self, version: int, text: str, hooks: Hooks) -> None:
        """Take ours out of the kernel's chains, wherever they are, and load a text that ends them.

        Raises AdapterError.
        """
        written = []
        for table, part in parts(text):
            saved = self._saved(version, table)
            lines = [
                f"-D {hook} -j {chain}\n" * saved.count(_jump(hook, chain)) for at, hook, chain in hooks if at == table
            ]
            head, first, rest = part.partition("-X ")
            written.append(head + "".join(lines) + first + rest + "COMMIT\n")
        self.restore(version, "".join(written))

    def counted(self, version: int) -> Iterator[tuple[str, int, int]]:
        """Give name, packets and octets of our rules that count. Raises AdapterError."""
        for table in ("raw", "mangle"):
            yield from counted_in(run_tool(*saver(version, table)))

    def legacy(self) -> bool:
        """Tell whether iptables is the one before nf_tables. Raises AdapterError."""
        return "nf_tables" not in run_tool(_name(4), "--version")

    @staticmethod
    def may_write() -> bool:
        """Tell whether the lock of iptables-legacy is ours to take; only root may."""
        return os.geteuid() == 0

    def complete(self, version: int, hooks: Hooks, text: str) -> bool:
        """Tell whether all hooks are there, and as many rules of ours as the text has. Raises AdapterError."""
        for table in ("raw", "mangle"):
            saved = self._saved(version, table)
            if any(not _has(saved, hook, chain) for where, hook, chain in hooks if where == table):
                return False
            part = text.partition(f"*{table}\n")[2].partition("COMMIT")[0]
            if saved.count("\n-A SIPGUARD-") != part.count("\n-A SIPGUARD-"):
                return False
        return True

    def ours(self) -> bool:
        """Tell whether any of our chains is there. Raises AdapterError."""
        return any("SIPGUARD-" in run_tool(f"{_name(version)}-save") for version in (4, 6))

    @staticmethod
    def _saved(version: int, table: str) -> str:
        return run_tool(f"{_name(version)}-save", "-t", table)


def saver(version: int, table: str) -> Sequence[str]:
    """Give the words of the program that says a table with what its rules have counted."""
    return f"{_name(version)}-save", "-c", "-t", table


def counted_in(said: str) -> Iterator[tuple[str, int, int]]:
    """Give name, packets and octets of our rules that count, of what that program has said."""
    for packets, octets, name in _COUNTED.findall(said):
        yield name, int(packets), int(octets)


def overwriting_in(said: str, bits: int) -> Mapping[str, int]:
    """Give the rules of others' that take bits of the mark from packets, and how many each has met."""
    found = _MARKING.findall(said)
    return {rule: int(packets) for packets, rule, *masks in found if int("".join(masks) or "ffffffff", 16) & bits}


def parts(text: str) -> Iterator[tuple[str, str]]:
    """Cut a text into its tables: the name of each, and all its lines but the last."""
    for part in text.split("COMMIT\n"):
        if part:
            yield part.partition("\n")[0].removeprefix("*"), part


def _has(saved: str, hook: str, chain: str) -> bool:
    return _jump(hook, chain) in saved


def _jump(hook: str, chain: str) -> str:
    return f"-A {hook} -j {chain}\n"


def _name(version: int) -> str:
    return "iptables" if version == 4 else "ip6tables"
