"""The keeper fetches the lists of a policy, keeps them, and passes them on before the state is at its end."""

from __future__ import annotations

import time
from pathlib import Path

from sipguard.control.lists import Gathering
from sipguard.model import Feed
from tests.keeper.packetside import PacketSide

LIST = b"45.95.1.7\n45.96.0.0/20\n"


def policy(path: Path, mode: str = "block") -> str:
    return f'[[feed]]\nname = "bad"\nsource = "{path}"\nmode = "{mode}"\n'


def came(packet: PacketSide) -> Feed:
    """Wait for the next list."""
    gathering = Gathering()
    while True:
        found = gathering.take(packet.until("feed"))
        if found is not None:
            return found


def shown(found: Feed) -> tuple[str, list[str], bool]:
    return found.name, [str(network) for network in found.networks], found.block


def test_a_list_is_passed_on_and_after_a_restart_comes_before_the_end_of_the_state(packet: PacketSide) -> None:
    path = packet.folder / "list"
    path.write_bytes(LIST)
    packet.write_policy(policy(path))
    packet.start()
    packet.state()
    assert shown(came(packet)) == ("bad", ["45.95.1.7", "45.96.0.0/20"], True)
    packet.stop()
    path.unlink()
    packet.start()
    packet.until("state-end")
    kinds = [message["t"] for message in packet.got]
    assert "feed" in kinds
    assert shown(came(packet)) == ("bad", ["45.95.1.7", "45.96.0.0/20"], True)


def test_a_reload_changes_the_mode_and_takes_lists_back(packet: PacketSide) -> None:
    path = packet.folder / "list"
    path.write_bytes(LIST)
    packet.write_policy(policy(path))
    packet.start()
    packet.state()
    came(packet)
    packet.write_policy(policy(path, "shadow"))
    packet.send({"t": "reload"})
    assert shown(came(packet)) == ("bad", ["45.95.1.7", "45.96.0.0/20"], False)
    packet.write_policy("")
    packet.send({"t": "reload"})
    assert shown(came(packet)) == ("bad", [], False)


def test_where_a_list_comes_from_is_in_no_log(packet: PacketSide) -> None:
    packet.write_policy('[[feed]]\nname = "bad"\nsource = "https://localhost:1/list?key=secret"\n')
    packet.start()
    packet.state()
    end = time.monotonic() + 20
    while "feed-unreached" not in (packet.folder / "log").read_text():
        assert time.monotonic() < end
        packet.turn()
    code, log = packet.stop()
    assert code == 0
    assert "secret" not in log
