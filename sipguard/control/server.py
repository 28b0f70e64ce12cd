"""The control socket: who may open it gives orders, one JSON line for one, and may follow what happens.

Promises: the socket is 0660 from the first moment anybody could open it; a running guard's socket is never taken away
from it; no client can make the keeper wait, grow or end: requests, clients, waiting time and what is queued for a
reader are bounded. Nothing here knows a verb but `events`: they come from `desk.py`.

A request is one line, `{"verb": ..., "args": {...}}`; the reply one line, `{"ok": true, "body": ...}` or
`{"ok": false, "error": ..., "kind": ...}`; `events` sends `{"event": {...}}` lines before it. One request for each
connection.
"""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from sipguard.errors import AdapterError

Json: TypeAlias = dict[str, Any]

ADAPTER = "control"
CLIENTS = 16
"""The most connections at one time."""
REQUEST = 64 * 1024
"""The most bytes in a request."""
PATIENCE = 5.0
"""Seconds that a client has for sending its request, and for taking in its reply."""
BEHIND = 256 * 1024
"""The most bytes that wait for one reader of events; who falls further behind is cut off."""


class RefusedError(Exception):
    """An order is not carried out. `kind` is a stable word for programs: usage, refused, busy, broken."""

    def __init__(self, what: str, kind: str = "refused") -> None:
        self.kind = kind
        super().__init__(what)


Handler: TypeAlias = Callable[[str, Mapping[str, Any], str], Awaitable[Any]]
"""Called with verb, arguments and who asks; gives the body, or raises RefusedError."""


class Server:
    """Listens at `path`. `slow` counts readers that were cut off, `turned_away` clients beyond the limit."""

    def __init__(self, path: Path, group: str, handle: Handler, clients: int = CLIENTS) -> None:
        self.slow = 0
        self.turned_away = 0
        self._path = path
        self._group = group
        self._handle = handle
        self._most = clients
        self._clients: set[asyncio.StreamWriter] = set()
        self._followers: dict[asyncio.StreamWriter, asyncio.Event] = {}
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> str:
        """Begin to listen; give a warning for the operator, or "". Raises AdapterError."""
        try:
            sock, warning = self._bind()
            self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=REQUEST)
        except OSError as error:
            raise AdapterError(ADAPTER, f"cannot listen at {self._path}: {error.strerror or error}") from error
        return warning

    def _bind(self) -> tuple[socket.socket, str]:
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(self._path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            sock.bind(str(self._path))
            sock.listen(self._most)
        finally:
            os.umask(before)
        warning = self._give_to_group()
        self._path.chmod(0o660)
        self._inode = self._path.stat().st_ino
        return sock, warning

    def _give_to_group(self) -> str:
        """Give the socket to the group; where that cannot be, it stays with our own."""
        try:
            os.chown(self._path, -1, grp.getgrnam(self._group).gr_gid)
        except KeyError:
            return f"there is no group {self._group!r}: only root and the guard's own group may give orders"
        except PermissionError:
            return f"the guard is not in group {self._group!r}: only root and the guard's own group may give orders"
        return ""

    async def close(self) -> None:
        """Stop listening, cut everybody off, take our socket file away (not another's)."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._clients):
            writer.transport.abort()
        await asyncio.sleep(0)
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    @property
    def clients(self) -> int:
        """Give how many are connected."""
        return len(self._clients)

    def publish(self, line: str) -> None:
        """Send a report line (JSON text) to all who follow; whoever is too far behind is cut off."""
        if not self._followers:
            return
        data = f'{{"event":{line}}}\n'.encode()
        for writer, gone in list(self._followers.items()):
            if writer.transport.get_write_buffer_size() + len(data) > BEHIND:
                self.slow += 1
                del self._followers[writer]
                writer.transport.abort()
                gone.set()
            else:
                writer.write(data)

    # --- One client ---------------------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= self._most:
            self.turned_away += 1
            writer.write(_line(_error(RefusedError(f"{self._most} others are connected; try again", "busy"))))
            writer.close()
            return
        self._clients.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError):  # the client went away, or takes nothing in
            writer.transport.abort()
        finally:
            self._clients.discard(writer)
            self._followers.pop(writer, None)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                data = await reader.readline()
        except ValueError:  # longer than the limit
            data = b""
        try:
            verb, args = _parse(data)
            follow = verb == "events" and args.get("follow") is True
            body = await self._handle(verb, args, _who(writer))
        except RefusedError as refusal:
            await _send(writer, _error(refusal))
            return
        if verb == "events":
            writer.write(b"".join(_line({"event": event}) for event in body))
            body = None
        if follow:
            await self._follow(reader, writer)
        else:
            await _send(writer, {"ok": True, "body": body})

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stay until the client leaves or is cut off; what it sends meanwhile is thrown away, a little at a time."""
        gone = asyncio.Event()
        self._followers[writer] = gone
        listening = asyncio.create_task(_until_end(reader))
        cut = asyncio.create_task(gone.wait())
        try:
            await asyncio.wait((listening, cut), return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            cut.cancel()
            await asyncio.gather(listening, cut, return_exceptions=True)


async def _until_end(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):
        pass


async def _send(writer: asyncio.StreamWriter, reply: Json) -> None:
    writer.write(_line(reply))
    async with asyncio.timeout(PATIENCE):
        await writer.drain()


def _line(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _error(refusal: RefusedError) -> Json:
    return {"ok": False, "error": str(refusal), "kind": refusal.kind}


def _parse(data: bytes) -> tuple[str, Mapping[str, Any]]:
    """Read a request. Raises RefusedError."""
    if not data.endswith(b"\n"):
        raise RefusedError(f"a request is one line of at most {REQUEST} bytes", "usage")
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        raise RefusedError("a request is one JSON object", "usage") from None
    if not isinstance(request, dict) or not isinstance(request.get("verb"), str):
        raise RefusedError('a request has a "verb"', "usage")
    args = request.get("args", {})
    if not isinstance(args, dict):
        raise RefusedError('"args" is a JSON object', "usage")
    return request["verb"], args


def _who(writer: asyncio.StreamWriter) -> str:
    """Name the client's user, by what the kernel says of it (unix(7), SO_PEERCRED)."""
    sock = writer.get_extra_info("socket")
    try:
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError:
        return "?"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _clear(path: Path) -> None:
    """Take a dead guard's socket file away. Raises AdapterError when something lives there, or it is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AdapterError(ADAPTER, f"{path} is in the way and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except (TimeoutError, BlockingIOError):
            pass
    raise AdapterError(ADAPTER, f"another guard answers at {path}")
