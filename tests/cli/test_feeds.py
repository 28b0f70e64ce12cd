"""`sipguard feeds` tells of each list what the keeper and the packet process know, and never where it comes from."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.cli.conftest import Guard


def listed(guard: Guard) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(guard.run("feeds", "--json").stdout)
    return found[0]


def test_a_list_is_told_with_what_became_of_it_and_can_be_taken_when_it_has_shrunk(guard: Guard) -> None:
    path = guard.packet.folder / "secret-list"
    path.write_text("".join(f"45.95.1.{number}\n" for number in range(20)) + "10.0.0.1\n")
    with guard.work:
        guard.packet.write_policy(f'[[feed]]\nname = "bad"\nsource = "{path}"\nmode = "block"\n')
        counters = {"feed held bad": 18, "feed hits bad": 7, "feed overlap bad": 1, "feed spared bad": 1}
        guard.packet.answers["status"] = {"ok": True, "body": {"counters": counters}}
        guard.packet.send({"t": "reload"})
    end = time.monotonic() + 30
    while listed(guard)["entries"] != 20:
        assert time.monotonic() < end
    row = listed(guard)
    assert (row["held"], row["hits"], row["overlap"], row["spared"]) == (18, 7, 1, 1)
    shown = guard.run("feeds")
    assert shown.returncode == 0
    assert "1 reserved" in shown.stdout
    assert "secret" not in shown.stdout + json.dumps(row)
    path.write_text("45.95.1.1\n")
    assert guard.run("feeds", "--accept", "bad").returncode == 0
    while listed(guard)["entries"] != 1:
        assert time.monotonic() < end
    assert guard.run("feeds", "--accept", "nobody").returncode == 2
