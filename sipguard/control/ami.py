"""Hangs up calls through Asterisk's manager interface: both ends then get the PBX's own BYE.

A channel is found by the Call-ID of its leg, which is only ever compared: nothing that a caller chose is sent. One
connection for each order, closed afterwards. The secret is proven (MD5 challenge), not sent. Everything read is bounded
in size and time; what goes wrong is an AdapterError.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Collection, Mapping
from typing import TypeAlias

from sipguard.control.secret import Secret
from sipguard.control.text import clean
from sipguard.errors import AdapterError

Block: TypeAlias = Mapping[str, tuple[str, ...]]
"""One message of the manager's: its values by name (in lower case), in their order."""

ADAPTER = "ami"
_SECONDS = 2.0
_LINE = 16_384
_BLOCK_LINES = 500
_BLOCKS = 20_000  # with Status there is one for each channel
_CALL_ID = "CHANNEL(pjsip,call-id)"
_OLD_CALL_ID = "SIPCALLID"  # chan_sip's


class Ami:
    """A manager's account. `write=call` and `read=call` are all that it needs (manager.conf)."""

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
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise AdapterError(ADAPTER, f"{self._where}: {clean(error) or type(error).__name__}") from error

    @property
    def _where(self) -> str:
        return f"the manager at {self._host}:{self._port}"

    async def _hang_up(self, call_ids: frozenset[str], secret: str) -> int:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LINE)
        try:
            talk = _Talk(reader, writer)
            if not (await reader.readline()).startswith(b"Asterisk Call Manager"):
                raise AdapterError(ADAPTER, f"{self._where} is no manager interface")
            challenge = await talk.ask("Challenge", AuthType="MD5")
            proof = _first(challenge, "challenge") + secret
            key = hashlib.md5(proof.encode(), usedforsecurity=False).hexdigest()
            await talk.ask("Login", AuthType="MD5", Username=self._user, Key=key, Events="off")
            channels = await talk.channels(call_ids)
            for channel in channels:
                with contextlib.suppress(_RefusedError):  # it went by itself meanwhile
                    await talk.ask("Hangup", Channel=channel, Cause="16")
            return len(channels)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


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
