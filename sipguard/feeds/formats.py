"""The text of a list to networks. Pure; raises `ListError` alone, whatever the bytes; linear in their length.

What cannot be read as an address is counted, and a text with more of that than of addresses is no list: an error page,
a login form, a list in another format. What may be taken of what was read is said in `limits.py`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sipguard.address import Network, parse_network

LINES = 250_000
"""The most lines, or values, of a list."""
ENOUGH = 1000
"""Entries that are no addresses, after which a list that has had fewer addresses so far is not read on."""

_LONGEST_LINE = 4096
_COMMENT = re.compile(r"[;#].*|//.*")
_COLUMNS = frozenset(
    {"ip", "ipaddress", "ip_address", "address", "addr", "cidr", "network", "prefix", "range", "source"}
)


class ListError(Exception):
    """A list is not fit to be used; says why, in words for the operator, without anything of the list's text."""


class Parsed(NamedTuple):
    """What a text says: the networks in its order, with doubles, and how many entries could not be read."""

    networks: tuple[Network, ...]
    unread: int


def parse(data: bytes, form: str) -> Parsed:
    """Read a list. `form`: "text" (one network a line; also DROP's), "csv" or "json". Raises ListError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ListError("is no text (UTF-8)") from None
    networks: list[Network] = []
    unread = 0
    for number, word in enumerate(_FORMS[form](text)):
        if number >= LINES:
            raise ListError(f"has more than {LINES:,} entries")
        try:
            networks.append(parse_network(word))
        except ValueError:
            unread += 1
            if unread > max(ENOUGH, len(networks)):
                break
    if unread > len(networks):
        raise ListError(f"is no list in the format {form}: {unread:,} entries or more are no addresses")
    return Parsed(tuple(networks), unread)


def _text(text: str) -> Iterator[str]:
    """Give the first word of each line that is no comment (`;`, `#`, `//`)."""
    for line in text.splitlines():
        words = _COMMENT.sub("", line[:_LONGEST_LINE]).split(None, 1)
        if words:
            yield words[0].rstrip(",")


def _csv(text: str) -> Iterator[str]:
    """Give the column whose head names addresses, else the first; where the head itself is an address, all is data."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";")))
    column: int | None = None
    try:
        for row in csv.reader((line[:_LONGEST_LINE] for line in lines), skipinitialspace=True):
            if column is None:
                names = [cell.strip().lower().replace(" ", "_") for cell in row]
                column = next((place for place, name in enumerate(names) if name in _COLUMNS), 0)
                if names and names[column] in _COLUMNS:
                    continue
            yield row[column].strip() if column < len(row) else ""
    except csv.Error:
        raise ListError("is no CSV") from None


def _json(text: str) -> Iterator[str]:
    """Give the addresses of one JSON document, or of one on each line (as Spamhaus publishes DROP)."""
    try:
        yield from _values(json.loads(text))
    except RecursionError:
        raise ListError("is nested too deep") from None
    except ValueError:
        yield from _json_lines(text)


def _json_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            found = json.loads(line[:_LONGEST_LINE])
        except (ValueError, RecursionError):
            raise ListError("is no JSON") from None
        yield from _values(found)


def _values(found: Any) -> Iterator[str]:
    """Give strings of a list; of an object, the values under the names of addresses. Anything else has none.

    APIBAN answers {"ipaddress": [...], "ID": "..."}; with nothing new the one entry is no address, and is left out.
    """
    if isinstance(found, str):
        yield found.strip()
    elif isinstance(found, list):
        for each in found:
            if isinstance(each, str | dict):
                yield from _values(each)
    elif isinstance(found, dict):
        for name, value in found.items():
            if name.lower() in _COLUMNS and isinstance(value, str | list):
                yield from _values(value)


_FORMS: Mapping[str, Callable[[str], Iterator[str]]] = {"text": _text, "csv": _csv, "json": _json}
