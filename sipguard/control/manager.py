"""What the two ways of asking a PBX itself to hang up have in common: one connection for each order, bounded in time.

A channel is found by the Call-ID of its leg, which is only ever compared: nothing that a caller chose is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection

from sipguard.control.secret import Secret
from sipguard.control.text import clean
from sipguard.errors import AdapterError

_SECONDS = 2.0
_LINE = 16_384


class Manager(ABC):
    """An account at a PBX's manager interface or event socket. `adapter` and `what`: what it is called in errors."""

    adapter: str
    what: str

    def __init__(self, host: str, port: int, user: str, secret: Secret) -> None:
        self._host = host
        self._port = port
        self._user = user
        self._secret = secret

    async def hang_up(self, call_ids: Collection[str]) -> int:
        """Hang up the channels whose legs have one of these Call-IDs; gives how many. Raises AdapterError."""
        secret = self._secret.read()
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._connected(frozenset(call_ids), secret)
        except TimeoutError:
            raise AdapterError(self.adapter, f"{self._where} did not answer within {_SECONDS:g} s") from None
        except (OSError, asyncio.IncompleteReadError, ValueError, RecursionError) as error:
            raise AdapterError(self.adapter, f"{self._where}: {clean(error) or type(error).__name__}") from error

    async def _connected(self, call_ids: frozenset[str], secret: str) -> int:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LINE)
        try:
            return await self._talk(reader, writer, call_ids, secret)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @abstractmethod
    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call_ids: frozenset[str], secret: str
    ) -> int:
        """Log in and hang up; gives how many channels. Raises ValueError, IncompleteReadError or OSError."""

    @property
    def _where(self) -> str:
        return f"the {self.what} at {self._host}:{self._port}"
