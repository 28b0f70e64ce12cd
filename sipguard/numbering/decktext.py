"""The bytes of a table to rows of cells: character set, separator, quoting. What stands in the cells is not read here.

Promises: never raises on any input; work is linear in the length; every row knows its line. Written here, as the core
opens no stream: the standard library's reader wants one, and takes the rest of a file for one cell when a quotation
mark is not closed.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

MOST_LINES = 500_000
LONGEST_LINE = 16_384
"""Characters."""
QUOTED_LINES = 20
"""A quoted cell may run over so many lines; what is longer is a quotation mark that nobody closed."""

_SEPARATORS = "\t;|,"  # the first of those that fit equally well
_SAMPLE = 60  # lines that the separator is guessed from
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class Row(NamedTuple):
    """One row, with the line it begins on, from 1; `broken` says why it could not be taken apart."""

    line: int
    cells: list[str]
    broken: str = ""


class Table(NamedTuple):
    """All rows but blank ones; `notes` is what should be told of the whole, `cut` that there were too many lines."""

    rows: list[Row]
    separator: str
    notes: list[str]
    cut: bool = False


def read_table(data: bytes) -> Table:
    """Take a table apart. Never raises: what cannot be read is a broken row, or a replaced character."""
    text, notes = _decoded(data)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    cut = len(lines) > MOST_LINES
    del lines[MOST_LINES:]
    begin = 0
    if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == 5:  # as Excel writes
        separator, begin = lines[0][4], 1
    else:
        separator = _separator(lines)
    return Table(_rows(lines, begin, separator), separator, notes, cut)


def _decoded(data: bytes) -> tuple[str, list[str]]:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), []
    head = data[:4096]
    if head.count(0) * 3 > len(head):  # UTF-16 without a mark: every other byte of plain text is 0
        name = "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
        return data.decode(name, "replace"), []
    try:
        return data.decode(), []
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), ["the file is not UTF-8; names are read as Windows-1252"]


def _separator(lines: list[str]) -> str:
    """Give the sign that most lines have the same number of."""
    sample = [line for line in lines[: _SAMPLE * 4] if line.strip()][:_SAMPLE]
    best, most = ",", 0
    for sign in _SEPARATORS:
        counts = Counter(line[:LONGEST_LINE].count(sign) for line in sample)
        del counts[0]
        agreeing = max(counts.values(), default=0)
        if agreeing > most:
            best, most = sign, agreeing
    return best


def _rows(lines: list[str], begin: int, separator: str) -> list[Row]:
    rows: list[Row] = []
    at = begin
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if len(line) > LONGEST_LINE:
            rows.append(Row(number, [], f"is longer than {LONGEST_LINE:,} characters"))
        elif '"' in line:
            row, used = _quoted(lines, at - 1, separator)
            rows.append(row)
            at += used - 1
        elif line.strip(" \t;,|"):
            rows.append(Row(number, line.split(separator)))
    return rows


def _quoted(lines: list[str], at: int, separator: str) -> tuple[Row, int]:
    """Take a row with quotation marks apart; gives it, and how many lines it is."""
    text, used = lines[at], 1
    while text.count('"') % 2:
        longer = at + used < len(lines) and len(text) <= LONGEST_LINE
        if used == QUOTED_LINES or not longer:
            return Row(at + 1, [], "has a quotation mark that is not closed"), 1
        text += "\n" + lines[at + used]
        used += 1
    parts = text.split('"')  # what stands in quotation marks is at the odd places
    cells, cell = list[str](), ""
    for place, part in enumerate(parts):
        if place % 2:
            cell += part
        elif not part and 0 < place < len(parts) - 1:  # one that is doubled
            cell += '"'
        else:
            first, *others = part.split(separator)
            cell += first
            for other in others:
                cells.append(cell)
                cell = other
    cells.append(cell)
    return Row(at + 1, cells), used
