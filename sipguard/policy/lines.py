"""On which line of a TOML text each key and each list item stands: what `tomllib` knows and does not tell.

Reads no values and judges nothing: it is right about text that tomllib accepts, and never raises on any other. Works
in time linear in the text. (TOML v1.0.0, https://toml.io/en/v1.0.0)
"""

from __future__ import annotations

import itertools
import re
import tomllib
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys, and positions in lists counted from 0: `("site", 1, "addresses", 0)`."""

DEEPEST = 32  # levels of lists and inline tables, and parts of a dotted key; the policy itself needs three

_BLANK = re.compile(r"[ \t]*")
_BLANKS_AND_COMMENTS = re.compile(r"(?>(?:[ \t\n]+|#[^\n]*)*)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")
_BASIC = re.compile(r'"(?>(?:[^"\\\n]+|\\[^\n])*)"')
_LITERAL = re.compile(r"'[^'\n]*'")
# The closing quotes may be preceded by up to two that belong to the text.
_LONG_BASIC = re.compile(r'"""(?>(?:[^"\\]+|\\.|"{1,2}(?!"))*)"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?>(?:[^']+|'{1,2}(?!'))*)'{3,5}")


class Lines:
    """Where each key and list item of a text stands. `too_deep` is the line where reading was given up, else 0."""

    __slots__ = ("_at", "_order", "too_deep")

    def __init__(self, at: dict[Path, int], order: list[tuple[Path, int]], too_deep: int) -> None:
        self._at = at
        self._order = order  # also what is written a second time, which only an invalid text can do
        self.too_deep = too_deep

    def of(self, path: Path) -> int:
        """Give the line of a path, else of the nearest that encloses it; 0 when none of them was seen."""
        while path:
            line = self._at.get(path)
            if line is not None:
                return line
            path = path[:-1]
        return 0

    def before(self, line: int) -> Path:
        """Give the last key or item that begins at or before a line; the empty path when there is none."""
        seen: Path = ()
        for path, began in self._order:
            if began <= line:
                seen = path
        return seen

    def items(self) -> list[tuple[Path, int]]:
        """Give all paths with their lines, in the order of the text."""
        return list(self._at.items())


def find_lines(text: str) -> Lines:
    """Tell where every key and list item of a TOML text stands. Never raises; what is not TOML ends the search."""
    finder = _Finder(text.replace("\r\n", "\n"))
    too_deep = 0
    try:
        finder.document()
    except _TooDeepError:
        too_deep = finder.line()
    except _NotTomlError:
        pass
    return Lines(finder.at, finder.order, too_deep)


class _NotTomlError(Exception):
    """The text is not TOML here; tomllib says why in its own words."""


class _TooDeepError(Exception):
    """Lists in lists beyond all use."""


class _Finder:
    """One walk over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.at: dict[Path, int] = {}
        self.order: list[tuple[Path, int]] = []
        self._lists: dict[Path, int] = {}  # how many items each array of tables has so far
        self._counted = (0, 1)  # a position, and the line it is on

    def line(self) -> int:
        """Count on from the place last asked for, so that a whole walk counts each line once."""
        position, line = self._counted
        line += self.text.count("\n", position, self.position)
        self._counted = (self.position, line)
        return line

    def document(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANKS_AND_COMMENTS)
            if self.position >= len(self.text):
                return
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table, 0)
            self._skip(_BLANK)
            if self.position < len(self.text) and self._next() not in "#\n":
                raise _NotTomlError

    # A header names a table from the root: [a.b] or [[a.b]]. A part that is an array of tables means its last one.
    def _header(self) -> Path:
        line = self.line()
        many = self.text.startswith("[[", self.position)
        brackets = 2 if many else 1
        self.position += brackets
        path: Path = ()
        parts = self._key()
        for number, part in enumerate(parts):
            path = (*path, part)
            self._see(path, line)
            if many and number == len(parts) - 1:
                self._lists[path] = self._lists.get(path, 0) + 1
            if path in self._lists:
                path = (*path, self._lists[path] - 1)
                self._see(path, line)
        self._take("]" * brackets)
        return path

    def _pair(self, table: Path, depth: int) -> None:
        line = self.line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._see(path, line)
        self._take("=")
        self._skip(_BLANK)
        self._value(path, depth)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_BLANK)
            start = self._next()
            if start in "\"'":
                parts.append(_unquote(self._match(_BASIC if start == '"' else _LITERAL)))
            else:
                parts.append(self._match(_BARE_KEY))
            self._skip(_BLANK)
            if len(parts) > DEEPEST:
                raise _TooDeepError
            if self._next() != ".":
                return parts
            self.position += 1

    def _value(self, path: Path, depth: int) -> None:
        if depth > DEEPEST:
            raise _TooDeepError
        start = self._next()
        if start == "[":
            self._list(path, depth)
        elif start == "{":
            self._inline_table(path, depth)
        elif start == '"':
            self._match(_LONG_BASIC if self.text.startswith('"""', self.position) else _BASIC)
        elif start == "'":
            self._match(_LONG_LITERAL if self.text.startswith("'''", self.position) else _LITERAL)
        else:
            self._match(_BARE_VALUE)

    def _list(self, path: Path, depth: int) -> None:
        self.position += 1
        for number in itertools.count():
            self._skip(_BLANKS_AND_COMMENTS)
            if self._next() == "]":
                break
            self._see((*path, number), self.line())
            self._value((*path, number), depth + 1)
            self._skip(_BLANKS_AND_COMMENTS)
            if self._next() == "]":
                break
            self._take(",")
        self._take("]")

    # From TOML 1.1 on an inline table may stand on several lines; a parser of 1.0 refuses that by itself.
    def _inline_table(self, path: Path, depth: int) -> None:
        self.position += 1
        self._skip(_BLANKS_AND_COMMENTS)
        while self._next() != "}":
            self._pair(path, depth + 1)
            self._skip(_BLANKS_AND_COMMENTS)
            if self._next() == "}":
                break
            self._take(",")
            self._skip(_BLANKS_AND_COMMENTS)
        self._take("}")

    def _see(self, path: Path, line: int) -> None:
        self.at.setdefault(path, line)
        self.order.append((path, line))

    def _next(self) -> str:
        if self.position >= len(self.text):
            raise _NotTomlError
        return self.text[self.position]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.position)
        if match is not None:
            self.position = match.end()

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise _NotTomlError
        self.position = match.end()
        return match.group()

    def _take(self, sign: str) -> None:
        if not self.text.startswith(sign, self.position):
            raise _NotTomlError
        self.position += len(sign)


def _unquote(key: str) -> str:
    """Read a quoted key by the parser's own rules."""
    try:
        parts = list(tomllib.loads(f"{key}=0"))
    except ValueError:
        raise _NotTomlError from None
    return parts[0]
