"""Single values: what an annotation and its markers mean for the file, for the schema and for the reader.

This is where the core's plain markers (`constraint.py`) are translated. An annotation that nothing here knows is a
bug in a `Config`, and is raised as TypeError the first time a policy is read. Readers are strict: a number is no text,
a boolean is no number. They raise `UnfitError` and never repeat the value.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from sipguard.address import Network
from sipguard.constraint import Amount, Between, ByteSize, DurationBetween, Graded, Levels, Matching, Switch
from sipguard.model import DAY, SECOND
from sipguard.policy import units
from sipguard.policy.units import UnfitError

LONGEST_TEXT = 1024  # keeps every pattern below far from work that grows faster than the text


@dataclass(frozen=True, slots=True)
class Leaf:
    """One kind of value: `read` it from TOML, `write` it as TOML, its JSON Schema, and its range in words."""

    read: Callable[[object], object]
    write: Callable[[Any], str | int | bool | dict[str, str | int]]
    schema: dict[str, Any]
    wanted: str


def leaf_of(kind: Any, markers: Sequence[object]) -> Leaf:
    """Give the leaf for a bare type and the markers around it. Raises TypeError for what is not known."""
    for marker in markers:
        made = _MARKED.get((kind, type(marker)))
        if made is not None:
            return made(marker)
    if kind is bool:
        return Leaf(_read_boolean, bool, {"type": "boolean"}, "true or false")
    if kind is Network:
        return NETWORK
    if kind is Switch:
        return _SWITCH
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _choice(kind)
    raise TypeError(f"no translation for {kind!r} with {list(markers)!r}: a setting needs a marker of constraint.py")


def kind_of(value: object) -> str:
    """Name the TOML type of a value, for people."""
    if isinstance(value, bool):  # before int, which it is to Python
        return "true or false"
    names: tuple[tuple[type, str], ...] = (
        (str, "text"),
        (int, "a number"),
        (float, "a number with a fraction"),
        (list, "a list"),
        (dict, "a table"),
        (dt.date, "a date"),
        (dt.time, "a time of day"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "something else")


def nearest(word: str, known: Sequence[str]) -> str:
    """Give the known word most like this one, or nothing when none is near."""
    found = difflib.get_close_matches(word.casefold()[:64], known, n=1, cutoff=0.6)
    return found[0] if found else ""


# --- The kinds --------------------------------------------------------------------------------------------------------


def _wrong(value: object, wanted: str, hint: str = "") -> UnfitError:
    return UnfitError(f"must be {wanted}, not {kind_of(value)}", hint)


def _text_of(value: object, wanted: str, hint: str = "") -> str:
    if not isinstance(value, str):
        raise _wrong(value, wanted, hint)
    if len(value) > LONGEST_TEXT:
        raise UnfitError(f"is longer than {LONGEST_TEXT} characters", f"wanted is {wanted}")
    return value


def _read_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false", "without quotes" if isinstance(value, str) else "")
    return value


def _number(allowed: Between) -> Leaf:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(value, "a whole number", "without quotes" if isinstance(value, str) else "")
        if not allowed.least <= value <= allowed.most:
            raise UnfitError(f"is out of range: {allowed.least} to {allowed.most}")
        return value

    schema = {"type": "integer", "minimum": allowed.least, "maximum": allowed.most}
    return Leaf(read, int, schema, f"{allowed.least} to {allowed.most}")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A number that is written as text with a unit."""

    parse: Callable[[str], int]
    write: Callable[[int], str]
    pattern: str
    wanted: str


_DURATION = _Unit(units.parse_duration, units.write_duration, units.DURATION_PATTERN, units.DURATION_WANTED)
_SIZE = _Unit(units.parse_size, units.write_size, units.SIZE_PATTERN, units.SIZE_WANTED)


def _measure(allowed: DurationBetween | ByteSize, unit: _Unit) -> Leaf:
    span = f"{unit.write(allowed.least)} to {unit.write(allowed.most)}"

    def read(value: object) -> int:
        number = unit.parse(_text_of(value, unit.wanted, "in quotes, with its unit"))
        if not allowed.least <= number <= allowed.most:
            raise UnfitError(f"is out of range: {span}")
        return number

    return Leaf(read, unit.write, {"type": "string", "pattern": f"^{unit.pattern}$"}, span)


def _money(allowed: Amount) -> Leaf:
    most = units.write_money(allowed.most)

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise _wrong(value, units.MONEY_WANTED)
        if value == _NONE:
            return 0
        micros = units.parse_money(value if isinstance(value, str) else _decimal(value))
        if not 0 < micros <= allowed.most:
            raise UnfitError(f"is out of range: above 0, to {most}", f'or "{_NONE}"')
        return micros

    def write(micros: int) -> str:
        return units.write_money(micros) if micros else _NONE

    schema = {"type": ["string", "number"], "pattern": f"^({_NONE}|{units.MONEY_PATTERN})$"}
    return Leaf(read, write, schema, f'"{_NONE}" or money to {most}')


_NONE = "none"


def _decimal(value: float) -> str:
    """Write a number of the file as it stands there: TOML's floats are decimals to whoever writes them."""
    text = repr(value)
    return (
        f"{value:.6f}".rstrip("0")
        if isinstance(value, float) and 0 < value < 1 and "e" in text
        else text.removesuffix(".0")
    )


_WINDOW = DurationBetween(SECOND, 31 * DAY)
_INHERIT = "inherit"


def _levels(allowed: Graded) -> Leaf:
    """Make the leaf of a limit, written `{ warn = 8, critical = 15, window = "1m" }` with any of them left out."""
    unit = leaf_of(int, [allowed.unit])
    parts = {"warn": unit, "critical": unit} | ({"window": leaf_of(int, [_WINDOW])} if allowed.windowed else {})

    def read(value: object) -> Levels:
        if value == _INHERIT:
            return Levels(inherited=True)
        if not isinstance(value, dict):
            raise _wrong(value, "limits in braces", "like { warn = 8, critical = 15 }; {} for none")
        found: dict[str, Any] = {}
        for key, each in value.items():
            if key not in parts:
                raise UnfitError("is no part of a limit", f"known here: {', '.join(parts)}", (key,))
            try:
                found[key] = parts[key].read(each)
            except UnfitError as unfit:
                raise UnfitError(unfit.what, unfit.hint, (key,)) from None
        levels = Levels(**found)
        if levels.critical and levels.warn > levels.critical:
            raise UnfitError("is above critical", "what is told of is less than what is refused", ("warn",))
        return levels

    def write(levels: Levels) -> str | dict[str, str | int]:
        if levels.inherited:
            return _INHERIT
        values = {"warn": levels.warn, "critical": levels.critical, "window": levels.window}
        return {key: leaf.write(values[key]) for key, leaf in parts.items() if values[key]}  # type: ignore[misc]

    inner = {key: leaf.schema for key, leaf in parts.items()}
    table = {"type": "object", "properties": inner, "additionalProperties": False}
    inherit = {"type": "string", "enum": [_INHERIT]}
    windowed = ", window" if allowed.windowed else ""
    return Leaf(read, write, {"anyOf": [table, inherit]}, f"{{ warn, critical{windowed} }}: {unit.wanted}")


def _read_switch(value: object) -> Switch:
    if value == Switch.INHERIT:
        return Switch.INHERIT
    if not isinstance(value, bool):
        raise _wrong(value, f'true, false or "{_INHERIT}"', "true and false without quotes")
    return Switch.ON if value else Switch.OFF


def _write_switch(value: Switch) -> bool | str:
    return _INHERIT if value is Switch.INHERIT else value is Switch.ON


_SWITCH = Leaf(_read_switch, _write_switch, {"enum": [True, False, _INHERIT]}, "true or false")


def _text(allowed: Matching) -> Leaf:
    pattern = re.compile(allowed.pattern)

    def read(value: object) -> str:
        text = _text_of(value, allowed.wanted)
        if pattern.fullmatch(text) is None or not text.isprintable() or text != text.strip():
            raise UnfitError(f"is not {allowed.wanted}", "printable, without blanks at its ends")
        return text

    return Leaf(read, str, {"type": "string", "pattern": f"^{allowed.pattern}$"}, allowed.wanted)


def _choice(kind: type[StrEnum]) -> Leaf:
    choices = [str(member) for member in kind]
    wanted = " or ".join(f'"{choice}"' for choice in choices)

    def read(value: object) -> StrEnum:
        text = _text_of(value, wanted)
        if text not in choices:
            near = nearest(text, choices)
            raise UnfitError(f"must be {wanted}", f'did you mean "{near}"?' if near else "")
        return kind(text)

    return Leaf(read, str, {"type": "string", "enum": choices}, wanted)


def _read_network(value: object) -> Network:
    return units.parse_cidr(_text_of(value, units.NETWORK_WANTED))


def _read_place(value: object) -> Network | str:
    return units.parse_place(_text_of(value, units.PLACE_WANTED))


NETWORK = Leaf(_read_network, str, {"type": "string", "pattern": f"^{units.NETWORK_PATTERN}$"}, "networks, addresses")
PLACE = Leaf(
    _read_place, str, {"type": "string", "pattern": f"^{units.PLACE_PATTERN}$"}, "networks, addresses, host names"
)

_MARKED: dict[tuple[Any, type], Callable[[Any], Leaf]] = {
    (int, Between): _number,
    (int, DurationBetween): partial(_measure, unit=_DURATION),
    (int, ByteSize): partial(_measure, unit=_SIZE),
    (int, Amount): _money,
    (Levels, Graded): _levels,
    (str, Matching): _text,
}
