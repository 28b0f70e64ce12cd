"""Hangs up calls through FreeSWITCH's event socket: both ends then get the switch's own BYE.

A channel is found by the Call-ID of its leg, which is only ever compared: nothing that a caller chose is sent. One
connection for each order, closed afterwards. Everything read is bounded in size and time; what goes wrong is an
AdapterError. Framing as in mod_event_socket: header lines, an empty line, and as many bytes as Content-Length says.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TypeAlias

from sipguard.control.manager import Manager
from sipguard.control.text import clean

Reply: TypeAlias = tuple[str, str, str]
"""Content-Type, Reply-Text and body."""

_HEADER_LINES = 500
_BODY = 16 * 1024 * 1024  # a thousand channels are half a megabyte
_CHANNELS = 5_000
_MESSAGES = 20_000
_UUID = re.compile(r"[0-9A-Za-z][0-9A-Za-z.@_+-]{0,127}")


class Esl(Manager):
    """An event socket. `user` is empty, or one of the directory's (`userauth`), who may call `show` and `uuid_kill`."""

    adapter = "esl"
    what = "event socket"

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call_ids: frozenset[str], secret: str
    ) -> int:
        talk = _Talk(reader, writer)
        await talk.log_in(self._user, secret)
        done = 0
        for channel in _channels(await talk.api("show channels as json")):
            if await talk.api(f"uuid_getvar {channel} sip_call_id") in call_ids:
                done += (await talk.api(f"uuid_kill {channel}")).startswith("+OK")
        return done


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
