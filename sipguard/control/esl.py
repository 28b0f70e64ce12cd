"""Hangs up calls through FreeSWITCH's event socket: both ends then get the switch's own BYE.

A channel is found by the Call-ID of its leg, which is only ever compared: nothing that a caller chose is sent. One
connection for each order, closed afterwards. Everything read is bounded in size and time; what goes wrong is an
AdapterError. Framing as in mod_event_socket: header lines, an empty line, and as many bytes as Content-Length says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Collection
from typing import TypeAlias

from sipguard.control.secret import Secret
from sipguard.control.text import clean
from sipguard.errors import AdapterError

Reply: TypeAlias = tuple[str, str, str]
"""Content-Type, Reply-Text and body."""

ADAPTER = "esl"
_SECONDS = 2.0
_LINE = 16_384
_HEADER_LINES = 500
_BODY = 16 * 1024 * 1024  # a thousand channels are half a megabyte
_CHANNELS = 5_000
_MESSAGES = 20_000
_UUID = re.compile(r"[0-9A-Za-z][0-9A-Za-z.@_+-]{0,127}")


class Esl:
    """An event socket. `user` is empty, or one of the directory's (`userauth`), who may call `show` and `uuid_kill`."""

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
                return await self._hang_up(frozenset(call_ids), secret)
        except TimeoutError:
            raise AdapterError(ADAPTER, f"{self._where} did not answer within {_SECONDS:g} s") from None
        except (OSError, asyncio.IncompleteReadError, ValueError, RecursionError) as error:
            raise AdapterError(ADAPTER, f"{self._where}: {clean(error) or type(error).__name__}") from error

    @property
    def _where(self) -> str:
        return f"the event socket at {self._host}:{self._port}"

    async def _hang_up(self, call_ids: frozenset[str], secret: str) -> int:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LINE)
        try:
            talk = _Talk(reader, writer)
            await talk.log_in(self._user, secret)
            done = 0
            for channel in _channels(await talk.api("show channels as json")):
                if await talk.api(f"uuid_getvar {channel} sip_call_id") in call_ids:
                    done += (await talk.api(f"uuid_kill {channel}")).startswith("+OK")
            return done
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Talk:
    """A conversation over an event socket: one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._left = _MESSAGES

    async def log_in(self, user: str, secret: str) -> None:
        """Be asked who we are, and say it. Raises ValueError."""
        kind, _, _ = await self._message()
        if kind != "auth/request":
            raise ValueError("is no event socket, or lets nobody in from here")
        if not _said(user):
            raise ValueError("the user's name cannot be sent")
        await self._say(f"userauth {user}:{secret}" if user else f"auth {secret}")
        _, text, _ = await self._reply("command/reply")
        if not text.startswith("+OK"):
            raise ValueError(f"the secret was refused: {clean(text, 100)}")

    async def api(self, command: str) -> str:
        """Carry out a command; gives what it printed. Raises ValueError."""
        await self._say(f"api {command}")
        _, _, body = await self._reply("api/response")
        return body.strip()

    async def _say(self, line: str) -> None:
        self._writer.write(f"{line}\n\n".encode())
        await self._writer.drain()

    async def _reply(self, wanted: str) -> Reply:
        while True:
            message = await self._message()
            if message[0] == wanted:
                return message
            if message[0] in {"command/reply", "text/disconnect-notice", "text/rude-rejection"}:
                raise ValueError(f"it said {clean(message[1] or message[0], 100)}")

    async def _message(self) -> Reply:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {_MESSAGES} messages")
        found: dict[str, str] = {}
        for _ in range(_HEADER_LINES):
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise ValueError("it closed the connection")
            text = line.decode(errors="replace").strip()
            if not text:
                if not found:
                    continue  # an empty line more than there need be
                return found.get("content-type", ""), found.get("reply-text", ""), await self._body(found)
            name, _, value = text.partition(":")
            found.setdefault(name.lower(), value.strip())
        raise ValueError(f"a message of more than {_HEADER_LINES} lines")

    async def _body(self, headers: dict[str, str]) -> str:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 9 or int(length) > _BODY:
            raise ValueError(f"a message of {clean(length, 20)} bytes")
        return (await self._reader.readexactly(int(length))).decode(errors="replace")


def _said(text: str) -> bool:
    return text.isprintable() and ":" not in text and " " not in text


def _channels(listed: str) -> list[str]:
    """Give the ids of the channels in what `show channels as json` printed. Raises ValueError where that is no list."""
    rows = json.loads(listed or "{}")
    listing = rows.get("rows", []) if isinstance(rows, dict) else None
    if listing is None or not isinstance(listing, list):
        raise ValueError(f"its list of channels is none: {clean(listed, 50)}")
    found = [row.get("uuid") for row in listing[:_CHANNELS] if isinstance(row, dict)]
    return [each for each in found if isinstance(each, str) and _UUID.fullmatch(each)]
