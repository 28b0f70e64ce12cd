"""Every key of a TOML text is found on its line, and no text at all makes the search fail."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sipguard.policy.lines import DEEPEST, Path, find_lines

CONF = File(__file__).parents[2] / "conf" / "policy.toml"


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Go through all paths of a parsed document."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*at, key))


STORY = """\
# a = 1
title = "x # y = [" # z = 3

long = \"\"\"
[no.table]
no = "key" ""
\\\"\"\" still \"\"\"\"
plain = '''
['''''
"quoted.key" . 'an"other'.bare = 1979-05-27 07:32:00
"\\u00e4" = {a = 1, "b#" = [{c = 2}, "}"], d.e = '{'}
list = [ # [
  "one, two", # three ]
  [ 1,
    2 ],

  { x = 1, y = 2 } ]
[ table . "sub table" ]
key=1
[[many]]
name = "first"
[many.inner]
deep = 1
[[many]]
[[many.inner]]
deep = 1
[[many.inner]]
deep = 2
[last]
"""

EXPECTED: dict[Path, int] = {
    ("title",): 2,
    ("long",): 4,
    ("plain",): 8,
    ("quoted.key",): 10,
    ("quoted.key", 'an"other'): 10,
    ("quoted.key", 'an"other', "bare"): 10,
    ("ä",): 11,
    ("ä", "a"): 11,
    ("ä", "b#"): 11,
    ("ä", "b#", 0): 11,
    ("ä", "b#", 0, "c"): 11,
    ("ä", "b#", 1): 11,
    ("ä", "d"): 11,
    ("ä", "d", "e"): 11,
    ("list",): 12,
    ("list", 0): 13,
    ("list", 1): 14,
    ("list", 1, 0): 14,
    ("list", 1, 1): 15,
    ("list", 2): 17,
    ("list", 2, "x"): 17,
    ("list", 2, "y"): 17,
    ("table",): 18,
    ("table", "sub table"): 18,
    ("table", "sub table", "key"): 19,
    ("many",): 20,
    ("many", 0): 20,
    ("many", 0, "name"): 21,
    ("many", 0, "inner"): 22,
    ("many", 0, "inner", "deep"): 23,
    ("many", 1): 24,
    ("many", 1, "inner"): 25,
    ("many", 1, "inner", 0): 25,
    ("many", 1, "inner", 0, "deep"): 26,
    ("many", 1, "inner", 1): 27,
    ("many", 1, "inner", 1, "deep"): 28,
    ("last",): 29,
}


def test_a_text_with_every_form_of_toml_is_found_line_by_line() -> None:
    assert set(paths(tomllib.loads(STORY))) == set(EXPECTED)
    assert dict(find_lines(STORY).items()) == EXPECTED


def test_line_ends_of_windows_count_once() -> None:
    assert dict(find_lines(STORY.replace("\n", "\r\n")).items()) == EXPECTED


def test_a_path_that_is_not_there_is_on_the_line_of_what_encloses_it() -> None:
    lines = find_lines("[a]\nb = 1\n")
    assert (lines.of(("a", "c", 3)), lines.of(("z",)), lines.of(())) == (1, 0, 0)


def test_the_last_key_before_a_line_counts_what_is_written_twice() -> None:
    assert find_lines("[a]\nb = 1\n[a]\n").before(3) == ("a",)
    assert find_lines("").before(1) == ()


@pytest.mark.parametrize("opening", ["[", "{a=", "[{a=", "[[],"])
def test_absurd_depth_is_given_up_on_its_line(opening: str) -> None:
    assert find_lines("x = 1\ny = " + opening * 5000).too_deep == 2


def test_absurdly_many_parts_of_a_key_are_given_up() -> None:
    assert find_lines("a = 1\n" + "b." * 300_000 + "c = 1").too_deep == 2
    assert find_lines("b." * (DEEPEST - 1) + "c = 1").too_deep == 0


@pytest.mark.parametrize(
    "text",
    [
        'a = "' + "\\" * 400_000,
        'a = """' + '""' * 200_000,
        "a = [" + "1," * 200_000,
        "a={" + "b=1," * 90_000,
        "a=1#\n" * 90_000,
        *(sign * 300_000 for sign in "\"'[#\n"),
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_long_hostile_texts_end(text: str) -> None:
    find_lines(text)


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    find_lines(text)


@given(st.text(alphabet="ab=.[]{},\"'\\#\n \t1"))
def test_what_tomllib_accepts_is_found_whole(text: str) -> None:
    lines = find_lines(text)
    try:
        document = tomllib.loads(text)
    except ValueError:
        return
    assert {path for path, _ in lines.items()} == set(paths(document))


@given(st.data())
def test_what_tomllib_accepts_of_a_damaged_policy_is_found_whole(data: st.DataObject) -> None:
    lines = CONF.read_text(encoding="utf-8").replace("# [[", "[[").replace("# name", "name").splitlines(keepends=True)
    kept = [line for line in lines if data.draw(st.booleans())] if data.draw(st.booleans()) else lines
    text = "".join(kept)
    if text:
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.sampled_from(["", "\n", '"', "#", "[", "]", "=", "'", " "])) + text[at + 1 :]
    found = find_lines(text)
    try:
        document = tomllib.loads(text)
    except ValueError:
        assume(False)
    assert {path for path, _ in found.items()} == set(paths(document))


class Writer:
    """Writes a random document, and notes on which line each path came to stand."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.text = ""
        self.at: dict[Path, int] = {}
        self.made = 0

    def see(self, path: Path) -> None:
        self.at.setdefault(path, self.text.count("\n") + 1)

    def key(self, table: Path) -> Path:
        """Write a new key, perhaps a dotted one; no key is ever made twice."""
        path = table
        for part in range(self.draw(st.integers(1, 3))):
            self.made += 1
            name = self.draw(st.sampled_from(["k", "k-_", "k.x", "k # =", "ä]", 'k"', "k\\", "k\n"])) + str(self.made)
            self.text += (self.draw(st.sampled_from([".", " . "])) if part else "") + self.quoted(name)
            path = (*path, name)
        for length in range(len(table) + 1, len(path) + 1):
            self.see(path[:length])
        return path

    def quoted(self, name: str) -> str:
        if name.replace("-", "").replace("_", "").isalnum() and name.isascii() and self.draw(st.booleans()):
            return name
        if "'" not in name and "\n" not in name and self.draw(st.booleans()):
            return f"'{name}'"
        return json.dumps(name, ensure_ascii=self.draw(st.booleans()))

    def gap(self) -> None:
        self.text += self.draw(st.sampled_from(["", " ", "\n", " # ] = [x]\n", "\n\n\t"]))

    def value(self, path: Path, depth: int, *, on_one_line: bool) -> None:
        kind = self.draw(st.sampled_from(["plain", "long", "list", "table"] if depth < 3 else ["plain", "long"]))
        if kind == "list":
            self.text += "["
            for number in range(self.draw(st.integers(0, 3))):
                self.gap() if not on_one_line else None
                self.see((*path, number))
                self.value((*path, number), depth + 1, on_one_line=on_one_line)
                self.text += ","
            self.text += "]"
        elif kind == "table":
            self.text += "{ "
            for number in range(self.draw(st.integers(0, 3))):
                self.text += ", " if number else ""
                inner = self.key(path)
                self.text += " = "
                self.value(inner, depth + 1, on_one_line=True)
            self.text += " }"
        elif kind == "long" and not on_one_line:
            self.text += self.draw(
                st.sampled_from(['"""\n#a\n[b]\nc = \\"""\n""""', "'''\n'' ]\n,#\n'''", '"""\\\n  x"""'])
            )
        else:
            values = ["1", "true", '"a # \\" b"', "'='", "1979-05-27 07:32:00Z", "-0.5e3", '""', "''", '"]}"', "0x1F"]
            self.text += self.draw(st.sampled_from(values))

    def document(self) -> None:
        table: Path = ()
        lists: dict[Path, int] = {}
        for _ in range(self.draw(st.integers(0, 12))):
            self.gap()
            self.text += "" if self.text.endswith("\n") or not self.text else "\n"
            kind = self.draw(st.sampled_from(["pair", "pair", "pair", "table", "list", "again"]))
            if kind == "pair":
                path = self.key(table)
                self.text += self.draw(st.sampled_from(["=", " = ", "\t="]))
                self.value(path, 0, on_one_line=False)
                self.text += self.draw(st.sampled_from(["\n", " # x = 1\n"]))
            elif kind == "again" and lists:
                path = self.draw(st.sampled_from(sorted(lists, key=str)))
                lists[path] += 1
                self.text += f"[[{'.'.join(json.dumps(part) for part in path)}]]"
                table = (*path, lists[path])
                self.see(table)
            else:
                self.text += "[[" if kind == "list" else "["
                table = self.key(())
                self.text += "]]" if kind == "list" else "]"
                if kind == "list":
                    lists[table] = 0
                    table = (*table, 0)
                    self.see(table)


@given(st.data())
def test_the_lines_of_any_document_are_right(data: st.DataObject) -> None:
    writer = Writer(data)
    writer.document()
    assert set(paths(tomllib.loads(writer.text))) == set(writer.at), writer.text
    assert dict(find_lines(writer.text).items()) == writer.at, writer.text
