"""The settings as the file has them: a tree of tables and entries, read off the dataclasses of `schema.py`.

Everything that must know the settings (the reader, the JSON Schema, the reference, the hints) walks this tree, so a
field that is added to a stage's `Config` appears in all of them. Knows types and markers only, no value of any policy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeAlias, cast, get_args, get_origin, get_type_hints

from sipguard.constraint import Count, Described
from sipguard.policy.leaf import PLACE, Leaf, leaf_of
from sipguard.policy.marker import Inlined, Key, NamesOf, NetworksOf
from sipguard.policy.schema import Policy
from sipguard.policy.words import WORDS

Plain: TypeAlias = "str | int | bool | list[Plain] | dict[str, str | int]"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: a value, a list (`count` is set), a table, or both: an array of tables. `default` None: required."""

    path: tuple[str, ...]
    text: str
    default: Plain | None
    leaf: Leaf | None = None
    table: Table | None = None
    count: Count | None = None

    @property
    def key(self) -> str:
        """The last part of the path."""
        return self.path[-1]


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a field of the dataclass comes from: a key, and what is picked out of a list of places."""

    field: str
    key: str
    pick: type | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file, and the dataclass that it becomes; `inlined` are dataclasses made from the same keys."""

    made: type
    path: tuple[str, ...]
    entries: tuple[Entry, ...]
    taken: tuple[Taken, ...]
    inlined: tuple[tuple[str, Table], ...]

    def keys(self) -> list[str]:
        """Give the keys that may stand here."""
        return [entry.key for entry in self.entries]

    def build(self, values: dict[str, Any]) -> object:
        """Make the dataclass from checked values; a key that is absent leaves the dataclass's own default."""
        given: dict[str, Any] = {}
        for taken in self.taken:
            if taken.key in values:
                value = values[taken.key]
                given[taken.field] = value if taken.pick is None else _picked(value, taken.pick)
        for name, part in self.inlined:
            given[name] = part.build(values)
        return self.made(**given)

    def walk(self) -> Iterator[Entry]:
        """Go through all entries in the file's order, a table before what is in it."""
        for entry in self.entries:
            yield entry
            if entry.table is not None:
                yield from entry.table.walk()


def _picked(value: tuple[object, ...], kind: type) -> tuple[object, ...]:
    return tuple(item for item in value if isinstance(item, kind))


@cache
def policy_tree() -> Table:
    """Give the tree of the whole policy. Raises TypeError if a setting has a type that `leaf.py` does not know."""
    return _table(Policy, ())


def find(path: tuple[str | int, ...]) -> Table | None:
    """Give the table that a path of keys and positions leads to, None where it leads to none."""
    table: Table | None = policy_tree()
    for part in path:
        if table is None:
            return None
        if isinstance(part, str):
            table = next((entry.table for entry in table.entries if entry.key == part), None)
    return table


def _table(made: type, path: tuple[str, ...]) -> Table:
    hints = get_type_hints(made, include_extras=True)
    entries: list[Entry] = []
    taken: list[Taken] = []
    inlined: list[tuple[str, Table]] = []
    for field in dataclasses.fields(made):
        kind, markers = _unwrap(hints[field.name])
        if any(isinstance(marker, Inlined) for marker in markers):
            part = _table(kind, path)
            inlined.append((field.name, part))
            entries += part.entries
            continue
        key, pick, read = _written(field.name, markers)
        taken.append(Taken(field.name, key, pick))
        if read:
            entries.append(_entry(field, (*path, key), kind, markers))
    return Table(made, path, tuple(entries), tuple(taken), tuple(inlined))


def _written(name: str, markers: list[object]) -> tuple[str, type | None, bool]:
    """Tell a field's key, what it picks from the list there, and whether this field brings the key into the tree."""
    for marker in markers:
        if isinstance(marker, Key):
            return marker.name, None, True
        if isinstance(marker, NetworksOf):
            return marker.key, tuple, True  # a Network is a tuple
        if isinstance(marker, NamesOf):
            return marker.key, str, False
    return name.rstrip("_"), None, True  # class_ is written class


def _entry(field: dataclasses.Field[Any], path: tuple[str, ...], kind: Any, markers: list[object]) -> Entry:
    text = _text(path, kind, markers)
    if dataclasses.is_dataclass(kind):
        return Entry(path, text, [], table=_table(cast("type", kind), path))
    if get_origin(kind) is not tuple:
        leaf = leaf_of(kind, markers)
        return Entry(path, text, _default(field, leaf), leaf)
    item, item_markers = _unwrap(get_args(kind)[0])
    count = next((marker for marker in markers if isinstance(marker, Count)), Count(0, 10_000))
    if dataclasses.is_dataclass(item):
        return Entry(path, text, [], table=_table(cast("type", item), path), count=count)
    places = any(isinstance(marker, NetworksOf) for marker in markers)
    leaf = PLACE if places else leaf_of(item, item_markers)
    return Entry(path, text, _default(field, leaf), leaf, count=count)


def _text(path: tuple[str, ...], kind: Any, markers: list[object]) -> str:
    """Give one sentence: the stage's own, else ours, else for a table what its class says of itself."""
    said = next((marker.text for marker in markers if isinstance(marker, Described)), WORDS.get(".".join(path), ""))
    if not said and dataclasses.is_dataclass(kind):
        said = (kind.__doc__ or "").partition("\n")[0]
    return f"{said}." if said and not said.endswith((".", "?")) else said


def _default(field: dataclasses.Field[Any], leaf: Leaf) -> Plain | None:
    if field.default is dataclasses.MISSING:
        return None
    if type(field.default) is tuple:  # Levels is one, too, and a single value
        return [cast("str | int | bool", leaf.write(item)) for item in field.default]
    return leaf.write(field.default)


def _unwrap(hint: Any) -> tuple[Any, list[object]]:
    if get_origin(hint) is Annotated:
        kind, *markers = get_args(hint)
        return kind, markers
    return hint, []
