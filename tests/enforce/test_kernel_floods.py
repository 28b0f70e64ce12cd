"""A flood ends in the kernel: each sender has a measure, strangers have one together, and the known do not share it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sipguard.address import parse_network
from sipguard.capture.tap import Tap
from sipguard.enforce import skeleton
from sipguard.enforce.base import Layout
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.switch import Stance, Switch
from sipguard.model import SECOND, Held, Sensor, SensorKind, SetName
from tests.enforce.spaces import Cable, cable, inside, now, run

pytestmark = [pytest.mark.root, pytest.mark.kernel]

PBX = ("192.0.2.1", 5060)
ROUND = 3 * SECOND
"""In so long all that rules of iptables have counted is read here, twice."""
LAYOUT = Layout(backend="nftables", stranger_rate=10, strangers_rate=50, known_rate=100)
BOTH = (LAYOUT, replace(LAYOUT, backend="iptables"))
both = pytest.mark.parametrize("layout", BOTH, ids=lambda layout: layout.backend, indirect=True)


@pytest.fixture
def joined() -> Iterator[Cable]:
    with cable() as made, inside(made.pbx):
        yield made


@pytest.fixture
def layout(request: pytest.FixtureRequest) -> Layout:
    given: Layout = getattr(request, "param", LAYOUT)
    return given


@pytest.fixture
def switch(joined: Cable, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    monkeypatch.setattr("sipguard.enforce.counting._PACE", ROUND // 10)
    made = Switch(layout, now)
    made.take(Stance.ENFORCE, layout, [], [])
    yield made
    made.close()


def hold(switch: Switch, name: SetName, network: str) -> None:
    until = 0 if name is SetName.ALLOWED else now() + 60 * SECOND
    assert switch.hold(Held(name, parse_network(network), until)).ok


def read(receiver: socket.socket, got: dict[str, int], seconds: float) -> None:
    """Count what waits, and what arrives until nothing does for so long."""
    while select.select([receiver], [], [], seconds)[0]:
        got[receiver.recvfrom(100)[1][0]] += 1


def through(joined: Cable, receiver: socket.socket, sources: list[str], count: int) -> dict[str, int]:
    """Send from each source in turn, as fast as it goes; tells how many arrived of each."""
    senders = [joined.open(joined.stranger, source) for source in sources]
    got = dict.fromkeys(sources, 0)
    for _each in range(count):
        for sender in senders:
            sender.sendto(b"OPTIONS", PBX)
        read(receiver, got, 0)
    read(receiver, got, 0.2)
    return got


def copied(tap: Tap, source: str) -> int:
    """Count the copies of what this address sent or was sent."""
    count = 0
    while frames := tap.read(1_000):
        count += sum(socket.inet_aton(source) in frame.packet[12:20] for frame in frames)
    return count


def told(switch: Switch, count: int) -> list[Sensor]:
    """Ask until so much is told: with iptables all rules are read anew within a few seconds, one table at a time."""
    found: list[Sensor] = []
    deadline = now() + 10 * ROUND
    while sum(each.count for each in found) < count and now() < deadline:
        found += switch.floods()
        time.sleep(0.05)
    return found


def read_once(switch: Switch) -> None:
    """Let all be read that rules have counted; nothing is told of it."""
    deadline = now() + (ROUND if isinstance(switch._kernel, Ipsets) else 0)
    assert switch.floods() == []
    while now() < deadline:
        time.sleep(0.05)
        assert switch.floods() == []


@both
def test_one_strangers_flood_is_cut_to_his_measure_and_told_with_his_name(joined: Cable, switch: Switch) -> None:
    assert switch.floods() == []
    pbx = joined.open(joined.pbx, *PBX)
    got = through(joined, pbx, ["192.0.2.2"], 2_000)
    assert 50 <= got["192.0.2.2"] < 100
    assert through(joined, pbx, ["192.0.2.3"], 20) == {"192.0.2.3": 20}, "another stranger has his own"
    lost = 2_000 - got["192.0.2.2"]
    found = told(switch, lost)
    assert {(each.kind, each.about) for each in found} == {(SensorKind.FLOOD, "192.0.2.2")}
    assert sum(each.count for each in found) == lost
    read_once(switch)  # told once
    assert switch.counted()["flooded"] == lost


@both
def test_each_stranger_has_a_measure_of_his_own(joined: Cable, switch: Switch) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    assert 50 <= through(joined, pbx, ["192.0.2.2"], 2_000)["192.0.2.2"] < 100
    assert through(joined, pbx, ["192.0.2.3"], 20) == {"192.0.2.3": 20}


@both
def test_many_strangers_together_meet_the_ceiling_and_the_known_are_never_dropped(
    joined: Cable, switch: Switch
) -> None:
    hold(switch, SetName.TRUSTED, "192.0.2.8")
    hold(switch, SetName.ALLOWED, "192.0.2.9/32")
    pbx = joined.open(joined.pbx, *PBX)
    crowd = [f"192.0.2.{last}" for last in range(2, 8)]
    assert sum(through(joined, pbx, crowd, 200).values()) < 150
    assert through(joined, pbx, ["192.0.2.8"], 150) == {"192.0.2.8": 150}
    assert through(joined, pbx, ["192.0.2.8", "192.0.2.9"], 1_000) == {"192.0.2.8": 1_000, "192.0.2.9": 1_000}
    assert through(joined, pbx, crowd, 200) != dict.fromkeys(crowd, 200), "and they leave nothing to strangers"


@both
def test_of_a_known_address_so_many_are_copied_as_its_measure_says_each_way(joined: Cable, switch: Switch) -> None:
    """The tap is no place for a phone that has run wild, or a trunk's: it is not dropped, but no longer read."""
    hold(switch, SetName.TRUSTED, "192.0.2.8")
    hold(switch, SetName.ALLOWED, "192.0.2.9/32")
    pbx, tap = joined.open(joined.pbx, *PBX), Tap(LAYOUT.tap_group)
    for source in ("192.0.2.8", "192.0.2.9"):
        assert through(joined, pbx, [source], 1_000) == {source: 1_000}
        assert 200 <= copied(tap, source) < 500
        phone = joined.open(joined.stranger, source)
        for _each in range(1_000):
            pbx.sendto(b"SIP/2.0 200 OK", phone.getsockname())
        assert 200 <= copied(tap, source) < 500
    tap.close()
    read_once(switch)  # nothing was dropped
    assert switch.counted()["known_uncopied"] > 2_000


def test_who_fills_the_meter_with_forged_senders_still_meets_the_ceiling(joined: Cable, switch: Switch) -> None:
    """A full meter lets the next sender by: that is what the ceiling behind it is for."""
    small = skeleton.render(LAYOUT).replace(f"timeout 10s; size {skeleton.METER_SIZE}", "timeout 10s; size 2")
    run("nft", "-f", "-", text=skeleton.removal() + small)
    pbx = joined.open(joined.pbx, *PBX)
    crowd = [f"192.0.2.{last}" for last in range(2, 10)]
    assert sum(through(joined, pbx, crowd, 200).values()) < 200
    assert switch.counted()["crowded"] > 1_000


@pytest.mark.parametrize(
    "layout", [replace(each, pbx=(parse_network("192.0.2.0/29"),)) for each in BOTH], indirect=True
)
def test_a_pbx_behind_this_host_has_no_measure(joined: Cable, switch: Switch) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    assert through(joined, pbx, ["192.0.2.5"], 1_000) == {"192.0.2.5": 1_000}
    assert through(joined, pbx, ["192.0.2.9"], 1_000)["192.0.2.9"] < 200


@both
def test_other_ports_have_no_measure(joined: Cable, switch: Switch) -> None:
    web = joined.open(joined.pbx, "192.0.2.1", 8080)
    sender = joined.open(joined.stranger, "192.0.2.2")
    for _each in range(500):
        sender.sendto(b"x", ("192.0.2.1", 8080))
        assert web.recv(10) == b"x"


@both
def test_a_table_made_anew_counts_from_nothing_and_tells_no_flood_twice(
    joined: Cable, switch: Switch, layout: Layout
) -> None:
    pbx = joined.open(joined.pbx, *PBX)
    got = through(joined, pbx, ["192.0.2.2"], 500)
    assert told(switch, 500 - got["192.0.2.2"])
    switch.take(Stance.OFF, layout, [], [])
    assert switch.floods() == []
    assert not switch.counted()
    switch.take(Stance.ENFORCE, layout, [], [])
    read_once(switch)


@both
def test_a_guard_that_comes_back_tells_no_flood_that_was_before_it(
    joined: Cable, switch: Switch, layout: Layout
) -> None:
    got = through(joined, joined.open(joined.pbx, *PBX), ["192.0.2.2"], 500)
    assert told(switch, 500 - got["192.0.2.2"])
    later = Switch(layout, now)
    later.take(Stance.ENFORCE, layout, [], [])
    try:
        read_once(later)
    finally:
        later.close()
