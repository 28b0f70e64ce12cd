"""The build of the compiled wheel: setuptools' setup script, run in a copy of the project by `scripts/compile`.

What is compiled is the packet path. mypyc keeps of an annotation its type alone, while the policy is read by what
stands beside it (`Annotated`): so settings, and what they are made of, are first moved out of the modules of the copy,
each into one of its own that stays as it is.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from mypyc.build import mypycify
from setuptools import find_packages, setup

PACKET_PATH = (
    "address table window netset event call terms meanings senses trusting intake"
    " holding verdicts tolls endings callsheet engine"
    " wire/* sip/* netfilter/* numbering/* track/* detect/* decide/*"
)
SETTINGS = "_settings"


def main() -> None:
    sources = [source for pattern in PACKET_PATH.split() for source in sorted(Path("sipguard").glob(f"{pattern}.py"))]
    for source in sources:
        if "Annotated[" in source.read_text(encoding="utf-8") and not source.stem.endswith(SETTINGS):
            split(source)
    compiled = [str(source) for source in sources if source.stem != "__init__" and not source.stem.endswith(SETTINGS)]
    setup(
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


def names_of(node: ast.stmt) -> Iterator[str]:
    """Give the names that a statement of a module makes."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (each.id for each in node.targets if isinstance(each, ast.Name))


if __name__ == "__main__":
    sys.exit(main())
