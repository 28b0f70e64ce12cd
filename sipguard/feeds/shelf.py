"""The last good version of each list on disk, so that a start without the network has them. Bounded, and not trusted.

One file for each list, in a directory of its own, named by a hash of the list's name. What is read passes the same
limits as what is fetched. Raises `AdapterError` alone. Blocking: call it in a thread.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from sipguard.address import Network, parse_network
from sipguard.errors import AdapterError
from sipguard.feeds import limits
from sipguard.feeds.fetch import ADAPTER, Tags
from sipguard.feeds.formats import ListError

LARGEST = 8 * 1024 * 1024
"""The most bytes of one file: 100,000 IPv6 networks, as text, are half of that."""


class Kept(NamedTuple):
    """A list as it was last good: its source then, when it was fetched (seconds since 1970), its version's names."""

    source: str
    fetched: int
    tags: Tags
    networks: tuple[Network, ...]


class Shelf:
    """The directory. It is made when the first list is kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, name: str, source: str) -> Kept | None:
        """Give a list as it was last kept for this source; None when there is none that can be used."""
        try:
            with self._path(name).open("rb") as file:
                data = file.read(LARGEST + 1)
            found = json.loads(data) if len(data) <= LARGEST else {}
            if found["name"] != name or found["source"] != _digest(source):
                return None
            networks = limits.check(parse_network(each) for each in found["networks"]).networks
            return Kept(source, int(found["fetched"]), Tags(str(found["etag"]), str(found["modified"])), networks)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ListError):
            return None

    def keep(self, name: str, kept: Kept) -> None:
        """Write a list in place of what was kept of it. Raises AdapterError."""
        text = json.dumps(
            {
                "name": name,
                "source": _digest(kept.source),
                "fetched": kept.fetched,
                "etag": kept.tags.etag,
                "modified": kept.tags.modified,
                "networks": [str(network) for network in kept.networks],
            }
        )
        path = self._path(name)
        fresh = path.with_suffix(".new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, path)  # noqa: PTH105 - the one that is told to be atomic
        except OSError as error:
            raise AdapterError(ADAPTER, f"{path} cannot be written: {error.strerror}") from error

    def tidy(self, names: Collection[str]) -> None:
        """Remove what is kept of all other lists. Raises AdapterError."""
        wanted = {self._path(name) for name in names}
        try:
            for path in _files(self._directory):
                if path not in wanted:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise AdapterError(ADAPTER, f"{self._directory} cannot be tidied: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        return self._directory / f"{_digest(name)[:24]}.json"


def _files(directory: Path) -> Sequence[Path]:
    return sorted(directory.glob("*.json")) + sorted(directory.glob("*.new")) if directory.is_dir() else []


def _digest(text: str) -> str:
    """Give a name for a text that may hold a key."""
    return hashlib.sha256(text.encode()).hexdigest()
