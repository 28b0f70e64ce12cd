"""The build of the compiled wheel: setuptools' setup script, run in a copy of the project by `scripts/compile`.

What is compiled is the packet path. mypyc keeps of an annotation its type alone, while the policy is read by what
stands beside it (`Annotated`): so settings, and what they are made of, are first moved out of the modules of the copy,
each into one of its own that stays as it is. A module's names are looked up in a dictionary each time, unless they are
`Final`: so those that are bound once are made so. And what `dataclass` makes is not compiled: so nouns are given
what makes them, without the lock, which costs thirty times as much; that nobody writes to them the sources show.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mypyc.build import mypycify
from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext

PACKET_PATH = (
    "address table window netset model event call lesson terms meanings senses trusting learning intake"
    " holding verdicts tolls endings callsheet engine"
    " wire/* sip/* netfilter/* numbering/* track/* detect/* decide/*"
    " capture/gate capture/tap capture/door capture/ears capture/waiting capture/clock control/signals"
    " enforce/alive enforce/gating enforce/switch packetloop"
)
SETTINGS = "_settings"


class SideBySide(build_ext):  # type: ignore[misc] # setuptools has no types
    """Compiles as many files at a time as there are processors; by itself setuptools does so with extensions only."""

    def build_extensions(self) -> None:
        """Have the compiler given one file after the other, by several hands."""
        one_by_one = self.compiler.compile

        def compile_each(sources: list[str], *args: Any, **named: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = pool.map(lambda source: one_by_one([source], *args, **named), sources)
                return [each for one in made for each in one]

        self.compiler.compile = compile_each
        super().build_extensions()


def main() -> None:
    sources = [source for pattern in PACKET_PATH.split() for source in sorted(Path("sipguard").glob(f"{pattern}.py"))]
    for source in sources:
        if "Annotated[" in source.read_text(encoding="utf-8") and not source.stem.endswith(SETTINGS):
            split(source)
        if source.stem != "__init__":
            settle(source)
            unlock(source)
    compiled = [str(source) for source in sources if source.stem != "__init__" and not source.stem.endswith(SETTINGS)]
    setup(
        cmdclass={"build_ext": SideBySide},
        packages=find_packages(include=["sipguard", "sipguard.*"]),
        ext_modules=mypycify(compiled, opt_level="2", debug_level="0", multi_file=True),
    )


def split(source: Path) -> None:
    """Move a module's settings into one beside it, from which it imports them again."""
    text = source.read_text(encoding="utf-8")
    body = ast.parse(text).body
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    named = {name: node for node in body for name in names_of(node)}
    moved = {node for node in named.values() if "Annotated[" in ast.unparse(node)}
    waiting = list(moved)
    while waiting:
        for name in {each.id for each in ast.walk(waiting.pop()) if isinstance(each, ast.Name)}:
            needed = named.get(name)
            if needed is not None and needed not in moved:
                moved.add(needed)
                waiting.append(needed)
    settings = source.with_stem(f"_{source.stem}{SETTINGS}")
    taken = [ast.unparse(node) for node in body if node in imports or node in moved]
    settings.write_text("\n".join(taken) + "\n", encoding="utf-8")
    names = ", ".join(f"{name} as {name}" for name, node in named.items() if node in moved)
    again = f"from {'.'.join(settings.with_suffix('').parts)} import {names}"
    lines = text.splitlines()
    for node in moved:
        first = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
        lines[first - 1 : node.end_lineno] = [""] * ((node.end_lineno or first) - first + 1)
    lines[(imports[-1].end_lineno or 1) - 1] += f"\n{again}"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")


def settle(source: Path) -> None:
    """Make the names that a module binds once `Final`; its lines keep their numbers.

    What is no literal goes through another name, as mypy would take a member of an enumeration for the only one that
    there can be, and what is compared with another for unreachable.
    """
    lines = source.read_bytes().splitlines()  # an offset in a syntax tree counts bytes
    body = ast.parse(b"\n".join(lines)).body
    if any(each.asname == "_Final" for node in body if isinstance(node, ast.ImportFrom) for each in node.names):
        return  # settled already: `scripts/compile` builds twice
    bound = Counter(name for node in body for name in names_of(node))
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        names = [name for name in names_of(node) if bound[name] == 1 and not name.startswith("__")]
        if not names:
            continue
        first, last = node.lineno - 1, (node.end_lineno or 1) - 1
        if isinstance(node, ast.AnnAssign):
            kind, end = ast.unparse(node.annotation), node.annotation.end_col_offset or 0
            if not kind.startswith(("Final", "TypeAlias")) and node.annotation.end_lineno == node.lineno:
                lines[first] = f"{names[0]}: _Final[{kind}]".encode() + lines[first][end:]
        elif isinstance(node.value, ast.Constant | ast.BinOp):
            lines[first] = lines[first].replace(b" = ", b": _Final = ", 1)
        elif len(names) > 1 or not _may_be_type(node.value):
            end = node.end_col_offset or 0
            again = "".join(f"; {name}: _Final = {name}_" for name in names)
            lines[last] = lines[last][:end] + again.encode() + lines[last][end:]
            for name in names:
                lines[first] = re.sub(rf"\b{name}\b".encode(), f"{name}_".encode(), lines[first], count=1)
    (future,) = (node for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__")
    lines[future.lineno - 1] += b"; from typing import Final as _Final"
    source.write_bytes(b"\n".join(lines) + b"\n")


def _may_be_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Subscript) or ast.unparse(node).startswith("TypeVar(")


def unlock(source: Path) -> None:
    """Write out what makes a frozen dataclass, and let it be written to."""
    lines = source.read_text(encoding="utf-8").splitlines()
    for node in reversed(ast.parse("\n".join(lines)).body):
        fields = [each for each in getattr(node, "body", ()) if isinstance(each, ast.AnnAssign)]
        if not isinstance(node, ast.ClassDef) or node.bases or not fields:
            continue
        if [ast.unparse(each) for each in node.decorator_list] != ["dataclass(frozen=True, slots=True)"]:
            continue
        own = {name for each in node.body for name in names_of(each)} & {"__init__", "__post_init__"}
        odd = any(isinstance(each.value, ast.Call) or "ClassVar" in ast.unparse(each) for each in fields)
        if own or odd:  # field(...): not one for all
            continue
        taken = ", ".join(ast.unparse(each).replace(" = ", "=") for each in fields)
        given = "; ".join(f"self.{name} = {name}" for each in fields for name in names_of(each))
        lines.insert(fields[-1].end_lineno or 0, f"    def __init__(self, {taken}) -> None: {given}")
        lines[node.decorator_list[0].lineno - 1] = "@dataclass(init=False, unsafe_hash=True)"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")


def names_of(node: ast.stmt) -> Iterator[str]:
    """Give the names that a statement of a module makes."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (each.id for each in parts if isinstance(each, ast.Name))


if __name__ == "__main__":
    sys.exit(main())
