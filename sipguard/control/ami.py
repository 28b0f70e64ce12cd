"""Hangs up calls through Asterisk's manager interface: both ends then get the PBX's own BYE.

A channel is found by the Call-ID of its leg, which is only ever compared: nothing that a caller chose is sent. One
connection for each order, closed afterwards. The secret is proven (MD5 challenge), not sent. Everything read is bounded
in size and time; what goes wrong is an AdapterError.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from typing import TypeAlias

from sipguard.control.manager import Manager
from sipguard.control.text import clean

Block: TypeAlias = Mapping[str, tuple[str, ...]]
"""One message of the manager's: its values by name (in lower case), in their order."""

_BLOCK_LINES = 500
_BLOCKS = 20_000  # with Status there is one for each channel
_CALL_ID = "CHANNEL(pjsip,call-id)"
_OLD_CALL_ID = "SIPCALLID"  # chan_sip's


class Ami(Manager):
    """A manager's account. `write=call` and `read=call` are all that it needs (manager.conf)."""

    adapter = "ami"
    what = "manager"

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call_ids: frozenset[str], secret: str
    ) -> int:
        talk = _Talk(reader, writer)
        if not (await reader.readline()).startswith(b"Asterisk Call Manager"):
            raise ValueError("is no manager interface")
        challenge = await talk.ask("Challenge", AuthType="MD5")
        proof = _first(challenge, "challenge") + secret
        key = hashlib.md5(proof.encode(), usedforsecurity=False).hexdigest()
        await talk.ask("Login", AuthType="MD5", Username=self._user, Key=key, Events="off")
        channels = await talk.channels(call_ids)
        for channel in channels:
            with contextlib.suppress(_RefusedError):  # it went by itself meanwhile
                await talk.ask("Hangup", Channel=channel, Cause="16")
        return len(channels)


class _RefusedError(ValueError):
    """The manager said no."""


class _Talk:
    """A conversation with a manager: one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._serial = 0
        self._left = _BLOCKS

    async def ask(self, action: str, **fields: str) -> Block:
        """Carry out an action; gives its answer. Raises ValueError when it is refused, or says too much."""
        self._serial += 1
        number = str(self._serial)
        lines = {"Action": action, "ActionID": number, **fields}
        if any(not value.isprintable() for value in lines.values()):
            raise ValueError(f"{action} would have lines of its own")
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._writer.write(f"{text}\r\n".encode())
        await self._writer.drain()
        while True:
            block = await self._block()
            if _first(block, "response") and _first(block, "actionid") == number:
                if _first(block, "response") not in {"Success", "Goodbye"}:
                    raise _RefusedError(f"{action} was refused: {clean(_first(block, 'message'), 100)}")
                return block

    async def channels(self, call_ids: frozenset[str]) -> list[str]:
        """Give the names of the channels with these Call-IDs."""
        await self.ask("Status", Variables=f"{_CALL_ID},{_OLD_CALL_ID}")
        number, found = str(self._serial), list[str]()
        while True:
            block = await self._block()
            if _first(block, "actionid") != number:
                continue
            event = _first(block, "event")
            if event == "StatusComplete":
                return found
            name = _first(block, "channel")
            if event == "Status" and name.isprintable() and call_ids.intersection(_call_ids(block)):
                found.append(name)

    async def _block(self) -> Block:
        """Read one message: lines until an empty one."""
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {_BLOCKS} messages")
        found: dict[str, tuple[str, ...]] = {}
        for _ in range(_BLOCK_LINES):
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise ValueError("it closed the connection")
            text = line.decode(errors="replace").rstrip("\r\n")
            if not text:
                return found
            name, _, value = text.partition(":")
            found[name.lower()] = (*found.get(name.lower(), ()), value.strip())
        raise ValueError(f"a message of more than {_BLOCK_LINES} lines")


def _first(block: Block, name: str) -> str:
    """Give the first value of a name: what a caller chose stands behind what Asterisk says of the channel."""
    values = block.get(name, ())
    return values[0] if values else ""


def _call_ids(block: Block) -> list[str]:
    names = (f"{_CALL_ID}=", f"{_OLD_CALL_ID}=")
    return [value.partition("=")[2] for value in block.get("variable", ()) if value.startswith(names)]
