"""The tree keeps the shape that README and `docs/decisions/` describe; who changes the shape changes this file too.

Read with `ast` only: nothing of the program is imported here. Which module may import which is said by the contracts in
`pyproject.toml` (import-linter), and here it is only checked that those contracts speak of every module there is.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = PROJECT / "sipguard"


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TOP_LEVEL = words(
    "pyproject.toml sipguard systemd conf geoip tests pcaps"
    " README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE docs scripts .ci .gitignore"
)

# The two processes, what they stand on, and the command line. All else in the package is core, and pure.
SHELL = words(
    "cli launch packetloop rig keeper keeping replay capture enforce store alert metrics feeds geo names control"
)
ADAPTERS = words("capture enforce store alert metrics feeds geo names control")
STAGES = words(
    "intake holding track detect decide policy callsheet meanings tolls senses trusting learning explain verdicts"
    " endings engine"
)

PURE = words(
    "__future__ abc array base64 binascii bisect collections dataclasses datetime decimal enum fractions functools"
    " hashlib heapq ipaddress itertools math operator re string struct types typing zlib"
)
# What only one place of the core may import, beside the above.
ALSO = {
    "wire": words("gzip"),  # of bytes; gzip.open is caught below
    "numbering": words("phonenumbers"),
    "policy": words("pydantic pydantic_core tomllib difflib"),
}
# `hash` and `id` differ from run to run; the others reach out of the process.
IMPURE_CALLS = words("open print input eval exec compile __import__ breakpoint hash id globals locals vars")
IMPURE_ATTRIBUTES = words("datetime.now datetime.utcnow datetime.today date.today gzip.open gzip.GzipFile tomllib.load")

FILE_LINES = 400
FUNCTION_LINES = 60
# Longer than allowed, how long at most, and why. Entries go, none come: `MOST_EXCEPTIONS` is lowered with each.
LONG_FILES: dict[str, tuple[int, str]] = {}
LONG_FUNCTIONS: dict[str, tuple[int, str]] = {}
MOST_EXCEPTIONS = 0

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def part_of(path: Path) -> str:
    """Tell to which part of the package a file belongs: `sipguard/sip/uri.py` to `sip`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def own_files(pattern: str) -> list[Path]:
    """List the project's own files, leaving out what git leaves out and what hides (.git, .venv)."""
    ignored = [line.strip("/") for line in (PROJECT / ".gitignore").read_text().splitlines() if line]
    found = []
    for path in sorted(PROJECT.rglob(pattern)):
        parts = path.relative_to(PROJECT).parts
        if path.is_file() and parts[0] != ".git" and not any(fnmatch(part, bad) for part in parts for bad in ignored):
            found.append(path)
    return found


def modules() -> list[Path]:
    return own_files("sipguard/**/*.py")


def core() -> list[Path]:
    return [path for path in modules() if part_of(path) not in SHELL | {"__init__"}]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def last_name(node: ast.expr | None) -> str:
    return dotted(node).rpartition(".")[2] if node else ""


def refuse(complaints: Iterable[str]) -> None:
    found = sorted(complaints)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# --- The tree -----------------------------------------------------------------------------------------------------


def test_nothing_lies_at_the_top_that_was_not_agreed() -> None:
    refuse(
        f"{path}: not in the agreed tree"
        for path in {file.relative_to(PROJECT).parts[0] for file in own_files("*")} - TOP_LEVEL
    )


def test_init_files_hold_a_docstring_and_nothing_else() -> None:
    for path in own_files("**/__init__.py"):
        body = tree_of(path).body
        if len(body) != 1 or ast.get_docstring(tree_of(path)) is None:
            refuse([f"{name_of(path)}: must be one docstring"])


def test_every_module_says_what_it_promises() -> None:
    refuse(f"{name_of(path)}: no docstring" for path in modules() if not ast.get_docstring(tree_of(path)))


def test_imports_are_absolute() -> None:
    refuse(
        f"{name_of(path)}:{line}: relative import"
        for path in own_files("*.py")
        for line, name in imported(path)
        if name.startswith(".")
    )


def test_no_file_speaks_of_the_machine_it_was_written_on() -> None:
    places = re.compile(rb"(?<![\w.$}-])/(?:work|tmp/w|opt/pypi|opt/wheels|root/\.pyenv)(?:/|\b)")
    refuse(
        f"{name_of(path)}: {found.group().decode()}"
        for path in own_files("*")
        if path != Path(__file__) and (found := places.search(path.read_bytes())) and b"\0" not in path.read_bytes()
    )


# --- The core is pure ---------------------------------------------------------------------------------------------


def test_the_core_imports_nothing_that_could_reach_the_outside() -> None:
    refuse(
        f"{name_of(path)}:{line}: {name} is not among the modules that the core may import"
        for path in core()
        for line, name in imported(path)
        if name.split(".")[0] not in PURE | {"sipguard"} | ALSO.get(part_of(path), words(""))
    )


def impure_calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    in_hash = {id(node) for function in functions(tree) if function.name == "__hash__" for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ".".join(dotted(node).split(".")[-2:]) in IMPURE_ATTRIBUTES:
            yield node.lineno, dotted(node)
        elif isinstance(node, ast.Name) and node.id in IMPURE_CALLS and id(node) not in in_hash:
            yield node.lineno, node.id


def test_the_core_reads_no_clock_and_touches_no_file_and_no_terminal() -> None:
    refuse(f"{name_of(path)}:{line}: {what}" for path in core() for line, what in impure_calls(tree_of(path)))


# CPython before 3.11.5 (Debian 12 has 3.11.2) takes what a possessive *group* had read when it failed half-way, as in
# rb"(?:%[0-9A-F]{2})*+" on b"%4": python/cpython#106052. Atomic groups and single possessive items are right.
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+")


def possessive_groups(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if POSSESSIVE_GROUP.search(text):
                yield node.lineno, text


def test_no_pattern_needs_a_newer_python_than_debian_12_has() -> None:
    refuse(
        f"{name_of(path)}:{line}: possessive group, write (?>(?:...)*) instead of (?:...)*+ in {text}"
        for path in modules()
        for line, text in possessive_groups(tree_of(path))
    )


def test_foreign_packages_are_those_declared() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=!~\[; ]", line)[0].replace("-", "_") for line in project["dependencies"]}
    called = {"dnspython": "dns", "phonenumberslite": "phonenumbers"}
    known = {called.get(name, name) for name in declared} | sys.stdlib_module_names | {"sipguard", "pydantic_core"}
    refuse(
        f"{name_of(path)}:{line}: {name} is not among the dependencies"
        for path in modules()
        for line, name in imported(path)
        if name.split(".")[0] not in known
    )


# --- Size ---------------------------------------------------------------------------------------------------------


def sized() -> list[Path]:
    return own_files("*.py")


def function_lengths() -> Iterator[tuple[str, int]]:
    for path in sized():
        for function in functions(tree_of(path)):
            yield f"{name_of(path)}:{function.name}", (function.end_lineno or 0) - function.lineno + 1


def test_no_file_is_longer_than_allowed() -> None:
    for path in sized():
        lines = len(path.read_text().splitlines())
        allowed, _ = LONG_FILES.get(name_of(path), (FILE_LINES, ""))
        if lines > allowed:
            refuse([f"{name_of(path)}: {lines} lines, {allowed} allowed"])


def test_no_function_is_longer_than_allowed() -> None:
    refuse(
        f"{name}: {lines} lines"
        for name, lines in function_lengths()
        if lines >= LONG_FUNCTIONS.get(name, (FUNCTION_LINES, ""))[0]
    )


def test_the_list_of_exceptions_only_shrinks() -> None:
    long_files = {name_of(path) for path in sized() if len(path.read_text().splitlines()) > FILE_LINES}
    long_functions = {name for name, lines in function_lengths() if lines >= FUNCTION_LINES}
    needless = LONG_FILES.keys() - long_files | LONG_FUNCTIONS.keys() - long_functions
    refuse(f"{name}: no exception needed any more" for name in needless)
    refuse(f"{name}: no reason given" for name, (_, why) in (LONG_FILES | LONG_FUNCTIONS).items() if not why)
    assert len(LONG_FILES) + len(LONG_FUNCTIONS) == MOST_EXCEPTIONS, "lower MOST_EXCEPTIONS with each one that goes"


# --- Errors -------------------------------------------------------------------------------------------------------


def is_broad(node: ast.AST) -> bool:
    """Tell whether a handler or a `suppress()` would swallow a bug of ours."""
    broad = {"Exception", "BaseException"}
    if isinstance(node, ast.ExceptHandler):
        types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        return node.type is None or any(last_name(name) in broad for name in types)
    if isinstance(node, ast.Call) and last_name(node.func) == "suppress":
        return any(last_name(name) in broad for name in node.args)
    return False


def test_the_only_broad_handler_stands_around_the_engine_in_the_packet_loop() -> None:
    broad = [(path, node) for path in modules() for node in ast.walk(tree_of(path)) if is_broad(node)]
    loop = PACKAGE / "packetloop.py"
    refuse(f"{name_of(path)}:{getattr(node, 'lineno', 0)}: broad handler" for path, node in broad if path != loop)
    if loop.exists():
        guarded = [
            node
            for node in ast.walk(tree_of(loop))
            if isinstance(node, ast.Try) and any(is_broad(handler) for handler in node.handlers)
        ]
        assert len(broad) == len(guarded) == 1, "packetloop.py holds exactly one broad handler"
        calls = [dotted(node.func) for line in guarded[0].body for node in ast.walk(line) if isinstance(node, ast.Call)]
        assert any(call.endswith("engine.feed") for call in calls), f"it must stand around engine.feed, not {calls}"


# --- The contracts speak of every module --------------------------------------------------------------------------


def contracts() -> dict[str, dict[str, list[str]]]:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {contract["id"]: contract for contract in settings["contracts"]}


def test_every_part_has_its_layer() -> None:
    layered = {name for layer in contracts()["layers"]["layers"] for name in re.findall(r"\w+", layer)}
    refuse(f"{part}: has no layer" for part in {part_of(path) for path in modules()} - layered - {"__init__"})


def test_every_adapter_is_kept_away_from_every_stage() -> None:
    present = {f"sipguard.{part_of(path)}" for path in modules()}
    contract = contracts()["adapters"]
    assert present & {f"sipguard.{name}" for name in ADAPTERS} == set(contract["source_modules"])
    assert present & {f"sipguard.{name}" for name in STAGES} == set(contract["forbidden_modules"])


# --- And it does see what it looks for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "open('x')",
        "log = print",
        "datetime.now()",
        "at = datetime.datetime.now(tz)",
        "gzip.open(f)",
        "hash(x)",
        "sorted(x, key=id)",
    ],
)
def test_an_impure_line_is_seen(text: str) -> None:
    assert list(impure_calls(ast.parse(text)))


@pytest.mark.parametrize("text", ["self.now", "table.open()", "def __hash__(self): return hash(self.x)"])
def test_a_pure_line_is_left_alone(text: str) -> None:
    assert not list(impure_calls(ast.parse(text)))


@pytest.mark.parametrize("text", [r"r'(?:a%)*+'", r"rb'(a|b)?+c'", r"r'(ab){1,3}+'"])
def test_a_possessive_group_is_seen(text: str) -> None:
    assert list(possessive_groups(ast.parse(text)))


@pytest.mark.parametrize("text", [r"r'(?>(?:a%)*)'", r"rb'[*+()]++'", r"rb'\(?+'", r"r'(ab)+'"])
def test_an_atomic_group_is_left_alone(text: str) -> None:
    assert not list(possessive_groups(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "try: f()\nexcept: pass",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept (OSError, BaseException) as e: pass",
        "try: f()\nexcept builtins.Exception: raise",
        "try: f()\nexcept* Exception: pass",
        "with suppress(Exception): f()",
        "with contextlib.suppress(OSError, BaseException): f()",
    ],
)
def test_a_broad_handler_is_seen(text: str) -> None:
    assert any(map(is_broad, ast.walk(ast.parse(text))))


@pytest.mark.parametrize(
    "text", ["try: f()\nexcept OSError: pass", "with suppress(OSError, asyncio.TimeoutError): f()"]
)
def test_a_narrow_handler_is_left_alone(text: str) -> None:
    assert not any(map(is_broad, ast.walk(ast.parse(text))))
