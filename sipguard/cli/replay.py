"""`sipguard replay`: what would have been decided on a recording, and whether that is what was expected."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from sipguard.address import Network, parse_network
from sipguard.capture import files
from sipguard.errors import AdapterError, PolicyError
from sipguard.feeds.deck import read_deck
from sipguard.geo.places import Database, Places
from sipguard.geo.zones import is_zone
from sipguard.model import Lookups, Rates
from sipguard.policy.load import load
from sipguard.policy.schema import Policy
from sipguard.replay import Replay, dump
from sipguard.report import Json

EXIT_DIFFERS = 1
EXIT_UNREADABLE = 2
EXIT_POLICY = 78


def replay(
    captures: Annotated[list[Path], typer.Argument(metavar="FILE...", help="pcap or pcapng, gzipped or not.")],
    policy: Annotated[Path | None, typer.Option(help="Policy to decide by; without it, the default one.")] = None,
    pbx: Annotated[list[str] | None, typer.Option(help="Address or network of the PBX; may be repeated.")] = None,
    ports: Annotated[str | None, typer.Option(help='SIP ports, as "5060,15060"; without it, also those found.')] = None,
    geoip: Annotated[
        list[Path] | None, typer.Option(help="maxminddb file; may be repeated. Without it, those of the policy.")
    ] = None,
    rates: Annotated[Path | None, typer.Option(help="Rate deck (CSV); without it, that of the policy.")] = None,
    expect: Annotated[Path | None, typer.Option(help="JSON lines to compare with; exit 1 when they differ.")] = None,
    *,
    calls: Annotated[bool, typer.Option("--calls", help="Also each call that leaves, with its cost.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
) -> None:
    """Replay captures through the guard and show what it finds, decides and would do."""
    try:
        chosen = _policy(policy)
        known = _look(geoip, chosen), _rates(rates, chosen)
        run = Replay(chosen, _networks(pbx or []), _ports(ports), *known, calls=calls)
        expected = None if expect is None else _expected(expect)
        written = []
        for line in _lines(run, captures):
            text = dump(line)
            if expected is not None:
                written.append(text)
            if expected is None or json:
                sys.stdout.write((text if json else _human(line)) + "\n")
    except PolicyError as error:
        for problem in error.problems:
            _say(str(problem))
        raise typer.Exit(EXIT_POLICY) from None
    except AdapterError as error:
        _say(error.what)
        raise typer.Exit(EXIT_UNREADABLE) from None
    _summary(run)
    if expected is not None and expect is not None and not _same(expected, written, str(expect)):
        raise typer.Exit(EXIT_DIFFERS)


def _policy(path: Path | None) -> Policy:
    if path is None:
        return Policy()
    try:
        return load(path.read_text(encoding="utf-8"), is_zone)
    except (OSError, UnicodeDecodeError) as error:
        raise AdapterError("policy", f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _look(files: Sequence[Path] | None, policy: Policy) -> Lookups:
    """Read the databases: those named must be there, those of the policy may be on another host."""
    if files:
        for file in files:
            Database(file)
    places = Places(_say)
    places.load([str(file) for file in files] if files else policy.shell.geoip.files)
    return places.look


def _rates(file: Path | None, policy: Policy) -> Rates | None:
    """Read the rate deck: one that is named must be good, that of the policy may be on another host."""
    path = file or (Path(policy.rates.file) if policy.rates.file else None)
    if path is None or (file is None and not path.exists()):
        return None
    found = read_deck(path, date.today(), policy.rates.priced_in)  # noqa: DTZ011 - prices are of the operator's day
    if not found.usable:
        raise AdapterError("rates", f"{path}: {found.errors[0]} (sipguard rates check {path})")
    return Rates(found.deck.pack())


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse_network(text))
        except ValueError as error:
            raise AdapterError("arguments", f"--pbx {text}: {error}") from None
    return tuple(found)


def _ports(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.replace(",", " ").split()
    if not parts or not all(part.isascii() and part.isdigit() and 0 < int(part) < 65536 for part in parts):
        raise AdapterError("arguments", f"--ports {text}: expected port numbers from 1 to 65535, as 5060,15060")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _expected(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AdapterError("expectation", f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _lines(run: Replay, captures: Sequence[Path]) -> Iterator[Json]:
    """Go through all files; a progress bar for those who wait at a terminal."""
    with ExitStack() as stack:
        bar = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
        for path in captures:
            if bar is None:
                packets = files.read(path)
            else:
                size = path.stat().st_size if path.is_file() else None
                packets = files.read(path, _advance(bar, bar.add_task("replay", total=size)))
            for captured in packets:
                yield from run.feed(captured)


def _advance(bar: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda count: bar.update(task, completed=count)


def _human(line: Json) -> str:
    """Write one line for people; every string in it may be an attacker's, so controls are escaped."""
    what = line.get("detector") or line.get("verdict") or line.get("action")
    rest = {key: line[key] for key in ("evidence", "rule", "until", "reason", "text") if line.get(key)}
    evidence = rest.pop("evidence", {})
    told = [f"{key}={value}" for key, value in {**evidence, **rest}.items()]
    text = f"{line['at']:>12.3f}  {line['kind']:<8}  {what:<12}  {line['subject']:<24}  {' '.join(told)}"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _summary(run: Replay) -> None:
    counts = run.counters()
    _say(
        f"{counts['packets']} packets, {counts['messages']} SIP messages, "
        f"{counts['findings']} findings, {counts['blocked']} bans"
    )
    if run.found_ports:
        listed = ",".join(map(str, run.found_ports))
        _say(f"SIP was also found and read on ports that the policy does not list: {listed}")
    if run.backwards:
        _say(f"{run.backwards} packets are older than the one before them; they were taken as of its time")


def _same(expected: list[str], written: list[str], name: str) -> bool:
    if expected == written:
        _say("as expected")
        return True
    for text in difflib.unified_diff(expected, written, name, "replay", lineterm="", n=2):
        sys.stdout.write(text + "\n")
    return False


def _say(text: str) -> None:
    sys.stderr.write(f"sipguard: {text}\n")
