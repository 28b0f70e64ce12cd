"""What the keeper's desk wants of the store, as coroutines: answers that hold what has been said until now.

Promises: every answer is read behind what was queued before the question; each is plain JSON and bounded. Raises
AdapterError, as `Writer.ask` does. Reads the wall clock, to know what is still in force.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from sipguard.address import Network
from sipguard.model import SECOND, Span
from sipguard.store import bills, questions
from sipguard.store.database import Store
from sipguard.store.past import past
from sipguard.store.writer import Writer

Json: TypeAlias = dict[str, Any]


class Shelf:
    """Questions and switches of one store. `marker` is the file whose being there means: stay open."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.marker: Path = writer.path.with_name("off")

    async def counts(self) -> Json:
        """Give how much is kept."""
        return await self._writer.ask(lambda store: questions.counts(store, self._writer.now()))

    async def bans(self, limit: int = questions.MOST) -> Json:
        """Give what is in force, the latest first."""
        await self._writer.flush()
        return await self._writer.ask(lambda store: questions.bans(store, self._writer.now(), limit))

    async def preview(self) -> Json:
        """Tell what enforcing would close, and whom it would hit."""
        await self._writer.flush()
        return await self._writer.ask(lambda store: questions.preview(store, self._writer.now()))

    async def events(self, last: int) -> list[Json]:
        """Give the youngest report lines, oldest first."""
        await self._writer.flush()
        return await self._writer.ask(lambda store: questions.events(store, last))

    async def past(self, subject: Network | str) -> Json:
        """Give what was found and decided lately about a network, or about the accounts of a name."""
        await self._writer.flush()
        return await self._writer.ask(lambda store: past(store, subject, self._writer.now()))

    async def ended(self, span: Span, most: int) -> Json:
        """Give the calls that have ended within the last `span`."""
        await self._writer.flush()
        return await self._writer.ask(lambda store: bills.ended(store, self._writer.now() - span, most))

    async def today(self) -> list[Json]:
        """Give what each account has called for since midnight, by the host's own time zone."""
        await self._writer.flush()
        now = datetime.fromtimestamp(self._writer.now() // SECOND).astimezone()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return await self._writer.ask(lambda store: bills.since(store, int(midnight.timestamp()) * SECOND))

    async def bill(self, name: str, span: Span, most: int) -> Json:
        """Give the calls that the accounts of a name began within the last `span`."""
        await self._writer.flush()
        return await self._writer.ask(lambda store: bills.of_account(store, name, self._writer.now() - span, most))

    async def kept_mode(self, policy_mode: str) -> str | None:
        """Give the operator's mode; None when there is none, or when the policy's has been changed since."""
        return await self._writer.ask(lambda store: _kept(store, policy_mode))

    async def keep_mode(self, mode: str, policy_mode: str) -> None:
        """Keep the operator's mode for as long as the policy's own stays what it is."""
        await self._writer.ask(lambda store: _keep(store, mode, policy_mode))


def _kept(store: Store, policy_mode: str) -> str | None:
    return store.meta("mode") if store.meta("policy_mode") == policy_mode else None


def _keep(store: Store, mode: str, policy_mode: str) -> None:
    store.set_meta("mode", mode)
    store.set_meta("policy_mode", policy_mode)
