"""The terms that all else is said in: time, and accounts. The beginning of `model.py`, which gives them again."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from sipguard.address import Network

# --- Time -------------------------------------------------------------------------------------------------------------

Instant: TypeAlias = int
"""Nanoseconds of CLOCK_BOOTTIME (live) or of the capture's own clock (replay). Never a float, never the wall clock."""
Span: TypeAlias = int  # a length of time in nanoseconds
MICROSECOND: Span = 1_000
MILLISECOND: Span = 1_000_000
SECOND: Span = 1_000_000_000
MINUTE: Span = 60 * SECOND
HOUR: Span = 60 * MINUTE
DAY: Span = 24 * HOUR

# --- Accounts ---------------------------------------------------------------------------------------------------------


class Account(NamedTuple):
    """A digest username and its realm once authenticated; before that *claimed*: it can be attacked, never blamed."""

    username: str
    realm: str

    def __str__(self) -> str:
        return f"{self.username}@{self.realm}" if self.realm else self.username

    def called(self) -> tuple[str, str, str]:
        """Give what a list may call it, the most exact first: some PBXs take BOB and bob@example.net for bob."""
        name = self.username.casefold()
        return f"{name}@{self.realm.casefold()}", name, name.partition("@")[0]


class Pair(NamedTuple):
    """One account as used from one place. `account` `EVERY_OTHER` stands for all that are not healthy there."""

    network: Network
    account: Account

    def __str__(self) -> str:
        who = "all but the healthy accounts" if self.account == EVERY_OTHER else str(self.account)
        return f"{who} from {self.network}"


EVERY_OTHER = Account("*", "")


class Transport(StrEnum):
    """What carried a message."""

    UDP = "udp"
    TCP = "tcp"
