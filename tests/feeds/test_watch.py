"""A list that goes wrong keeps what it said before, and the operator hears of it once."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sipguard.feeds import watch as watching
from sipguard.feeds.shelf import Shelf
from sipguard.feeds.watch import Watch
from sipguard.model import HOUR, MILLISECOND, Feed, Span
from tests.feeds.server import Server

HTML = b"<!DOCTYPE html>\n<html><body>\n<h1>Service unavailable</h1>\n</body></html>\n"


def lines(count: int, first: int = 0) -> bytes:
    return b"".join(b"45.95.%d.%d\n" % divmod(number, 256) for number in range(first, first + count))


@dataclass(frozen=True)
class Wanted:
    """What a policy says of a list."""

    source: str
    name: str = "bad"
    format: str = "text"
    refresh: Span = 20 * MILLISECOND
    mode: str = "shadow"


class Stage:
    """A watch, and all that it has said."""

    def __init__(self, folder: Path) -> None:
        self.said: list[Feed] = []
        self.alerts: list[tuple[str, str, str]] = []
        self.shelf = folder / "feeds"
        self.watch = Watch(Shelf(self.shelf), self.said.append, lambda *alert: self.alerts.append(alert))

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.alerts]

    async def until(self, done: Callable[[], bool]) -> None:
        """Let the watch run until something is so."""
        task = asyncio.create_task(self.watch.run())
        try:
            async with asyncio.timeout(20):
                while not done():  # noqa: ASYNC110 - what is waited for knows nothing of events
                    await asyncio.sleep(0.005)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def entries(self) -> int:
        return int(self.watch.about()[0]["entries"])


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(watching, "SOONEST", 0.01)
    return Stage(tmp_path)


async def test_a_list_is_fetched_passed_on_and_kept(stage: Stage, server: Server, tmp_path: Path) -> None:
    server.says(lines(20), ETag='"1"')
    await stage.watch.want([Wanted(server.url(), refresh=HOUR, mode="block")])
    await stage.until(lambda: bool(stage.said))
    assert (stage.said[0].name, len(stage.said[0].networks), stage.said[0].block) == ("bad", 20, True)
    other = Stage(tmp_path)
    await other.watch.want([Wanted(server.url())])
    assert [len(feed.networks) for feed in other.watch.present()] == [20]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        HTML,
        lines(9),
        b"0.0.0.0/0\n::/0\n",
        b"10.0.0.0/8\n192.168.0.0/16\n",
        gzip.compress(bytes(40 * 2**20)),
        bytes([0xFF, 0xFE]) * 100,
    ],
    ids=["empty", "html", "half gone", "everything", "private", "bomb", "binary"],
)
async def test_a_list_gone_wrong_keeps_what_it_said(stage: Stage, server: Server, bad: bytes) -> None:
    server.says(lines(20))
    await stage.watch.want([Wanted(server.url())])
    await stage.until(lambda: bool(stage.said))
    server.says(bad)
    asked = len(server.asked)
    await stage.until(lambda: len(server.asked) >= asked + watching.STALE_AFTER + 2)
    assert {len(feed.networks) for feed in stage.said} == {20}
    assert stage.entries() == 20
    assert len(stage.alerts) == 1
    assert "20 entries) is used" in stage.alerts[0][2]
    assert "secret" not in json.dumps([stage.alerts, stage.watch.about()])
    server.says(lines(30))
    await stage.until(lambda: stage.kinds()[-1] == "feed-good")
    assert stage.entries() == 30


async def test_a_server_that_is_down_is_told_of_after_a_while(stage: Stage, server: Server) -> None:
    server.says(lines(20))
    await stage.watch.want([Wanted(server.url())])
    await stage.until(lambda: bool(stage.said))
    server.says(b"", 503)
    await stage.until(lambda: "feed-unreached" in stage.kinds())
    assert stage.watch.about()[0]["failures"] >= watching.STALE_AFTER
    assert stage.entries() == 20


async def test_a_list_that_never_was_good_is_told_of_at_once(stage: Stage, tmp_path: Path) -> None:
    await stage.watch.want([Wanted(str(tmp_path / "missing"))])
    await stage.until(lambda: bool(stage.alerts))
    assert stage.kinds() == ["feed-unreached"]
    assert not stage.said


async def test_the_operator_can_take_a_list_that_has_shrunk(stage: Stage, server: Server) -> None:
    server.says(lines(20))
    await stage.watch.want([Wanted(server.url())])
    await stage.until(lambda: bool(stage.said))
    server.says(lines(3))
    await stage.until(lambda: bool(stage.alerts))
    assert stage.watch.accept("bad")
    assert not stage.watch.accept("nobody")
    await stage.until(lambda: stage.entries() == 3)


async def test_one_that_has_not_changed_is_passed_on_all_the_same(stage: Stage, server: Server) -> None:
    server.answer = lambda asked: (304, {}, b"") if "if-none-match" in asked else (200, {"ETag": '"1"'}, lines(20))
    await stage.watch.want([Wanted(server.url())])
    await stage.until(lambda: len(stage.said) >= 3)
    assert len(set(stage.said)) == 1


async def test_who_is_no_longer_wanted_is_taken_back_and_removed(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(lines(20))
    await stage.watch.want([Wanted(str(path))])
    await stage.until(lambda: bool(stage.said))
    assert len(list(stage.shelf.iterdir())) == 1
    await stage.watch.want([])
    assert stage.said[-1] == Feed("bad", ())
    assert not list(stage.shelf.iterdir())


async def test_a_change_of_mode_is_passed_on_without_a_fetch(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(lines(20))
    wanted = Wanted(str(path), refresh=HOUR)
    await stage.watch.want([wanted])
    await stage.until(lambda: bool(stage.said))
    path.unlink()
    await stage.watch.want([replace(wanted, mode="block")])
    assert stage.said[-1].block
    assert len(stage.said[-1].networks) == 20


async def test_what_lies_on_disk_is_not_trusted(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(lines(20))
    await stage.watch.want([Wanted(str(path))])
    await stage.until(lambda: bool(stage.said))
    kept = next(stage.shelf.iterdir())
    whole = json.loads(kept.read_text())
    assert str(path) not in kept.read_text()
    for text in (
        "",
        "[]",
        "[" * 10_000,
        json.dumps(whole | {"networks": ["0.0.0.0/0"]}),
        json.dumps(whole | {"networks": 5}),
        json.dumps(whole | {"source": "another"}),
        "4" * (9 * 2**20),
    ):
        kept.write_text(text)
        other = Stage(tmp_path)
        await other.watch.want([Wanted(str(path))])
        assert not other.watch.present()
