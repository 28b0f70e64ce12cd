"""Rules of iptables-legacy, written by python-iptables (extra `legacy`) under the lock of xtables. Needs root.

For the helper that runs before the guard (`sipguard rules`): the guard itself, without root's lock, then touches sets
only. All that is read here is our own text from `chains.py`; every error becomes an `AdapterError`.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sipguard.enforce.programs import Hooks, Programs, parts
from sipguard.errors import AdapterError

LOCK = Path(os.sep, "run", "xtables.lock")
"""Held by iptables-legacy while it reads, changes and writes a table (iptables(8), -w)."""

PATIENCE = 5.0
"""Seconds that the lock is waited for: whoever keeps it for ever does not keep the guard from its start."""


@contextmanager
def locked(lock: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of xtables. Raises AdapterError where somebody else has it for too long, OSError without it."""
    with lock.open("a") as held:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise AdapterError("iptables-legacy", f"another program holds {lock}") from None
            time.sleep(0.05)
        yield


class Legacy(Programs):
    """Writes where `Programs` runs a program; reads as that does."""

    def __init__(self, lock: Path = LOCK) -> None:
        """Load the library. Raises AdapterError without it."""
        self._lock = lock
        self._buffers: list[Any] = []
        try:
            self._iptc: Any = importlib.import_module("iptc")
        except (ImportError, AttributeError, OSError, RuntimeError) as error:  # its native parts are looked for, too
            raise AdapterError("iptables-legacy", f"python-iptables is needed (extra legacy): {error}") from error

    def restore(self, version: int, text: str) -> None:
        """Write a text of ours, each table in one step; other chains stay as they are. Raises AdapterError."""
        for name, part in parts(text):
            with self._table(version, name) as table:
                self._write(version, table, part.splitlines()[1:])

    def lay(self, version: int, text: str, hooks: Hooks, tails: Hooks) -> None:
        """Write a text, and have the kernel's chains begin with ours or, of `tails`, end. Raises AdapterError."""
        for name, part in parts(text):
            with self._table(version, name) as table:
                self._write(version, table, part.splitlines()[1:])
                for listed, last in ((hooks, False), (tails, True)):
                    for at, hook, chain in listed:
                        if at == name and not self._jumps(table, hook, chain):
                            where = self._iptc.Chain(table, hook)
                            (where.append_rule if last else where.insert_rule)(self._rule(version, ["-j", chain]))

    def take_out(self, version: int, text: str, hooks: Hooks) -> None:
        """Take ours out of the kernel's chains, and write a text that ends them. Raises AdapterError."""
        for name, part in parts(text):
            with self._table(version, name) as table:
                for at, hook, chain in hooks:
                    for rule in self._jumps(table, hook, chain) if at == name else ():
                        self._iptc.Chain(table, hook).delete_rule(rule)
                self._write(version, table, part.splitlines()[1:])

    @contextmanager
    def _table(self, version: int, name: str) -> Iterator[Any]:
        """Give a table as it is; what is done to it is written at the end, all or nothing."""
        kind = self._iptc.Table if version == 4 else self._iptc.Table6
        try:
            with locked(self._lock):
                table = kind(name)
                table.refresh()
                table.autocommit = False
                try:
                    yield table
                    table.commit()
                finally:
                    table.autocommit = True
                    table.refresh()  # never closed: the library looks into all its tables at any time
        except (OSError, ValueError, AttributeError, self._iptc.IPTCError, self._iptc.XTablesError) as error:
            raise AdapterError("iptables-legacy", str(error) or repr(error)) from error

    def _write(self, version: int, table: Any, lines: list[str]) -> None:
        for line in lines:
            words = line.split()
            if line.startswith(":"):
                name = words[0][1:]
                if not table.is_chain(name):
                    table.create_chain(name)
                self._iptc.Chain(table, name).flush()
            elif words[0] == "-X":
                table.delete_chain(words[1])
            elif words[0] == "-A":
                self._iptc.Chain(table, words[1]).append_rule(self._rule(version, _joined(line)))

    def _jumps(self, table: Any, hook: str, chain: str) -> list[Any]:
        return [rule for rule in self._iptc.Chain(table, hook).rules if rule.target.name == chain]

    def _rule(self, version: int, words: list[str]) -> Any:
        """Make a rule of its words: each option has the words up to the next one, and may begin with an `!`."""
        rule = self._iptc.Rule() if version == 4 else self._iptc.Rule6()
        plain = {"-p": "protocol", "-s": "src", "-d": "dst", "-i": "in_interface", "-o": "out_interface"}
        made: Any = None
        for option, values, inverted in _options(words):
            value = ("!" if inverted else "") + (values[0] if values else "")
            if option in plain:
                setattr(rule, plain[option], value)
            elif option == "-m":
                made = rule.create_match(value)
                self._keep(made)
            elif option in {"-j", "-g"}:
                made = self._iptc.Target(rule, value, goto=True) if option == "-g" else self._iptc.Target(rule, value)
                rule.target = made
            else:
                mark = ["!"] if inverted else []
                made.set_parameter(option.removeprefix("--"), [*mark, *values] if mark or len(values) > 1 else value)
        return rule

    def _keep(self, match: Any) -> None:
        """Give a match a buffer that lasts: the library (1.2.0) frees its own while the C code still writes to it."""
        module = match._module  # noqa: SLF001 - there is no other way to it
        if size := getattr(module, "udata_size", 0):
            self._buffers.append((ctypes.c_ubyte * size)())
            module.udata = ctypes.cast(self._buffers[-1], ctypes.c_void_p)


def _joined(line: str) -> list[str]:
    """Give the words of a rule without its `-A CHAIN`; what stands between quotation marks is one."""
    pieces = line.split('"')
    words = [word for at, piece in enumerate(pieces) for word in ([piece] if at % 2 else piece.split())]
    return words[2:]


def _options(words: list[str]) -> Iterator[tuple[str, list[str], bool]]:
    option, inverted, following = "", False, False
    values: list[str] = []
    for word in [*words, "-"]:
        if word == "!":
            following = True
        elif word.startswith("-"):
            if option:
                yield option, values, inverted
            option, values, inverted, following = word, [], following, False
        else:
            values.append(word)
