"""Runs iptables and ip6tables: our chains are loaded, hooked in and out, their counters read. Never a shell.

Elements of sets do not go this way. Every error becomes an `AdapterError` with the program's own words.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator

from sipguard.errors import AdapterError

_PATIENCE_SECONDS = 20.0
_LOCK_SECONDS = "5"  # for the lock of iptables-legacy
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_LONGEST_COMPLAINT = 600
_COUNTED = re.compile(r'^\[([0-9]+):([0-9]+)\] -A SIPGUARD.*--comment "sipguard ([a-z_]+)"', re.MULTILINE)


class Programs:
    """The programs of both families."""

    def restore(self, version: int, text: str) -> None:
        """Load a text; chains that it does not name stay as they are. Raises AdapterError."""
        self._run([f"{_name(version)}-restore", "-w", _LOCK_SECONDS, "--noflush"], text)

    def hook(self, version: int, table: str, hook: str, chain: str) -> None:
        """Have the kernel's chain begin with ours; done twice it is the same. Raises AdapterError."""
        if not self._hooked(version, table, hook, chain):
            self._run([_name(version), "-w", _LOCK_SECONDS, "-t", table, "-I", hook, "1", "-j", chain])

    def unhook(self, version: int, table: str, hook: str, chain: str) -> None:
        """Take ours out of the kernel's chain, if it is there. Raises AdapterError."""
        while self._hooked(version, table, hook, chain):
            self._run([_name(version), "-w", _LOCK_SECONDS, "-t", table, "-D", hook, "-j", chain])

    def counted(self, version: int) -> Iterator[tuple[str, int, int]]:
        """Give name, packets and octets of our rules that count. Raises AdapterError."""
        for table in ("raw", "mangle"):
            text = self._run([f"{_name(version)}-save", "-c", "-t", table])
            for packets, octets, name in _COUNTED.findall(text):
                yield name, int(packets), int(octets)

    def legacy(self) -> bool:
        """Tell whether iptables is the one before nf_tables. Raises AdapterError."""
        return "nf_tables" not in self._run([_name(4), "--version"])

    def complete(self, version: int, hooks: Iterable[tuple[str, str, str]], text: str) -> bool:
        """Tell whether all hooks are there, and as many rules of ours as the text has. Raises AdapterError."""
        for table in ("raw", "mangle"):
            saved = self._run([f"{_name(version)}-save", "-t", table])
            if any(f"-A {hook} -j {chain}\n" not in saved for where, hook, chain in hooks if where == table):
                return False
            part = text.partition(f"*{table}\n")[2].partition("COMMIT")[0]
            if saved.count("\n-A SIPGUARD-") != part.count("\n-A SIPGUARD-"):
                return False
        return True

    def ours(self) -> bool:
        """Tell whether any of our chains is there. Raises AdapterError."""
        return any("SIPGUARD" in self._run([f"{_name(version)}-save"]) for version in (4, 6))

    def _hooked(self, version: int, table: str, hook: str, chain: str) -> bool:
        saved = self._run([f"{_name(version)}-save", "-t", table])
        return f"-A {hook} -j {chain}\n" in saved

    def _run(self, command: list[str], text: str = "") -> str:
        program = shutil.which(command[0]) or shutil.which(command[0], path=_SYSTEM_PATH)
        if program is None:
            raise AdapterError("iptables", f"the program {command[0]} is not installed (package iptables)")
        try:
            done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell; the text is ours
                [program, *command[1:]],
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AdapterError("iptables", f"no answer within {_PATIENCE_SECONDS:.0f} s") from error
        except OSError as error:
            raise AdapterError("iptables", f"cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            said = " ".join(done.stderr.split())[:_LONGEST_COMPLAINT]
            raise AdapterError("iptables", said or f"{command[0]}: exit {done.returncode}")
        return done.stdout


def _name(version: int) -> str:
    return "iptables" if version == 4 else "ip6tables"
