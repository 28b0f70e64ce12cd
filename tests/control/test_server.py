"""The control socket: who may, who must wait, who is cut off; nobody ends or fills the keeper."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sipguard.control import client, server
from sipguard.control.server import RefusedError, Server
from sipguard.errors import AdapterError

GROUP = grp.getgrgid(os.getgid()).gr_name


async def handle(verb: str, args: Mapping[str, Any], by: str) -> Any:
    if verb == "events":
        return [{"n": number} for number in range(int(args.get("last", 0)))]
    if verb == "refuse":
        raise RefusedError("will not", "refused")
    if verb == "large":
        return "x" * 5_000_000
    return {"verb": verb, "args": dict(args), "by": by}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Server, Path]]:
    path = tmp_path / "control.sock"
    made = Server(path, GROUP, handle, clients=4)
    assert await made.start() == ""
    yield made, path
    await made.close()


async def ask(path: Path, verb: str, **args: Any) -> Any:
    return await asyncio.to_thread(client.request, path, verb, args)


async def until(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not check():
        assert time.monotonic() < end, "never came true"
        await asyncio.sleep(0.01)


async def test_a_request_is_answered_with_who_asked(running: tuple[Server, Path]) -> None:
    name = subprocess.run(["id", "-un"], capture_output=True, check=True, text=True).stdout.strip()  # noqa: ASYNC221 - short
    assert await ask(running[1], "x", a=1) == {"verb": "x", "args": {"a": 1}, "by": name}
    assert len(await ask(running[1], "large")) == 5_000_000


async def test_a_refusal_is_an_error_with_its_kind(running: tuple[Server, Path]) -> None:
    with pytest.raises(client.DeniedError, match="will not") as caught:
        await ask(running[1], "refuse")
    assert caught.value.kind == "refused"


async def test_the_socket_is_for_owner_and_group_only(running: tuple[Server, Path]) -> None:
    found = running[1].stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_gid == os.getgid()


async def test_a_group_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    made = Server(tmp_path / "s", "no-such-group", handle)
    assert "no group" in await made.start()
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
    await made.close()
    assert not (tmp_path / "s").exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_member_of_the_group_may_and_others_may_not() -> None:
    with tempfile.TemporaryDirectory(prefix="sipguard-") as folder:
        open_to_all(folder)
        daemon = grp.getgrnam("daemon")
        path = Path(folder) / "s"
        made = Server(path, "daemon", handle)
        assert await made.start() == ""
        assert (may_write(path, daemon.gr_gid), may_write(path, 65534)) == (True, False)
        await made.close()


def open_to_all(folder: str) -> None:
    Path(folder).chmod(0o755)


def may_write(path: Path, group: int) -> bool:
    """Ask as nobody, in one group: connect(2) on a socket needs the right to write (unix(7))."""
    done = subprocess.run(["/usr/bin/test", "-w", path], check=False, user=65534, group=group, extra_groups=[])
    return done.returncode == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"[]\n",
        b'{"verb":1}\n',
        b'{"verb":"x","args":[]}\n',
        b"\xff\xfe\n",
        b"[" * 60_000 + b"\n",
        b"x" * 200_000 + b"\n",
        b'{"verb":"x"}',
    ],
)
async def test_what_is_no_request_is_refused(running: tuple[Server, Path], data: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(running[1]))
    writer.write(data)
    writer.write_eof()
    try:
        reply = json.loads(await reader.readline())
        assert (reply["ok"], reply["kind"]) == (False, "usage")
    except ConnectionResetError:
        assert len(data) > server.REQUEST
    writer.close()
    assert (await ask(running[1], "still"))["verb"] == "still"


@pytest.fixture
async def held(running: tuple[Server, Path]) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """As many clients as there may be."""
    made, path = running
    writers = [(await asyncio.open_unix_connection(str(path)))[1] for _ in range(4)]
    await until(lambda: made.clients == 4)
    yield writers
    for writer in writers:
        writer.close()


async def test_no_more_clients_than_stated_and_the_place_comes_free(
    running: tuple[Server, Path], held: list[asyncio.StreamWriter]
) -> None:
    made, path = running
    with pytest.raises(client.DeniedError, match="try again"):
        await ask(path, "x")
    assert made.turned_away == 1
    held[0].close()
    await until(lambda: made.clients == 3)
    assert await ask(path, "x")


async def test_who_is_turned_away_while_still_speaking_learns_why(
    running: tuple[Server, Path], held: list[asyncio.StreamWriter]
) -> None:
    with pytest.raises(client.DeniedError, match="try again") as caught:
        await ask(running[1], "x", more_than_a_socket_holds="x" * 5_000_000)
    assert caught.value.kind == "busy"


async def test_a_silent_client_loses_its_place(running: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.1)
    reader, writer = await asyncio.open_unix_connection(str(running[1]))
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    await until(lambda: running[0].clients == 0)
    writer.close()


async def test_followers_get_what_was_and_what_comes(running: tuple[Server, Path]) -> None:
    made, path = running
    events = client.events(path, {"follow": True, "last": 2}, timeout=10)
    got = [await asyncio.to_thread(next, events) for _ in range(2)]
    await until(lambda: len(made._followers) == 1)
    made.publish('{"n":"new"}')
    got.append(await asyncio.to_thread(next, events))
    assert got == [{"n": 0}, {"n": 1}, {"n": "new"}]
    await asyncio.to_thread(events.close)  # type: ignore[attr-defined]
    await until(lambda: made.clients == 0)
    assert [event["n"] for event in await asyncio.to_thread(lambda: list(client.events(path, {"last": 3})))] == [
        0,
        1,
        2,
    ]


async def test_a_reader_that_falls_behind_is_cut_off(running: tuple[Server, Path]) -> None:
    made, path = running
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    sock.sendall(b'{"verb":"events","args":{"follow":true}}\n')
    await until(lambda: len(made._followers) == 1)
    (writer,) = made._followers
    line = json.dumps({"text": "x" * 1000})
    for _ in range(2000):
        made.publish(line)
        assert writer.transport.get_write_buffer_size() <= server.BEHIND
    assert (made.slow, len(made._followers)) == (1, 0)
    await until(lambda: made.clients == 0)
    sock.close()


async def test_a_dead_socket_is_replaced_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    first = Server(path, GROUP, handle)
    await first.start()
    with pytest.raises(AdapterError, match="another guard"):
        await Server(path, GROUP, handle).start()
    assert await ask(path, "x")
    await first.close()


async def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(AdapterError, match="no socket"):
        await Server(path, GROUP, handle).start()
    assert path.read_text() == "precious"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AdapterError, match="no socket"):
        await Server(path, GROUP, handle).start()


async def test_closing_leaves_a_successors_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = Server(path, GROUP, handle)
    await first.start()
    path.unlink()
    second = Server(path, GROUP, handle)
    await second.start()
    await first.close()
    assert await ask(path, "x")
    await second.close()


def test_nobody_there_and_silence_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RESTART", 0.2)
    with pytest.raises(client.NotRunningError):
        client.request(tmp_path / "s", "x", {})
    fake = socket.socket(socket.AF_UNIX)
    fake.bind(str(tmp_path / "s"))
    with pytest.raises(client.NotRunningError):
        client.request(tmp_path / "s", "x", {})
    fake.listen()
    with pytest.raises(client.NotRunningError, match="does not answer"):
        client.request(tmp_path / "s", "x", {}, timeout=0.1)
    fake.close()
