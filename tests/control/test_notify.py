"""What systemd is told, over a real socket; and that nothing comes of it where there is none."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sipguard.control.notify import Notify


@pytest.mark.parametrize("abstract", [True, False])
def test_systemd_hears_what_is_said(tmp_path: Path, abstract: bool) -> None:  # noqa: FBT001 - a table's column
    address = f"@sipguard-test-{tmp_path.name}-{id(tmp_path)}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if abstract else address)
        systemd.settimeout(5)
        notify = Notify(address)
        notify.ready()
        notify.status("one")
        notify.status("one")
        notify.status("two")
        notify.alive()
        notify.reloading(1_234_567)
        notify.stopping()
        said = [systemd.recv(4096).decode() for _ in range(6)]
        notify.close()
    assert said == [
        "READY=1",
        "STATUS=one",
        "STATUS=two",
        "WATCHDOG=1",
        "RELOADING=1\nMONOTONIC_USEC=1234",
        "STOPPING=1",
    ]


def test_without_systemd_nothing_is_said_and_nothing_goes_wrong(tmp_path: Path) -> None:
    Notify("").ready()
    gone = Notify(str(tmp_path / "gone"))
    gone.ready()
    gone.close()
