"""A message's head sorted into headers: two short ways for what stacks send, a careful one for all else.

All read the same from what they can read; the short ones say when they cannot. Never raises on any input; linear in its
length. Nothing here knows what a start line or a header's value means.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import TypeAlias, cast

from sipguard.sip.fault import Fault
from sipguard.sip.grammar import (
    BLANK_LINE,
    BLANKS,
    ESSENTIAL,
    FOLD,
    HEADER_NAMES,
    MAX_HEAD,
    MAX_HEADERS,
    USUAL_NAMES,
    fold_name,
)

Sorted: TypeAlias = tuple[dict[str, bytes], dict[str, list[bytes]] | None]
"""The first value of each header by its canonical name, and the others where a header stands more than once."""

_header_of = HEADER_NAMES.get
_partition = bytes.partition
_split = bytes.split
_COLONS = repeat(b":")
_ONCE = repeat(1)
_USUAL = frozenset(USUAL_NAMES.values())


class Head:
    """What the careful way reads: the start line, headers, where the body begins, and the faults met."""

    __slots__ = ("body_at", "first", "more", "noted", "start")

    def __init__(
        self, start: bytes, body_at: int, first: dict[str, bytes], more: dict[str, list[bytes]], noted: list[Fault]
    ) -> None:
        self.start = start
        self.body_at = body_at
        self.first = first
        self.more = more
        self.noted = noted


def sort_usual(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """Sort header lines by name as sent, where each is a usual one that stands once; None where any is not.

    Half the work of `sort_plainly`, as no name has to be looked up; three of four messages of phones and PBXs are such.
    """
    try:
        values = dict(cast("Iterable[tuple[bytes, bytes]]", map(_split, lines, _COLONS, _ONCE)))
    except ValueError:  # a line without a colon
        return None
    return values if len(values) == len(lines) and values.keys() <= _USUAL and b"" not in values.values() else None


def sort_plainly(lines: list[bytes]) -> Sorted | None:
    """Sort header lines by name; None when any needs care: no colon, folded, an odd name, an empty line or value."""
    if not 0 < len(lines) <= MAX_HEADERS:
        return None if lines else ({}, None)
    names, _, values = zip(*map(_partition, lines, _COLONS), strict=True)
    keys = [*map(_header_of, names)]
    if None in keys:  # a name that is not in the table: X-..., or an odd case
        keys = [key or fold_name(name) for key, name in zip(keys, names, strict=True)]
    plain = dict(zip(keys, values, strict=True))
    if len(plain) == len(lines) and None not in plain and b"" not in values:  # most: each once
        return cast("dict[str, bytes]", plain), None
    first: dict[str, bytes] = {}
    more: dict[str, list[bytes]] | None = None
    for line in lines:
        name, _, value = line.partition(b":")
        key = _header_of(name) or fold_name(name)
        if key is None or not value:
            return None
        if key not in first:
            first[key] = value
        elif not first[key].strip():
            return None
        elif more is None:
            more = {key: [value]}
        else:
            more.setdefault(key, []).append(value)
    return first, more


def read_carefully(data: bytes) -> Head:
    """Read the head of a message that is not blank, whatever is wrong with it."""
    text = data.lstrip(BLANKS)
    skipped = len(data) - len(text)
    noted = []
    if skipped:
        noted.append(Fault.LEADING_JUNK if data[:skipped].strip(b"\r\n") else Fault.LEADING_CRLF)
    blank = BLANK_LINE.search(text, 0, MAX_HEAD)
    head = text[:MAX_HEAD] if blank is None else text[: blank.start()]
    body_at = skipped + (len(head) if blank is None else blank.end())
    if blank is None:
        noted.append(Fault.NO_BLANK_LINE if len(text) <= MAX_HEAD else Fault.OVERLONG_HEAD)
    unfolded = FOLD.sub(b" ", head)
    if unfolded != head:
        noted.append(Fault.FOLDED)
    lines = unfolded.splitlines()
    first, more = _index(lines, noted)
    return Head(lines[0], body_at, first, more, list(dict.fromkeys(noted)))


def _index(lines: list[bytes], noted: list[Fault]) -> tuple[dict[str, bytes], dict[str, list[bytes]]]:
    """Sort header lines by name, the first value of each and the others; notes what is odd about them."""
    first: dict[str, bytes] = {}
    more: dict[str, list[bytes]] = {}
    for line in lines[1 : MAX_HEADERS + 1]:
        key, value = _header(line, noted)
        if key not in first:
            first[key] = value
        elif key:
            if not first[key].strip():  # an empty header is skipped by PBXs, it must not stand before a real one
                first[key], value = value, first[key]
            more.setdefault(key, []).append(value)
    if len(lines) > MAX_HEADERS + 1:
        noted.append(Fault.TOO_MANY_HEADERS)
        _index_essential(lines, first, more)
    first.pop("", None)
    return first, more


def _header(line: bytes, noted: list[Fault]) -> tuple[str, bytes]:
    """Split one header line; the name is "" where there is none."""
    sent, colon, value = line.partition(b":")
    name = sent.rstrip(b" \t")
    if not colon or not name:
        noted.append(Fault.BAD_HEADER_LINE)
        return "", b""
    if len(name) != len(sent):
        noted.append(Fault.SPACE_BEFORE_COLON)
    key = _header_of(name) or fold_name(name)
    if key is None:
        noted.append(Fault.BAD_HEADER_NAME)
        return name.decode("latin-1").lower(), value
    return key, value


def _index_essential(lines: list[bytes], first: dict[str, bytes], more: dict[str, list[bytes]]) -> None:
    """Read on beyond `MAX_HEADERS`, as many again, but only what identifies or authenticates."""
    left = MAX_HEADERS
    for line in lines[MAX_HEADERS + 1 :]:
        if not left:
            return
        name, colon, value = line.partition(b":")
        key = HEADER_NAMES.get(name.rstrip(b" \t").lower(), "")
        if not colon or key not in ESSENTIAL:
            continue
        left -= 1
        if key in first:
            more.setdefault(key, []).append(value)
        else:
            first[key] = value
