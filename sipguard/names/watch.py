"""All names of a policy, kept up to date: looked up in time, the last good answer kept, every change told once.

Promises: a name that cannot be looked up keeps the addresses it had, for as long as it takes; a failed part of an
answer never takes addresses away; look-ups are never closer together than `SOONEST` nor further apart than the
operator's interval. The operator is told when a name never resolved, stopped resolving, changed, or resolves again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeAlias

from sipguard.address import Network
from sipguard.errors import AdapterError
from sipguard.model import Names, Role
from sipguard.names.lookup import MOST, Answer

Key: TypeAlias = tuple[Role, str]

SOONEST = 10.0
"""The least seconds between two look-ups of a name, whatever its time to live."""

AT_ONCE = 16
"""Look-ups under way at one time."""

STALE_AFTER = 3
"""Failures in a row before the operator hears of a name whose last good answer is still used."""


class _Name:
    """One name: what it was last, when it is due, how often it failed in a row."""

    __slots__ = ("due", "failures", "networks", "told")

    def __init__(self) -> None:
        self.networks: tuple[Network, ...] | None = None
        self.due = 0.0
        self.failures = 0
        self.told = False


class Watch:
    """`want` says which names, `run` looks them up, `changed` is called with each new answer, `alert` with a line."""

    def __init__(
        self,
        look: Callable[[str], Awaitable[Answer]],
        changed: Callable[[Names], None],
        alert: Callable[[str, str, str], None],
        refresh: float,
    ) -> None:
        self.refresh = refresh
        self._look = look
        self._changed = changed
        self._alert = alert
        self._names: dict[Key, _Name] = {}
        self._last_good: dict[Key, tuple[Network, ...]] = {}
        self._woken = asyncio.Event()

    def remember(self, names: Iterable[Names]) -> None:
        """Take over answers kept from an earlier run; to be called before `want`."""
        self._last_good.update({(noun.role, noun.name): noun.networks for noun in names})

    def want(self, keys: Iterable[Key]) -> None:
        """Replace the list of names. New ones are looked up at once, dropped ones become empty."""
        wanted = dict.fromkeys(keys)
        for key in [key for key in self._names if key not in wanted]:
            del self._names[key]
            self._changed(Names(key[0], key[1], ()))
        for key in wanted:
            if key not in self._names:
                self._names[key] = _Name()
                kept = self._last_good.get(key)
                if kept is not None:
                    self._names[key].networks = kept
                    self._changed(Names(key[0], key[1], kept))
        self._woken.set()

    def present(self) -> list[Names]:
        """Give the addresses of all names that have any, for a packet process that asks again."""
        return [Names(role, name, found.networks) for (role, name), found in self._names.items() if found.networks]

    def unresolved(self) -> list[str]:
        """Give the names that have never resolved."""
        return [name for (_, name), found in self._names.items() if found.networks is None]

    async def run(self) -> None:
        """Look names up when they are due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            now = loop.time()
            due = [key for key, found in self._names.items() if found.due <= now]
            for start in range(0, len(due), AT_ONCE):
                await asyncio.gather(*(self._refresh(key) for key in due[start : start + AT_ONCE]))
            nearest = min((found.due for found in self._names.values()), default=loop.time() + 3600)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(nearest):
                    await self._woken.wait()

    async def _refresh(self, key: Key) -> None:
        found = self._names.get(key)
        if found is None:
            return
        try:
            answer = await self._look(key[1])
        except AdapterError as error:
            self._failed(key, found, error.what)
            return
        if self._names.get(key) is not found:  # no longer wanted
            return
        self._answered(key, found, answer)

    def _answered(self, key: Key, found: _Name, answer: Answer) -> None:
        networks = answer.networks
        if not answer.complete and found.networks:
            networks = tuple(sorted({*networks, *found.networks}, key=lambda net: (len(net.address), net)))[:MOST]
        if found.told:
            self._alert("name-resolved", key[1], f"{key[1]} resolves again")
        found.failures, found.told = 0, False
        self._due(found, answer.ttl)
        before, found.networks = found.networks, networks
        if networks == before:
            return
        if before is not None:
            was, now = (", ".join(map(str, nets)) for nets in (before, networks))
            self._alert("name-changed", key[1], f"{key[1]} was {was or 'nothing'}, is now {now}")
        self._changed(Names(key[0], key[1], networks))

    def _failed(self, key: Key, found: _Name, why: str) -> None:
        found.failures += 1
        self._due(found, SOONEST * 2 ** min(found.failures - 1, 16))
        if found.told:
            return
        if not found.networks:
            found.told = True
            self._alert("name-unresolved", key[1], f"{why}; nobody is allowed by this name until it resolves")
        elif found.failures >= STALE_AFTER:
            found.told = True
            self._alert("name-stale", key[1], f"{why}; its last good addresses are used")

    def _due(self, found: _Name, after: float) -> None:
        """Set the next look-up: after the time to live, within both bounds."""
        soonest = min(SOONEST, self.refresh)
        found.due = asyncio.get_running_loop().time() + max(soonest, min(self.refresh, after))
