"""Questions under way to the other process: each has a number, one answer at most, and an end.

Promises: `ask` ends within `patience` seconds, whatever the other side does; an answer nobody waits for is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from sipguard.control.pair import Message
from sipguard.control.server import RefusedError


class Requests:
    """Numbers requests, sends them by `send`, gives each its reply."""

    def __init__(self, send: Callable[[Message], None], patience: float = 5.0) -> None:
        self._send = send
        self._patience = patience
        self._last = 0
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    async def ask(self, verb: str, args: Mapping[str, Any]) -> Any:
        """Put a request to the packet process; give the reply's body. Raises RefusedError."""
        self._last += 1
        number = self._last
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._send({"t": "request", "id": number, "verb": verb, "args": dict(args)})
        try:
            async with asyncio.timeout(self._patience):
                reply = await future
        except TimeoutError:
            what = f"the packet process has not answered within {self._patience:.0f} s"
            raise RefusedError(what, "broken") from None
        finally:
            self._waiting.pop(number, None)
        if reply.get("ok") is not True:
            raise RefusedError(str(reply.get("error") or "refused without a reason"))
        return reply.get("body")

    def settle(self, reply: Message) -> None:
        """Hand a reply to whoever waits for it. Raises KeyError or ValueError for one without a number."""
        waiting = self._waiting.get(int(reply["id"]))
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)
