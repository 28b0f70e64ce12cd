"""What the build makes of a module before it is compiled means the same as the module."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("mypyc", reason="mypyc is not installed")

SETUP = Path(__file__).resolve().parents[2] / "scripts" / "mypyc_setup.py"
SAMPLE = '''"""A module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, TypeAlias, TypeVar

T = TypeVar("T")
Names: TypeAlias = tuple[str, ...]
Plain = dict[str, int]


class Colour(Enum):
    RED = 1
    BLUE = 2


_FIRST, _SECOND = Colour.RED, Colour.BLUE  # the two of them
_RED, _BLUE = Colour
_WORDS = {"ä": 1, "ö": 2}  # ü
_AFTER = "ü"
_TABLE: Mapping[str, int] = {
    "one": 1,
    "two": 2,
}  # two of them
_SPAN = 5 * 60  # seconds
_EMPTY: Names = ()
_partition = bytes.partition
twice = 1
twice = 2
lately: int
lately = 3


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun."""

    at: int
    colour: Colour = _FIRST  # the usual one
    names: Names = ()

    @property
    def later(self) -> int:
        return self.at + _SPAN


@dataclass(frozen=True, slots=True)
class Held:
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Checked:
    at: int

    def __post_init__(self) -> None:
        if self.at < 0:
            raise ValueError(self.at)


@dataclass(frozen=True, slots=True)
class Kind:
    most: ClassVar[int] = 5
    at: int = 0
'''


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    """Give the script as a module."""
    spec = importlib.util.spec_from_file_location("mypyc_setup", SETUP)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def made(setup: ModuleType, tmp_path: Path) -> ModuleType:
    """Give the sample as the build leaves it."""
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE, encoding="utf-8")
    for _ in range(2):  # as often as `scripts/compile` builds
        setup.settle(path)
        setup.unlock(path)
    module = ModuleType("sample")
    module.__dict__["__text__"] = path.read_text(encoding="utf-8")
    sys.modules["sample"] = module  # where `dataclass` looks for it
    exec(compile(module.__dict__["__text__"], str(path), "exec"), module.__dict__)  # noqa: S102 - our own
    return module


def test_names_keep_their_values_and_are_final_where_they_are_bound_once(made: ModuleType) -> None:
    assert (made._FIRST, made._SECOND) == (made._RED, made._BLUE) == tuple(made.Colour)
    assert made._WORDS == {"ä": 1, "ö": 2}
    assert made._TABLE == {"one": 1, "two": 2}
    assert (made._AFTER, made._SPAN, made._EMPTY, made.twice, made.lately) == ("ü", 300, (), 2, 3)
    assert made._partition(b"a:b", b":") == (b"a", b":", b"b")
    final = set(re.findall(r"\b(\w+): _Final\b", made.__text__))
    assert final == {
        "_FIRST", "_SECOND", "_RED", "_BLUE", "_WORDS", "_AFTER", "_TABLE", "_SPAN", "_EMPTY", "_partition"
    }  # fmt: skip


def test_a_noun_is_made_compared_and_changed_as_before(made: ModuleType) -> None:
    noun = made.Noun(1)
    assert noun == made.Noun(at=1, colour=made._FIRST, names=())
    assert hash(noun) == hash(made.Noun(1))
    assert noun != made.Noun(2)
    assert repr(noun) == "Noun(at=1, colour=<Colour.RED: 1>, names=())"
    assert replace(noun, names=("a",)) == made.Noun(1, made._FIRST, ("a",))
    assert [each.name for each in fields(noun)] == ["at", "colour", "names"]
    assert noun.later == 301
    assert "def __init__(self, at: int, colour: Colour=_FIRST, names: Names=()) -> None:" in made.__text__
    assert made.Held().names is not made.Held().names
    with pytest.raises(ValueError, match="-1"):
        made.Checked(-1)
    assert made.Kind(3).at == 3
