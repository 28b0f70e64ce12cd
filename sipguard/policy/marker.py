"""Markers of the policy's own: how a setting is written, where the file's form differs from the dataclass's.

Plain data, read by `tree.py` and `leaf.py`; nothing here checks anything. What values may be is said
with the markers of `constraint.py`.
"""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """The setting is written under this key; without the marker, under the field's name."""

    name: str


class NetworksOf(NamedTuple):
    """The field takes the networks out of a list that holds networks and host names, written under this key."""

    key: str


class NamesOf(NamedTuple):
    """The field takes the host names out of the list that a `NetworksOf` field of the same key stands for."""

    key: str


class Inlined(NamedTuple):
    """The tables of this field stand at the same level as the field itself."""
