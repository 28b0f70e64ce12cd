"""What detectors learn over days and must not learn anew: the noun, how they write it, and what waits to be written.

A detector that learns has a name (`learns`), notes of whom it knows something new (`Notes`), and says what it knows
when it is asked (`Learner`). It notes what is new, never each message: so the packet path pays next to nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

from sipguard.address import Address
from sipguard.terms import Account, Instant

LONGEST = 16 * 1024
"""Characters of a lesson's text: what is longer is not written, and not read."""

SITE = Account("", "")
"""Stands for the house itself, where a lesson is about no account."""

About: TypeAlias = tuple[Account, str]


@dataclass(frozen=True, slots=True)
class Lesson:
    """State: what a detector knows of an account, as of `at`; a later one of the same three names replaces it.

    `topic` parts what is known of one account. `text` is the detector's: instants in it are spans before `at`, so that
    a wrong clock moves the whole, and nothing within it. An empty text: it knows nothing any more.
    """

    at: Instant
    detector: str
    account: Account
    topic: str
    text: str


class Learner(Protocol):
    """A detector that learns; `learns` is its name."""

    learns: str

    def known(self) -> Iterator[About]:
        """Go through all that it could write about, the least recent first."""
        ...

    def taught(self, at: Instant, account: Account, topic: str, /) -> str:
        """Write what it knows now; empty when that is nothing."""
        ...

    def learn(self, at: Instant, account: Account, topic: str, text: str, /) -> None:
        """Take up what was written at `at`. Raises ValueError for what no release of ours wrote."""
        ...


def learner_of(detector: object) -> Learner | None:
    """Give a detector as one that learns; None where it is none."""
    return cast("Learner", detector) if getattr(detector, "learns", "") else None


class Notes:
    """Of whom detectors have learned something that is not written yet; `new`: since it was last looked at.

    At most `most` for each detector; the one that waits longest is forgotten, and counted in `lost`.
    """

    __slots__ = ("lost", "most", "new", "waiting")

    def __init__(self, most: int = 10_000) -> None:
        self.most = most
        self.new = False
        self.lost = 0
        self.waiting: dict[str, dict[About, None]] = {}

    def note(self, detector: str, account: Account, topic: str = "") -> None:
        """Have it written what a detector knows."""
        self.new = True
        waiting = self.waiting.get(detector)
        if waiting is None:
            waiting = self.waiting[detector] = {}
        waiting[(account, topic)] = None
        if len(waiting) > self.most:
            del waiting[next(iter(waiting))]
            self.lost += 1


def somewhere(account: Account) -> Address:
    """Give an address to count an account against whose own was not kept: another network for nearly each."""
    return zlib.crc32(f"{account.username}\0{account.realm}".encode("utf-8", "surrogatepass")).to_bytes(4)


def written(rows: Sequence[Sequence[str]]) -> str:
    """Join words to text: commas within a row, spaces between rows. What others chose goes through `hexed` first."""
    return " ".join([",".join(row) for row in rows])


def rows_of(text: str) -> list[list[str]]:
    """Give the rows back. Raises ValueError where the text is too long."""
    if len(text) > LONGEST:
        raise ValueError(f"{len(text)} characters")
    return [row.split(",") for row in text.split(" ")] if text else []


def hexed(value: str | bytes) -> str:
    """Write any text or bytes without commas and spaces."""
    return (value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value).hex()


def text_of(word: str) -> str:
    """Give a text back. Raises ValueError."""
    return bytes.fromhex(word).decode("utf-8", "surrogatepass")
