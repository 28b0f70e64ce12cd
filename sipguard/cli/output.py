"""How commands speak: tables for people, JSON for programs, errors that say what to do.

Promises: text that others chose never acts on the terminal (no markup, no control characters); data goes to standard
output, all else to standard error; a failed command says what happened, what it means and what to do. The exit codes
are here, and in docs/cli.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from sipguard.control import client
from sipguard.control.text import clean

EX_REFUSED = 1
EX_USAGE = 2
EX_UNAVAILABLE = 69  # sysexits.h
EX_NOPERM = 77
EX_CONFIG = 78

_DENIED = {"usage": EX_USAGE, "refused": EX_REFUSED}


def say(text: str) -> None:
    """Write a line for people to standard error."""
    sys.stderr.write(text + "\n")


def fail(code: int, what: str, *more: str) -> NoReturn:
    """End with an exit code: what happened, then what it means and what to do, a line each."""
    say(f"sipguard: {clean(what, 2000)}")
    for line in more:
        say(f"  {line}")
    raise typer.Exit(code)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn the errors of the control socket into exit codes with advice."""
    try:
        yield
    except client.NotRunningError as error:
        fail(
            EX_UNAVAILABLE,
            f"the guard is not running: {error.what}",
            "Calls flow; what was banned stays banned in the kernel until it expires; nobody new is.",
            "Look: systemctl status sipguard. Start it: systemctl start sipguard (or: sudo sipguard run)",
        )
    except client.NotPermittedError as error:
        fail(EX_NOPERM, error.what, "Orders are for root and the group of the socket: try again with sudo.")
    except client.DeniedError as error:
        fail(_DENIED.get(error.kind, EX_UNAVAILABLE), error.what)
    except BrokenPipeError:  # the reader of our output has gone: no reason to complain
        raise typer.Exit(0) from None


def show(value: Any, *, as_json: bool, human: Callable[[Any], None]) -> None:
    """Write a value: one JSON document for programs, else as `human` does."""
    if as_json:
        sys.stdout.write(json.dumps(value, sort_keys=True) + "\n")
    else:
        human(value)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table: framed on a terminal, aligned text in a pipe; every cell is cleaned."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _framed(heads, cells)
        return
    lines = [list(heads), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        padded = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _framed(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box  # noqa: PLC0415 - half of the start-up time, for terminals only
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    framed = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        framed.add_column(head, overflow="fold")
    for row in cells:
        framed.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout, markup=False, highlight=False, emoji=False).print(framed)


def pairs(values: Mapping[str, object]) -> None:
    """Write names and values, one pair a line."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        sys.stdout.write(f"{clean(name):<{width}}  {clean(value)}\n")
