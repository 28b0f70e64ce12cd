"""`sipguard geoip build` and `check`: a database of countries from the registries' files, and whether one is any good.

Nothing is downloaded here; `geoip/` has a timer that does. A database takes the place of the one before it at once, or
not at all.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sipguard.address import Address, parse_address, show
from sipguard.cli.output import EX_REFUSED, EX_USAGE, fail, pairs, say
from sipguard.cli.output import show as output
from sipguard.cli.places import AsJson
from sipguard.errors import AdapterError
from sipguard.geo import delegated, mmdb
from sipguard.geo.delegated import Delegated
from sipguard.geo.places import DAMAGED, Database, asn_of, country_of

geoip = typer.Typer(help="Make and test databases that say where addresses are.", no_args_is_help=True)

OLD_DAYS = 60
"""Networks change hands every day; a guard that goes by a database older than this bans the wrong country one day."""

_DAY_SECONDS = 24 * 3600
_SAMPLES = 2048
_SHOWN = 8


@geoip.command()
def build(
    out: Annotated[Path, typer.Argument(metavar="OUT.mmdb", help="The database to write.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="delegated-*-extended-latest of a registry.")],
) -> None:
    """Make a database of countries from the registries' delegated-extended files."""
    try:
        read = [_read(file) for file in files]
        _agree(read)
        records = {country: {"country": {"iso_code": country}} for each in read for _, country in each.networks}
        networks = ((network, records[country]) for each in read for network, country in each.networks)
        content = mmdb.write(
            networks,
            kind="sipguard-country",
            description="Countries by what the registries have delegated",
            built=max(each.built for each in read) or int(time.time()),
        )
        _replace(out, content)
        made = Database(out)
    except AdapterError as error:
        fail(EX_USAGE, error.what, f"{out} is as it was.")
    for each in read:
        passed_over = f", {each.passed_over} unreadable lines passed over" if each.passed_over else ""
        say(f"{each.name}: {len(each.networks)} networks{passed_over}")
    say(f"{out}: {len(records)} countries, {made.nodes} nodes, {len(content)} bytes")


@geoip.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A maxminddb file, whoever made it.")],
    ask: Annotated[list[str] | None, typer.Option("--ask", help="An address to look up; may be repeated.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Open a database, look addresses up in it, and say how old it is. Exit code 1: it is of no use to the guard."""
    asked = [_address(text) for text in ask or ()]
    try:
        database = Database(file)
        told = _told(database, asked)
    except AdapterError as error:
        fail(EX_USAGE, error.what)
    output(told, as_json=as_json, human=_table)
    if told["age_days"] > OLD_DAYS:
        say(f"sipguard: it is {told['age_days']} days old; what has changed hands since is in the wrong place")
    if not told["countries"] and not told["systems"]:
        fail(EX_REFUSED, f"{file} says neither a country nor an autonomous system of any address that was tried")


# --- Building ---------------------------------------------------------------------------------------------------------


def _read(file: Path) -> Delegated:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            return delegated.read(str(file), lines)
    except OSError as error:
        raise AdapterError("geo", f"{file} cannot be read: {error.strerror}") from None


def _agree(read: Sequence[Delegated]) -> None:
    """See that no file is given twice. Raises AdapterError."""
    for one, other in itertools.combinations(read, 2):
        if one.networks == other.networks:
            raise AdapterError("geo", f"{one.name} and {other.name} say the same; one file of each registry is wanted")


def _replace(out: Path, content: bytes) -> None:
    """Write a file beside `out`, have it read back, and only then put it in its place. Raises AdapterError."""
    fresh: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as written:
            fresh = Path(written.name)
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
            os.fchmod(written.fileno(), 0o644)
        Database(fresh)
        fresh.replace(out)
    except OSError as error:
        raise AdapterError("geo", f"{out} cannot be written: {error.strerror}") from None
    finally:
        if fresh is not None:
            fresh.unlink(missing_ok=True)


# --- Checking ---------------------------------------------------------------------------------------------------------


def _told(database: Database, asked: Sequence[Address]) -> dict[str, Any]:
    countries: Counter[str] = Counter()
    systems = 0
    for record in (_record(database, address) for address in _samples()):
        countries[country_of(record)] += 1
        systems += asn_of(record) > 0
    unknown = countries.pop("", 0)
    return {
        "file": str(database.path),
        "type": database.kind,
        "addresses": database.versions,
        "nodes": database.nodes,
        "built": time.strftime("%Y-%m-%d", time.gmtime(database.built)),
        "age_days": max(0, int(time.time()) - database.built) // _DAY_SECONDS,
        "samples": unknown + countries.total(),
        "located": countries.total(),
        "systems": systems,
        "countries": len(countries),
        "most": dict(sorted(countries.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]),
        "asked": {show(address): _answer(database, address) for address in asked},
    }


def _samples() -> Iterator[Address]:
    """Go through addresses that lie evenly over IPv4, and over what IPv6 is delegated (2000::/3)."""
    for number in range(_SAMPLES):
        yield (number * (1 << 32) // _SAMPLES + 1).to_bytes(4)
        yield ((1 << 125) + number * (1 << 125) // _SAMPLES + 1).to_bytes(16)


def _record(database: Database, address: Address) -> Any:
    try:
        return database.record(address)
    except DAMAGED as error:
        raise AdapterError("geo", f"{database.path} is damaged: {show(address)}: {error}") from None


def _answer(database: Database, address: Address) -> dict[str, Any]:
    record = _record(database, address)
    return {"country": country_of(record), "asn": asn_of(record)}


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError:
        fail(EX_USAGE, f"{text} is no address")


def _table(told: dict[str, Any]) -> None:
    shown = {key: value for key, value in told.items() if key not in ("most", "asked")}
    shown["most"] = ", ".join(f"{code} {count}" for code, count in told["most"].items())
    for address, answer in told["asked"].items():
        system = f"AS{answer['asn']}" if answer["asn"] else "no known system"
        shown[address] = f"{answer['country'] or 'no known country'}, {system}"
    pairs(shown)
