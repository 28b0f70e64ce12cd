"""What an operator probably meant: hints for unknown keys, values of the wrong shape and texts that are not TOML.

Only words; whether something is wrong is decided elsewhere.
"""

from __future__ import annotations

import re

from sipguard.policy.complaint import Complaint
from sipguard.policy.leaf import kind_of, nearest
from sipguard.policy.lines import Path
from sipguard.policy.tree import Entry, find, policy_tree

UNKNOWN = "is no setting of this program"  # its hint is looked for only when the problem is shown
_LISTED = 12  # so many keys can be read in one line


def unknown_key(path: Path) -> str:
    """Say which setting a key that is none may have been meant for."""
    key = str(path[-1])
    home = next((entry.path[:-1] for entry in policy_tree().walk() if entry.key == key), None)
    if home == ():
        return f"{key} stands above the first [table]"
    if home is not None:
        return f"{key} belongs under [{'.'.join(home)}]"
    table = find(path[:-1])
    keys = table.keys() if table is not None else []
    near = nearest(key, keys)
    if near:
        return f'did you mean "{near}"?'
    return f"known here: {', '.join(keys)}" if len(keys) <= _LISTED else ""


def wrong_shape(path: Path, value: object) -> Complaint:
    """Say that a table, a list or an array of tables is wanted where something else is written."""
    entry = _entry(path)
    name = ".".join(part for part in path if isinstance(part, str))
    within = isinstance(path[-1], int) if path else False
    if entry is not None and entry.table is not None:
        heading = f"[[{name}]]" if entry.count is not None else f"[{name}]"
        wanted = "a table" if entry.count is None or within else "an array of tables"
        return Complaint(path, f"must be {wanted}, not {kind_of(value)}", f"begin it with {heading}")
    return Complaint(path, f"must be a list, not {kind_of(value)}", "in brackets, with commas between")


def _entry(path: Path) -> Entry | None:
    keys = tuple(part for part in path if isinstance(part, str))
    return next((entry for entry in policy_tree().walk() if entry.path == keys), None)


_AT = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_TWICE = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate inline table key")


# sys.int_info.default_max_str_digits, above which Python converts no text to a number.
_HUGE = re.compile(r"[0-9_]{4300}")


def not_toml(message: str, text: str) -> tuple[int, str, str]:
    """Turn tomllib's words about a text into a line, what is wrong, and a hint. None of it repeats a value."""
    match = _AT.fullmatch(message)
    what = match["what"] if match is not None else message
    line = int(match["line"] or 0) if match is not None else 0
    column = f"at column {match['column']}" if match is not None and line else "at the end of the file"
    if what.startswith("Exceeds the limit"):
        huge = _HUGE.search(text)
        return text.count("\n", 0, huge.start() if huge is not None else 0) + 1, "has far too many digits", ""
    line = line or text.rstrip().count("\n") + 1
    if what.startswith(_TWICE):
        return line, "stands here a second time", "leave one out"
    if what == "Invalid value":
        return line, "has no readable value", "text stands in quotes, a list in brackets, true and false are lower case"
    return line, f"is not TOML: {what[:1].lower()}{what[1:]}", column
