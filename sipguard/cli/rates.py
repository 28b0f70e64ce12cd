"""`sipguard rates check` and `find`: what is wrong with a price list, and what a call to a number costs by it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from sipguard.call import MICROS, Rate
from sipguard.cli.check import find_policy, read_policy
from sipguard.cli.output import EX_CONFIG, EX_REFUSED, EX_USAGE, fail, pairs, say, show, table
from sipguard.cli.places import AsJson
from sipguard.control.text import clean
from sipguard.errors import AdapterError, PolicyError, Problem
from sipguard.feeds.deck import read_deck
from sipguard.model import MINUTE
from sipguard.numbering import highrisk
from sipguard.numbering.deckfile import DeckFile

rates = typer.Typer(help="Test price lists, and look numbers up in them.", no_args_is_help=True)

Currency: TypeAlias = Annotated[
    str, typer.Option("--currency", help="What prices are in where the file does not say; else as the policy says.")
]

_DEAREST = 10
_MINUTES = (1, 5, 60)


@rates.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A price list: CSV with a header.")],
    currency: Currency = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Say everything that is wrong with a price list, by line, and what it holds. Exit code 1: it would be refused."""
    found = _read(file, currency or _from_policy()[1])
    told = _told(file, found)
    show(told, as_json=as_json, human=lambda _: _human(file, found, told))
    if not found.usable:
        raise typer.Exit(EX_REFUSED)


@rates.command()
def find(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help='As it is dialled abroad: "+44 20 7946 0000".')],
    deck: Annotated[Path | None, typer.Option("--deck", help="The price list; else as the policy says.")] = None,
    currency: Currency = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Say what a call to a number costs, by the longest prefix. Exit code 1: the price list has no price for it."""
    e164 = _number(number)
    named, said = _from_policy()
    path = deck or (Path(named) if named else None)
    if path is None:
        fail(EX_USAGE, "no price list: name one with --deck, or as [rates] deck in the policy")
    found = _read(path, currency or said)
    if not found.usable:
        say(f"sipguard: {clean(path)} has {found.error_count:,} errors and would be refused: sipguard rates check")
    rate, risk = found.deck.rate(e164), highrisk.reason(e164)
    told: dict[str, Any] = {
        "number": e164,
        "currency": found.deck.currency,
        "rate": _rate(rate) if rate else None,
        "cost": {str(minutes): _price(rate.cost(minutes * MINUTE)) for minutes in _MINUTES} if rate else {},
        "risk": risk.score if risk else 0,
        "risk_why": risk.why if risk else "",
    }
    show(told, as_json=as_json, human=_find_human)
    if rate is None:
        fail(
            EX_REFUSED,
            f"no price for {e164}",
            'Such a call is refused, unless the policy says [rates] unknown = "pass".',
        )


def _read(path: Path, currency: str) -> DeckFile:
    try:
        return read_deck(path, datetime.now().astimezone().date(), currency)
    except AdapterError as error:
        fail(EX_USAGE, error.what)


def _from_policy() -> tuple[str, str]:
    """Give the deck and the currency that the policy of this host names; empty where there is no policy."""
    file = find_policy()
    if not file.exists():
        return "", ""
    try:
        settings = read_policy(file).rates
    except PolicyError as error:
        fail(EX_CONFIG, f"{file} is not usable: {error.problems[0]}", f"All of it: sipguard check {file}")
    return settings.file, settings.priced_in


def _number(text: str) -> str:
    digits = "".join(sign for sign in text if sign not in " -./()")
    digits = digits.removeprefix("+") if digits.startswith("+") else digits.removeprefix("00")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 15:
        fail(EX_USAGE, f"{text} is no number with its country code", 'Write it like "+442079460000".')
    return f"+{digits}"


# --- Showing ----------------------------------------------------------------------------------------------------------


def _told(file: Path, found: DeckFile) -> dict[str, Any]:
    dearest = sorted(found.deck.rates(), key=lambda rate: (-rate.cost(MINUTE), rate.prefix))[:_DEAREST]
    return {
        "file": str(file),
        "ok": found.usable,
        "currency": found.deck.currency,
        "rows": found.rows,
        "prefixes": len(found.deck),
        "errors": [_problem(problem) for problem in found.errors],
        "error_count": found.error_count,
        "warnings": [_problem(problem) for problem in found.warnings],
        "warning_count": found.warning_count,
        "dearest": [_rate(rate) for rate in dearest],
    }


def _human(file: Path, found: DeckFile, told: dict[str, Any]) -> None:
    for kind, problems in (("error", found.errors), ("warning", found.warnings)):
        for problem in problems:
            line = f":{problem.line}" if problem.line else ""
            hint = f" ({problem.hint})" if problem.hint else ""
            say(clean(f"{file}{line}: {kind}: {problem.what}{hint}", 1000))
    pairs(
        {
            "rows": f"{found.rows:,}",
            "prefixes": f"{len(found.deck):,}",
            "currency": found.deck.currency or "not named",
            "errors": f"{found.error_count:,}",
            "warnings": f"{found.warning_count:,}",
        }
    )
    if told["dearest"]:
        typer.echo("\nThe dearest:")
        heads = ("prefix", "destination", "a minute", "connection", "increments")
        table(heads, [_cells(rate) for rate in told["dearest"]])
    if not found.usable:
        say("\nsipguard: a price list with errors is refused; the one before it stays in force")


def _find_human(told: dict[str, Any]) -> None:
    rate, currency = told["rate"], told["currency"]
    shown: dict[str, object] = {"number": told["number"]}
    if rate is not None:
        prefix, destination, minute, connection, increments = _cells(rate)
        shown |= {"prefix": prefix, "destination": destination, "a minute": f"{minute} {currency}"}
        shown |= {"connection": f"{connection} {currency}", "increments": increments}
        shown |= {f"{minutes} min cost": f"{price} {currency}" for minutes, price in told["cost"].items()}
    why = f" ({told['risk_why']})" if told["risk_why"] else ""
    pairs(shown | {"risk": f"{told['risk']} of 10{why}"})


def _cells(rate: dict[str, Any]) -> tuple[str, ...]:
    increments = f"{rate['first']}/{rate['step']}"
    return rate["prefix"] or "any other", rate["destination"], rate["per_minute"], rate["connect"], increments


def _rate(rate: Rate) -> dict[str, Any]:
    return {**rate._asdict(), "per_minute": _price(rate.per_minute), "connect": _price(rate.connect)}


def _price(micros: int) -> str:
    """Write micros exactly, with two decimals at least; as text, which no program rounds."""
    whole, part = divmod(micros, MICROS)
    decimals = f"{part:06d}".rstrip("0")
    return f"{whole}.{decimals:0<2}"


def _problem(problem: Problem) -> dict[str, Any]:
    return {"hint": problem.hint, "line": problem.line, "what": problem.what}
