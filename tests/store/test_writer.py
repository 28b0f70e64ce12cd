"""The writer: acknowledged means on disk; a broken disk costs neither the loop nor more memory than stated."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from sipguard.address import Network
from sipguard.errors import AdapterError
from sipguard.model import HOUR, SECOND, Account, Decision, DecisionVerdict, Lesson
from sipguard.store import questions, writer
from sipguard.store.database import Store
from sipguard.store.writer import Writer

Open: TypeAlias = Callable[..., Store]

OFFSET = 1_700_000_000 * SECOND


def ban(number: int) -> Decision:
    network = Network(bytes([10, *number.to_bytes(3)]), 32)
    return Decision(SECOND, DecisionVerdict.BLOCK, network, HOUR, ("credentials",), "ban.first", "r" * 50, 1)


class Desk:
    """Collects what a writer tells."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.alerts: list[str] = []

    def open(self, path: Path, deltas: int = writer.DELTAS) -> Writer:
        return Writer(path, self.written.append, lambda kind, _: self.alerts.append(kind), deltas=deltas, lines=10)


async def until_true(check: object, deadline: float = 30) -> None:
    assert callable(check)
    end = time.monotonic() + deadline
    while not check():
        assert time.monotonic() < end, "never came true"
        await asyncio.sleep(0.02)


async def test_what_is_acknowledged_is_on_disk(tmp_path: Path, opened: Open) -> None:
    desk = Desk()
    store = desk.open(tmp_path / "a.db")
    task = asyncio.create_task(store.run())
    for number in range(1, 1201):
        store.delta(number, ban(number), OFFSET)
    store.line('{"n":1}')
    await until_true(lambda: desk.written and desk.written[-1] == 1200)
    other = opened(tmp_path / "a.db")
    assert len(list(other.state(OFFSET, SECOND).decisions)) == 1200
    assert questions.events(other, 5) == [{"n": 1}]
    task.cancel()
    await store.close()


async def test_closing_writes_what_waits(tmp_path: Path, opened: Open) -> None:
    store = Desk().open(tmp_path / "a.db")
    store.delta(1, ban(1), OFFSET)
    await store.close()
    assert len(list(opened(tmp_path / "a.db").state(OFFSET, SECOND).decisions)) == 1


async def test_what_was_learned_pushes_out_no_ban_while_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "dir").touch()
    store = Desk().open(tmp_path / "dir" / "a.db", deltas=100)
    store.delta(1, ban(1), OFFSET)
    for number in range(2, 1_000):
        store.delta(number, Lesson(SECOND, "takeover", Account(str(number), "pbx"), "", "x"), OFFSET)
    assert (store.waiting, store.lost_deltas) == (50, 949)
    for number in range(1_000, 1_050):
        store.delta(number, ban(number), OFFSET)
    (tmp_path / "dir").unlink()
    assert await store.flush()
    found = await store.ask(lambda each: each.state(OFFSET, SECOND))
    assert len(list(found.decisions)) == 51
    await store.close()


async def test_a_store_that_cannot_be_opened_is_tried_again_and_told_once(tmp_path: Path) -> None:
    (tmp_path / "dir").touch()
    desk = Desk()
    store = desk.open(tmp_path / "dir" / "a.db", deltas=100)
    for number in range(1, 151):
        store.delta(number, ban(number), OFFSET)
        store.line("{}")
    for _ in range(3):
        assert not await store.flush()
    with pytest.raises(AdapterError):
        await store.ask(lambda found: found.meta("x"))
    assert (store.waiting, store.lost_deltas, store.lost_lines, store.failures) == (100, 50, 140, 3)
    assert (desk.alerts, desk.written) == (["store-failed"], [])
    (tmp_path / "dir").unlink()
    assert await store.flush()
    assert (desk.alerts, desk.written) == (["store-failed", "store-works"], [150])
    await store.close()


async def test_a_file_damaged_while_open_is_set_aside(tmp_path: Path, opened: Open) -> None:
    desk = Desk()
    path = tmp_path / "a.db"
    store = desk.open(path)
    for number in range(1, 3001):
        store.delta(number, ban(number), OFFSET)
    assert await store.flush()
    await store.close()
    store = desk.open(path)
    await store.ask(lambda found: found.ask("PRAGMA shrink_memory"))
    with path.open("r+b") as file:
        file.write(b"\xff" * 200_000)
    for number in range(3001, 3100):
        store.delta(number, ban(number), OFFSET)
    await store.flush()
    assert await store.flush()
    assert "store-damaged" in desk.alerts
    await store.close()
    assert opened(path).state(OFFSET, SECOND).decisions


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], check=False)
    if done.returncode:
        pytest.skip("cannot mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


@pytest.mark.root
async def test_a_full_disk_delays_and_loses_nothing_that_was_acknowledged(small_disk: Path, opened: Open) -> None:
    desk = Desk()
    store = desk.open(small_disk / "a.db")
    ballast = small_disk / "ballast"
    assert await store.flush()
    ballast.write_bytes(b"x" * 150_000)
    number = 0
    while not desk.alerts:
        for _ in range(200):
            number += 1
            store.delta(number, ban(number), OFFSET)
        await store.flush()
        assert number < 20_000
    assert desk.alerts == ["store-failed"]
    acknowledged = desk.written[-1] if desk.written else 0
    assert acknowledged == number - store.waiting
    ballast.unlink()
    assert await store.flush()
    assert desk.alerts == ["store-failed", "store-works"]
    assert desk.written[-1] == number
    await store.close()
    other = opened(small_disk / "a.db")
    assert questions.counts(other, OFFSET)["bans"] == number


@pytest.mark.root
async def test_a_read_only_disk_is_told_and_survived(small_disk: Path) -> None:
    desk = Desk()
    store = desk.open(small_disk / "a.db")
    assert await store.flush()
    await store.close()
    remount(small_disk, "ro")
    store = desk.open(small_disk / "a.db")
    store.delta(1, ban(1), OFFSET)
    assert not await store.flush()
    assert desk.alerts == ["store-failed"]
    remount(small_disk, "rw")
    assert await store.flush()
    await store.close()
