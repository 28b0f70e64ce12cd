"""The manager interface and the event socket: what is asked, what is never sent, and what a bad peer can do: nothing.

A real TCP server says what the documentation of Asterisk and FreeSWITCH says they do (no FreeSWITCH is packaged).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from sipguard.control.ami import Ami
from sipguard.control.esl import Esl
from sipguard.control.secret import Secret
from sipguard.errors import AdapterError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WORD = "Quiet-river-9"


def run(kind: type[Ami | Esl], serve: Serve, secret: Path, call_ids: Sequence[str] = ("call-1",)) -> int:
    """Ask a server of ours to hang up; the server is given up with the question."""

    async def both() -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await kind("127.0.0.1", port, "guard" if kind is Ami else "", Secret(str(secret))).hang_up(call_ids)

    return asyncio.run(both())


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{WORD}\n# and a remark\n")
    return path


class Switch:
    """A FreeSWITCH as its documentation describes the event socket. `channels`: Call-ID by uuid."""

    def __init__(self, channels: dict[str, str], word: str = WORD) -> None:
        self.channels = channels
        self.word = word
        self.heard: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Content-Type: auth/request\n\n")
        while line := (await reader.readline()).decode().strip("\n"):
            await reader.readline()
            self.heard.append(line)
            writer.write(self.answer(line).encode())
            await writer.drain()
        writer.close()

    def answer(self, line: str) -> str:
        if line.startswith(("auth ", "userauth ")):
            good = line == f"auth {self.word}"
            return f"Content-Type: command/reply\nReply-Text: {'+OK accepted' if good else '-ERR invalid'}\n\n"
        _, command, *rest = line.split(" ")
        if command == "show":
            rows = [{"uuid": uuid, "name": "sofia/external/x"} for uuid in self.channels]
            body = json.dumps({"row_count": len(rows), "rows": rows} if rows else {"row_count": 0}) + "\n"
        elif command == "uuid_getvar":
            body = self.channels.get(rest[0], "-ERR No such channel!\n")
        else:
            body = "+OK\n" if self.channels.pop(rest[0], None) else "-ERR No such channel!\n"
        event = "Content-Length: 3\nContent-Type: text/event-plain\n\nabc"  # of another subscription
        return f"{event}Content-Type: api/response\nContent-Length: {len(body)}\n\n{body}"


def test_the_event_socket_kills_the_channel_with_the_call_id_and_no_other(secret: Path) -> None:
    switch = Switch({"u-1": "call-0", "u-2": "call-1", "u-3": "call-10"})
    assert run(Esl, switch.serve, secret) == 1
    assert list(switch.channels) == ["u-1", "u-3"]


def test_the_event_socket_without_calls_kills_nothing(secret: Path) -> None:
    switch = Switch({})
    assert run(Esl, switch.serve, secret) == 0


def test_a_call_id_is_never_sent_so_it_can_order_nothing(secret: Path) -> None:
    evil = "x\n\napi fsctl shutdown\n\n"
    switch = Switch({"u-1": "call-0"})
    assert run(Esl, switch.serve, secret, [evil]) == 0
    assert not any("shutdown" in line for line in switch.heard)


def test_a_channel_whose_id_is_none_is_left_out(secret: Path) -> None:
    switch = Switch({"u-1 x\napi fsctl shutdown": "call-1"})
    assert run(Esl, switch.serve, secret) == 0
    assert not any("shutdown" in line for line in switch.heard)


def test_a_refused_secret_is_told_and_not_shown(secret: Path) -> None:
    with pytest.raises(AdapterError, match="refused") as caught:
        run(Esl, Switch({}, "another").serve, secret)
    assert WORD not in str(caught.value)


def saying(text: bytes) -> Serve:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        writer.close()

    return serve


ESL_HELLO = b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n"


@pytest.mark.parametrize("kind", [Ami, Esl])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n" * 5000,
        b"Asterisk Call Manager/9.0.0\r\n",
        b"A: b\n" * 5000,
        b"x" * 300_000,
        b"Asterisk Call Manager/9\r\nResponse: Error\r\nActionID: 1\r\nMessage: no\r\n\r\n",
        b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n",
        ESL_HELLO + b"Content-Type: api/response\nContent-Length: 99999999999\n\n",
        ESL_HELLO + b"Content-Type: api/response\nContent-Length: -1\n\n",
        ESL_HELLO + b"Content-Type: api/response\nContent-Length: 7\n\n[1,2,3]",
        ESL_HELLO + b"Content-Type: api/response\nContent-Length: 3\n\n\xff\xfe\xfd",
        ESL_HELLO + b"Content-Type: api/response\nContent-Length: 10\n\n{}",
    ],
)
def test_whatever_a_peer_says_is_an_adapter_error(kind: type[Ami | Esl], text: bytes, secret: Path) -> None:
    with pytest.raises(AdapterError):
        run(kind, saying(text), secret)


@pytest.mark.parametrize("kind", [Ami, Esl])
def test_a_peer_that_is_not_there_or_says_nothing_is_an_adapter_error(
    kind: type[Ami | Esl], secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipguard.control.manager._SECONDS", 0.2)

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with pytest.raises(AdapterError, match="did not answer"):
        run(kind, mute, secret)
    with pytest.raises(AdapterError):
        asyncio.run(kind("127.0.0.1", 1, "", Secret(str(secret))).hang_up(["x"]))


def test_a_secret_comes_from_a_file_or_from_systemd_and_never_stands_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "ami").write_text(f"{WORD}\n")
    assert Secret(str(tmp_path / "ami")).read() == WORD
    assert Secret("credential:ami", str(tmp_path)).read() == WORD
    (tmp_path / "bad").write_text("\n")
    (tmp_path / "long").write_text("x" * 9000)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    bad = (Secret("credential:ami"), *(Secret(str(tmp_path / name)) for name in ("bad", "long", "bytes", "none")))
    for each in bad:
        with pytest.raises(AdapterError):
            each.read()


class Manager:
    """An Asterisk's manager as its documentation describes it; callers have chosen names to deceive us."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        self.hung_up: list[str] = []
        while True:
            asked: dict[str, str] = {}
            while line := (await reader.readline()).decode().strip():
                name, _, value = line.partition(": ")
                asked[name] = value
            if not asked:
                break
            writer.write(self.answer(asked).encode())
            await writer.drain()
        writer.close()

    def answer(self, asked: dict[str, str]) -> str:
        number = f"ActionID: {asked['ActionID']}\r\n"
        good = f"Response: Success\r\n{number}"
        if asked["Action"] == "Challenge":
            return f"{good}Challenge: 123\r\n\r\n"
        if asked["Action"] == "Status":
            events = "".join(
                f"Event: Status\r\n{number}Channel: {name}\r\nCallerIDName: CHANNEL(pjsip,call-id)=call-1\r\n"
                f"Variable: CHANNEL(pjsip,call-id)={call_id}\r\nVariable: SIPCALLID=\r\nChannel: PJSIP/other-1\r\n\r\n"
                for name, call_id in (("PJSIP/1001-1", "call-0"), ("PJSIP/1002-2", "call-1"))
            )
            return f"{good}\r\n{events}Event: StatusComplete\r\n{number}\r\n"
        if asked["Action"] == "Hangup":
            self.hung_up.append(asked["Channel"])
        return f"{good}\r\n"


def test_the_manager_hangs_up_the_channel_with_the_call_id_and_no_other(secret: Path) -> None:
    manager = Manager()
    assert run(Ami, manager.serve, secret) == 1
    assert manager.hung_up == ["PJSIP/1002-2"]
