"""Frames that the guard stumbled over: kept for their owner only, never more than the cap, never in the way."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sipguard.capture import files
from sipguard.capture.quarantine import Quarantine
from sipguard.model import MINUTE

WALL = 1_700_000_000_123_456_789


def test_frames_are_kept_over_restarts_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "quarantine.pcap"
    for packet in (b"E" * 40, b"`" * 60):
        quarantine = Quarantine(path)
        assert quarantine.keep(packet, WALL)
        quarantine.close()
    assert [(each.at, each.data) for each in files.read(path)] == [(WALL, b"E" * 40), (WALL, b"`" * 60)]


def test_only_the_owner_may_read_the_file_even_if_it_was_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.pcap"
    path.touch(mode=0o666)
    Quarantine(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_never_grows_beyond_its_cap(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.pcap"
    for _ in range(3):
        quarantine = Quarantine(path, most=1000)
        for _ in range(100):
            quarantine.keep(bytes(100), WALL)
        assert quarantine.refused > 90
        quarantine.close()
    assert path.stat().st_size <= 1000


@pytest.mark.parametrize("kind", ["link", "directory", "no place"])
def test_without_a_file_the_guard_goes_on_and_is_told_why(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "quarantine.pcap"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "directory":
        path.mkdir()
    else:
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "quarantine.pcap"
    quarantine = Quarantine(path)
    assert quarantine.fault
    assert not quarantine.keep(b"E" * 40, WALL)
    quarantine.close()
    quarantine.close()
    assert not (tmp_path / "elsewhere").exists()


def test_a_bug_is_told_by_place_and_type_once_a_minute_and_never_by_its_text(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.pcap")
    told = []
    for at in (0, MINUTE - 1, MINUTE):
        try:
            int("what a stranger sent")
        except ValueError as bug:
            told.append(quarantine.note(bug, at))
    quarantine.close()
    assert told[1] == ""
    assert told[0].startswith("ValueError at test_quarantine.py:")
    assert "3 so far" in told[2]
    assert "stranger" not in "".join(told)
