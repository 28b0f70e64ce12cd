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
from typing import Any

from sipguard.address import Network
from sipguard.constraint import Between, ByteSize, DurationBetween, Matching
from sipguard.policy import units
from sipguard.policy.units import UnfitError

LONGEST_TEXT = 1024  # keeps every pattern below far from work that grows faster than the text


@dataclass(frozen=True, slots=True)
class Leaf:
    """One kind of value: `read` it from TOML, `write` it as TOML, its JSON Schema, and its range in words."""

    read: Callable[[object], object]
    write: Callable[[Any], str | int | bool]
    schema: dict[str, Any]
    wanted: str


def leaf_of(kind: Any, markers: Sequence[object]) -> Leaf:
    """Give the leaf for a bare type and the markers around it. Raises TypeError for what is not known."""
    for marker in markers:
        if kind is int and isinstance(marker, Between):
            return _number(marker)
        if kind is int and isinstance(marker, DurationBetween):
            return _measure(marker, _DURATION)
        if kind is int and isinstance(marker, ByteSize):
            return _measure(marker, _SIZE)
        if kind is str and isinstance(marker, Matching):
            return _text(marker)
    if kind is bool:
        return Leaf(_read_boolean, bool, {"type": "boolean"}, "true or false")
    if kind is Network:
        return NETWORK
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
