"""What the keeper is made of under one policy: the store, the control socket, names, lists, prices, managers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from sipguard.control.ami import Ami
from sipguard.control.decks import pieces
from sipguard.control.desk import Desk
from sipguard.control.esl import Esl
from sipguard.control.pair import Message
from sipguard.control.requests import Requests
from sipguard.control.secret import Secret
from sipguard.control.server import Server
from sipguard.errors import AdapterError
from sipguard.feeds import shelf as feeds
from sipguard.feeds.deck import DeckWatch, Loaded
from sipguard.feeds.watch import Watch as FeedWatch
from sipguard.model import SECOND, Feed, Names
from sipguard.names.household import Household
from sipguard.names.lookup import Lookup
from sipguard.names.watch import Watch
from sipguard.policy.schema import Policy
from sipguard.policy.wants import host_names
from sipguard.store.clock import Clock, kept
from sipguard.store.shelf import Shelf
from sipguard.store.writer import Writer

Json: TypeAlias = dict[str, Any]

EVERY = 60.0
"""Seconds between two looks at the rate deck."""
SHOWN = 5
_CLOCK = "clock"


class Home(Protocol):
    """Whom the parts tell what has happened."""

    requests: Requests

    def alert(self, kind: str, subject: str, text: str) -> None:
        """Tell the operator."""

    def send(self, message: Message) -> None:
        """Send a message to the packet process."""

    def written(self, number: int) -> None:
        """Learn what is on disk."""

    def names_changed(self, noun: Names) -> None:
        """Learn the addresses of a name."""

    def pass_on(self, noun: Names) -> None:
        """Pass addresses on that need not be kept."""

    def feed_changed(self, noun: Feed) -> None:
        """Learn a list."""

    def about(self) -> Json:
        """Tell of oneself."""

    def reload(self) -> Awaitable[Json]:
        """Read the policy again."""

    def configure_log(self, policy: Policy) -> None:
        """Log as the policy says."""


class Parts:
    """What a policy makes: the store, the control socket, the names."""

    def __init__(self, keeper: Home, policy: Policy) -> None:
        shell = policy.shell
        path = Path(shell.store.path)
        self.policy = policy
        self._keeper = keeper
        self.writer = Writer(path, keeper.written, lambda kind, text: keeper.alert(kind, str(path), text))
        self.shelf = Shelf(self.writer)
        self._clock: Clock | None = None
        self.watch = Watch(Lookup().look, keeper.names_changed, keeper.alert, shell.names.refresh / SECOND)
        self.household = Household(keeper.pass_on, Lookup().look)
        self.feeds = FeedWatch(feeds.Shelf(path.with_name("feeds")), keeper.feed_changed, keeper.alert)
        self.decks = Decks(keeper.send, keeper.alert, self.writer.now)
        self.desk = Desk(keeper.requests.ask, self.shelf, keeper.about, keeper.reload)
        self.desk.policy_mode, self.desk.accept = str(policy.mode), self.feeds.accept
        self.server = Server(Path(shell.control.socket), shell.control.group, self.desk.handle)

    async def adopt(self, policy: Policy) -> str | None:
        """Take over what can change while running (names, log, mode); give the operator's mode where it still holds."""
        old, self.policy = self.policy, policy
        if (old.shell.store, old.shell.control) != (policy.shell.store, policy.shell.control):
            self._keeper.alert("policy-restart", "policy", "[store] and [control] change when the guard is restarted")
        self.desk.policy_mode = str(policy.mode)
        self.watch.refresh = policy.shell.names.refresh / SECOND
        self.watch.want(host_names(policy))
        await self.feeds.want(policy.feeds)
        await self.price(policy)
        self._keeper.configure_log(policy)
        with suppress(AdapterError):
            return await self.shelf.kept_mode(str(policy.mode))
        return None

    def about(self) -> Json:
        """Tell of the parts, for `status`."""
        writer, server = self.writer, self.server
        return {
            "policy_mode": str(self.policy.mode),
            "off": self.shelf.marker.exists(),
            "store_path": str(writer.path),
            "store_error": writer.broken,
            "store_waiting": writer.waiting,
            "store_lost": writer.lost_deltas + writer.lost_lines,
            "clients": server.clients,
            "slow_readers": server.slow,
            "unresolved": self.watch.unresolved()[:20],
            "feeds": self.feeds.about(),
            "rates": self.decks.about(),
        }

    async def look_at_clock(self) -> None:
        """See whether the wall clock can be believed, before anything on disk is taken to be over.

        Raises AdapterError: then nothing on disk may be.
        """
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if self._clock is None:
            seen = await self.writer.ask(lambda store: store.meta(_CLOCK))
            self._clock = Clock(*kept(seen), boot)
        clock = self._clock
        if told := clock.look(time.time_ns(), boot):
            self._keeper.alert("clock-doubted" if clock.doubted else "clock-believed", "clock", told)
        self.writer.offset = clock.offset

    async def keep_clock(self) -> None:
        """Keep what is believed of the clock. Raises AdapterError."""
        if (clock := self._clock) is not None:
            await self.writer.ask(lambda store: store.set_meta(_CLOCK, clock.text()))

    async def tidy(self) -> None:
        """Forget what is over on disk. Raises AdapterError."""
        await self.look_at_clock()
        await self.keep_clock()
        await self.writer.ask(lambda store: store.expire(self.writer.now()))

    async def price(self, policy: Policy) -> None:
        """Take up what a policy says of the rate deck."""
        await self.decks.want(policy.rates.file, policy.rates.priced_in)

    async def hang_up(self, call_ids: Collection[str]) -> list[str]:
        """Ask the PBX itself to end the calls of these legs; gives what went wrong, in words."""
        shell, place = self.policy.shell, os.environ.get("CREDENTIALS_DIRECTORY", "")
        asked: list[Ami | Esl] = []
        if shell.ami.used:
            asked.append(Ami(shell.ami.host, shell.ami.port, shell.ami.user, Secret(shell.ami.secret, place)))
        if shell.esl.used:
            asked.append(Esl(shell.esl.host, shell.esl.port, shell.esl.login, Secret(shell.esl.secret, place)))
        faults = []
        for each in asked:
            try:
                if await each.hang_up(call_ids):
                    return []
                faults.append("the PBX knows no such call")
            except AdapterError as error:
                faults.append(error.what)
        return faults

    async def close(self) -> None:
        """Write everything out; the disk first, nobody is told until it is there."""
        await self.writer.close()
        await self.server.close()


class Decks:
    """The rate deck that the policy wants; `send` passes messages on, `alert` tells the operator.

    Read in a thread: at the start, when the policy is read again, and within a minute when the file has changed or a
    new day has come, with which prices come into force. One with errors is told of, and the one before it stays.
    """

    def __init__(
        self, send: Callable[[Message], None], alert: Callable[[str, str, str], None], now: Callable[[], int]
    ) -> None:
        self._send = send
        self._now = now
        self._alert = alert
        self._watch = DeckWatch()
        self._path = self._currency = ""
        self._packed = b""
        self._prefixes = 0
        self._in_use = ""

    async def want(self, path: str, currency: str) -> None:
        """Take up what a policy says: a file ("" for none), and the currency for one that names none."""
        self._path, self._currency = path, currency
        await self.look()

    async def look(self) -> None:
        """Read the file if it is another than before, and pass it on; what is wrong with it is told."""
        day = datetime.fromtimestamp(self._now() // SECOND).astimezone().date()
        found = await asyncio.to_thread(self._watch.look, self._path, self._currency, day)
        if found is None:
            return
        if isinstance(found, Loaded):
            self._packed, self._prefixes, self._in_use = found.packed, found.prefixes, found.currency
            self.present()
            return
        first = "; ".join(str(each) for each in found.problems[:SHOWN])
        more = f" and {found.total - SHOWN} more" if found.total > SHOWN else ""
        kept = "the prices before it stay" if self._packed else "calls have no price until it is good"
        self._alert("rates-refused", self._path, f"{first}{more}; {kept}")

    def present(self) -> None:
        """Pass on what is in use, as for a packet process that was started anew."""
        for message in pieces(self._packed):
            self._send(message)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(EVERY)
            await self.look()

    def about(self) -> dict[str, str | int]:
        """Tell of the deck, for `status`."""
        return {"file": self._path, "prefixes": self._prefixes, "currency": self._in_use}
