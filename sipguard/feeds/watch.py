"""All lists of a policy, kept up to date: fetched in time, the last good version kept, every trouble told once.

Promises: a list that cannot be fetched, read or believed keeps what it said before, for as long as it takes, and the
operator is told; one that has changed is passed on at once, one that has not is passed on anyway, as a sign of life
(what it bans would run out else); fetches are never closer together than `SOONEST`. Nothing here bans anybody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from sipguard.errors import AdapterError
from sipguard.feeds import limits
from sipguard.feeds.fetch import Fetched, Tags, fetch
from sipguard.feeds.formats import ListError, parse
from sipguard.feeds.shelf import Kept, Shelf
from sipguard.model import SECOND, Feed, Span

SOONEST = 60.0
"""The least seconds between two fetches of a list after a failure; doubled with each, up to its own interval."""
STALE_AFTER = 3
"""Failures in a row before the operator hears of a list whose last good version is still used."""


class Wanted(Protocol):
    """What a policy says of a list: `mode` is "shadow" or "block", `format` one of `formats.parse`."""

    @property
    def name(self) -> str:
        """Whom reports call so."""

    @property
    def source(self) -> str:
        """An https URL, or an absolute path."""

    @property
    def format(self) -> str:
        """How it is written."""

    @property
    def refresh(self) -> Span:
        """How often it is fetched."""

    @property
    def mode(self) -> str:
        """What becomes of who is on it."""


class _List:
    """One list: what it was last, when it is due, how often it failed in a row and what was told of that."""

    __slots__ = ("accept", "due", "failures", "kept", "left_out", "told", "unread", "wanted")

    def __init__(self, wanted: Wanted, kept: Kept | None) -> None:
        self.wanted = wanted
        self.kept = kept
        self.due = 0.0
        self.failures = 0
        self.told = ""
        self.accept = False  # the operator takes the next version, even when it has shrunk
        self.unread = 0
        self.left_out: dict[str, int] = {}

    def feed(self) -> Feed:
        networks = self.kept.networks if self.kept else ()
        return Feed(self.wanted.name, networks, self.wanted.mode == "block")


class Watch:
    """`want` says which lists, `run` fetches them, `changed` is called with each good version, `alert` with a line."""

    def __init__(self, shelf: Shelf, changed: Callable[[Feed], None], alert: Callable[[str, str, str], None]) -> None:
        self._shelf = shelf
        self._changed = changed
        self._alert = alert
        self._lists: dict[str, _List] = {}
        self._running = False
        self._woken = asyncio.Event()

    async def want(self, wanted: Iterable[Wanted]) -> None:
        """Take these lists in place of those wanted before, with what was kept of them.

        What that changes is passed on from `run` on; before, `present` gives it.
        """
        earlier, self._lists = self._lists, {}
        for each in wanted:
            old = earlier.pop(each.name, None)
            if old is not None and (old.wanted.source, old.wanted.format) == (each.source, each.format):
                old.wanted = each
                self._lists[each.name] = old
            else:
                kept = await asyncio.to_thread(self._shelf.load, each.name, each.source)
                self._lists[each.name] = _List(each, kept)
        if self._running:
            for feed in [*(each.feed() for each in self._lists.values()), *(Feed(name, ()) for name in earlier)]:
                self._changed(feed)
        with suppress(AdapterError):
            await asyncio.to_thread(self._shelf.tidy, list(self._lists))
        self._woken.set()

    def present(self) -> list[Feed]:
        """List what every list says by now; those that have never been good are not among them."""
        return [each.feed() for each in self._lists.values() if each.kept]

    def accept(self, name: str) -> bool:
        """Fetch a list now, and take it even when it has shrunk; False when there is none of that name."""
        found = self._lists.get(name)
        if found is None:
            return False
        found.accept, found.due = True, 0.0
        self._woken.set()
        return True

    def about(self) -> list[dict[str, Any]]:
        """Tell of each list: never where it comes from, as there may be a key in that."""
        return [
            {
                "name": each.wanted.name,
                "mode": str(each.wanted.mode),
                "entries": len(each.kept.networks) if each.kept else 0,
                "fetched": each.kept.fetched if each.kept else 0,
                "unread": each.unread,
                "left_out": each.left_out,
                "failures": each.failures,
                "trouble": each.told,
            }
            for each in self._lists.values()
        ]

    async def run(self) -> None:
        """Fetch lists when they are due, one after the other, until cancelled."""
        loop = asyncio.get_running_loop()
        self._running = True
        while True:
            self._woken.clear()
            for each in list(self._lists.values()):
                if each.due <= loop.time():
                    await self._refresh(each)
            nearest = min((each.due for each in self._lists.values()), default=loop.time() + 3600)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(nearest):
                    await self._woken.wait()

    async def _refresh(self, each: _List) -> None:
        loop = asyncio.get_running_loop()
        wanted, accept = each.wanted, each.accept
        tags = each.kept.tags if each.kept and not accept else Tags()
        try:
            fetched = await asyncio.to_thread(fetch, wanted.source, tags)
            if fetched is not None:
                await asyncio.to_thread(self._read, each, wanted, fetched)
        except (AdapterError, ListError) as error:
            each.due = loop.time() + min(SOONEST * 2 ** min(each.failures, 10), wanted.refresh / SECOND)
            self._failed(each, error.what if isinstance(error, AdapterError) else f"it {error}", error)
        else:
            each.due = loop.time() + wanted.refresh / SECOND
            if each.told:
                self._alert("feed-good", wanted.name, f"the list {wanted.name} is good again")
            each.failures, each.told, each.accept = 0, "", False
        if self._lists.get(wanted.name) is each and each.kept:
            self._changed(each.feed())

    def _read(self, each: _List, wanted: Wanted, fetched: Fetched) -> None:
        """Read and keep a new version. Raises ListError, AdapterError; the old one then stands."""
        before = len(each.kept.networks) if each.kept and not each.accept else 0
        parsed = parse(fetched.data, wanted.format)
        checked = limits.check(parsed.networks, before)
        each.kept = Kept(wanted.source, int(time.time()), fetched.tags, checked.networks)
        each.unread, each.left_out = parsed.unread, checked.left_out
        self._shelf.keep(wanted.name, each.kept)

    def _failed(self, each: _List, why: str, error: Exception) -> None:
        """Tell once: at once of a list that is not to be believed or was never good, else when it fails for long."""
        each.failures += 1
        name = each.wanted.name
        if each.told == why:
            return
        if isinstance(error, ListError):
            each.told = why
            self._alert("feed-refused", name, f"the list {name}: {why}; {_meanwhile(each)}")
        elif not each.kept or each.failures >= STALE_AFTER:
            each.told = why
            self._alert("feed-unreached", name, f"the list {name}: {why}; {_meanwhile(each)}")


def _meanwhile(each: _List) -> str:
    if not each.kept:
        return "nobody is on it until it is good"
    return f"its last good version ({len(each.kept.networks):,} entries) is used"
