"""The reference of all settings (`docs/policy.md`), made from the same tree that reads them."""

from __future__ import annotations

from collections.abc import Iterator

from sipguard.policy.tree import Entry, Plain, Table, policy_tree

_HEAD = """\
# The policy

`/etc/sipguard/policy.toml`, in [TOML](https://toml.io). Every setting has a default; an empty file is a policy, the
same as the annotated [`conf/policy.toml`](../conf/policy.toml). `sipguard check FILE` says in a few lines what a policy
means, or everything that is wrong with it, with line numbers, and exits with 78. A guard that runs keeps its old policy
when the new one is wrong.

- Durations are text with d, h, m, s, ms, the larger unit first: `"10m"`, `"1h30m"`, `"7d"`.
- Sizes are text with B, KiB, MiB, GiB: `"64KiB"`.
- Networks are in CIDR form, an address alone is a network of one: `"192.0.2.0/24"`, `"2001:db8::/32"`, `"192.0.2.7"`.
- Money is in the currency of the rates, at most six decimals: `50`, `0.35` or `"0.35"`; `"none"` for no amount.
- Limits are tables in braces, any part left out: `{ warn = 8, critical = 15, window = "1m" }`; `{}` for no limit.
- Host names are looked up again and again while the guard runs: `"office.example.net"` (A and AAAA),
  `"_sip._udp.example.net"` (SRV).
- A key that is none is an error, not a comment. Top-level settings stand above the first `[table]`.

This page is made from the program itself (`tests/policy/regenerate.py`).
"""


def reference() -> str:
    """Give the page as Markdown."""
    parts = [_HEAD, _section("Top level", "", (entry for entry in policy_tree().entries if entry.table is None))]
    parts.extend(_table(entry, entry.table) for entry in policy_tree().walk() if entry.table is not None)
    return "\n".join(part for part in parts if part)


def _table(entry: Entry, table: Table) -> str:
    name = ".".join(entry.path)
    heading = f"`[[{name}]]`" if entry.count is not None else f"`[{name}]`"
    return _section(heading, entry.text, (inner for inner in table.entries if inner.table is None))


def _section(heading: str, text: str, entries: Iterator[Entry]) -> str:
    rows = [f"| `{entry.key}` | {_default(entry.default)} | {_wanted(entry)} | {entry.text} |" for entry in entries]
    if not rows:
        return ""
    lines = [f"## {heading}", "", *([text, ""] if text else [])]
    return "\n".join([*lines, "| key | default | may be | what it does |", "| --- | --- | --- | --- |", *rows, ""])


def _default(value: Plain | None) -> str:
    return "required" if value is None else f"`{_toml(value)}`"


def _toml(value: Plain) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _wanted(entry: Entry) -> str:
    wanted = entry.leaf.wanted if entry.leaf is not None else ""
    return f"list: {wanted}" if entry.count is not None else wanted
