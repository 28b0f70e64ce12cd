"""Whatever others do to our table, it is as it should be again soon; nobody else's table is touched. On the kernel."""

from __future__ import annotations

import select
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import pytest

from sipguard.address import Network, parse_network
from sipguard.enforce import mender
from sipguard.enforce.base import Layout
from sipguard.enforce.monitor import Monitor
from sipguard.enforce.nft import Nft
from sipguard.enforce.reconcile import is_host, wish
from sipguard.enforce.switch import Stance, Switch
from sipguard.model import SECOND, Held, Instant, SetName
from sipguard.netset import NetSet
from tests.enforce.spaces import arrives, cable, inside, now, run, space, wait_for
from tests.lab.processor import Moment, had, moment
from tests.lab.wait import PATIENCE

pytestmark = [pytest.mark.root, pytest.mark.kernel]


@dataclass
class Book:
    """What is decided, as the engine's ledger tells it."""

    all: dict[SetName, dict[Network, Instant]] = field(default_factory=lambda: {name: {} for name in SetName})

    def ends(self, name: SetName) -> Mapping[Network, Instant]:
        return self.all[name]

    def networks(self) -> Collection[Network]:
        return [net for net in self.all[SetName.BLOCKED] if not is_host(net)]

    def put(self, network: str, name: SetName = SetName.BLOCKED, seconds: int = 600) -> None:
        until = 0 if name is SetName.ALLOWED else now() + seconds * SECOND
        self.all[name][parse_network(network)] = until

    def wanted(self) -> list[Held]:
        return [Held(name, net, end) for name, ends in self.all.items() for net, end in ends.items()]


def book() -> Book:
    made = Book()
    for last in range(1, 60):
        made.put(f"198.51.100.{last}")
    for number in range(40):
        made.put(f"10.{number}.0.0/16")
    made.put("2001:db8:5::/48")
    made.put("2001:db8:6:1::/64")
    made.put("203.0.113.0/24", SetName.ALLOWED)
    made.put("203.0.114.0/24", SetName.ALLOWED)
    made.put("192.0.2.9", SetName.TRUSTED)
    made.put("192.0.2.8", SetName.WATCHED)
    made.put("192.0.2.7", SetName.THROTTLED)
    return made


@pytest.fixture
def switch() -> Iterator[Switch]:
    with space() as name, inside(name):
        made = Switch(Layout(), now)
        yield made
        made.close()


def settle(switch: Switch, wanted: Book, seconds: float = 20.0) -> list[str]:
    """Let it mend until nothing is left to do; returns what it said."""
    told, deadline = [], time.monotonic() + seconds
    quiet = 0
    while quiet < 3:
        assert time.monotonic() < deadline, "it never comes to rest"
        said = switch.mend(now(), wanted)
        told += [said] if said is not None else []
        quiet = 0 if switch.busy or said is not None or select.select([switch], [], [], 0.02)[0] else quiet + 1
    return told


def right(switch: Switch, wanted: Book) -> bool:
    held = {(one.set, one.network): one.until for one in switch.held()}
    target = wish(wanted.wanted(), NetSet())
    return held.keys() == target.keys() and all(abs(held[key] - end) < 2 * SECOND for key, end in target.items())


DAMAGE = {
    "flush ruleset": "flush ruleset",
    "table": "delete table inet sipguard",
    "rules": "flush chain inet sipguard bans",
    "a rule before ours": "insert rule inet sipguard bans accept",
    "a host": "delete element inet sipguard blocked4 { 198.51.100.7 }",
    "a network": "delete element inet sipguard blocked_nets4 { 10.7.0.0/16 . ipv4 }",
    "an allowed network": "delete element inet sipguard allowed4 { 203.0.113.0/24 . ipv4 }",
    "a trusted device": "delete element inet sipguard trusted4 { 192.0.2.9 }",
    "all bans": "flush set inet sipguard blocked4; flush set inet sipguard blocked_nets4",
    "a foreign ban": "add element inet sipguard blocked4 { 192.0.2.55 timeout 1h }",
    "a foreign network": "add element inet sipguard blocked_nets4 { 172.16.0.0/12 . ipv4 timeout 1h }",
    "a foreign range": "add element inet sipguard blocked_nets4 { 192.0.2.3-192.0.2.77 . ipv4 timeout 1h }",
    "the whole world allowed": "add element inet sipguard allowed4 { 0.0.0.0-202.255.255.255 . ipv4 }",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_somebody_does_to_our_table_is_undone(switch: Switch, damage: str) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    settle(switch, wanted)
    before = run("nft", "-s", "list", "chain", "inet", "sipguard", "bans")
    run("nft", "-f", "-", text=damage)
    settle(switch, wanted)
    assert right(switch, wanted)
    assert run("nft", "-s", "list", "chain", "inet", "sipguard", "bans") == before
    assert switch.hold(Held(SetName.BLOCKED, parse_network("10.99.0.0/16"), now() + 60 * SECOND)).ok


def test_our_own_changes_are_no_news_to_us(switch: Switch) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    settle(switch, wanted)
    for last in range(100):
        wanted.put(f"192.0.2.{last}")
        switch.hold(Held(SetName.BLOCKED, parse_network(f"192.0.2.{last}"), now() + 600 * SECOND))
    switch.hold(Held(SetName.BLOCKED, parse_network("10.200.0.0/16"), now() + 600 * SECOND))
    assert not select.select([switch], [], [], 0.1)[0]


def test_two_guards_ports_are_told_apart_and_nothing_is_lost_on_the_way() -> None:
    with space() as name, inside(name):
        ours, theirs, monitor = Nft(Layout(), now), Nft(Layout(), now), Monitor()
        ours.install()
        monitor.ignore({ours.port})
        monitor.forget()
        held = Held(SetName.BLOCKED, parse_network("192.0.2.1"), now() + 60 * SECOND)
        assert ours.hold(held).ok
        assert not monitor.news()
        assert theirs.release(held).ok
        assert [change.gone for change in monitor.news().changes] == [True]
        for each in (ours, theirs, monitor):
            each.close()


def test_more_changes_than_can_be_followed_are_put_right_too(switch: Switch) -> None:
    wanted = Book()
    for number in range(3_000):
        wanted.put(str(Network((0x0A000000 + number).to_bytes(4, "big"), 32)))
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    settle(switch, wanted)
    run("nft", "flush", "set", "inet", "sipguard", "blocked4")
    settle(switch, wanted)
    assert right(switch, wanted)


def test_desired_and_actual_are_compared_unasked_and_agree(switch: Switch) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    total = len(wanted.wanted()) - 2  # the allowlist is compared by itself

    def compared() -> bool:
        settle(switch, wanted)
        agreement = switch.agreement()
        return agreement["wanted"] == agreement["held"] == total

    assert wait_for(compared, 20)
    assert switch.agreement()["behind"] == 0


def test_what_nobody_was_told_of_is_found_by_looking(switch: Switch) -> None:
    """As when the kernel has dropped its notices: the monitor is made deaf here by reading them away."""
    wanted = book()
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    settle(switch, wanted)
    damage = ("a host", "a network", "an allowed network", "a foreign ban", "a foreign range", "a trusted device")
    run("nft", "-f", "-", text="\n".join(DAMAGE[each] for each in damage))
    switch._monitor.forget()
    assert not right(switch, wanted)

    def found() -> bool:
        settle(switch, wanted)
        return right(switch, wanted)

    assert wait_for(found, 20), set(wish(wanted.wanted(), NetSet())) ^ {one[:2] for one in switch.held()}


def test_what_was_lifted_meanwhile_does_not_come_back_and_what_was_banned_does(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mender, "SLICE", 10)
    wanted = book()
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    settle(switch, wanted)
    run("nft", "flush", "ruleset")
    for _step in range(6):
        switch.mend(now(), wanted)
        select.select([switch], [], [], 0.02)
    del wanted.all[SetName.BLOCKED][parse_network("198.51.100.3")]
    switch.release(Held(SetName.BLOCKED, parse_network("198.51.100.3")))
    wanted.put("198.51.100.250")
    switch.hold(Held(SetName.BLOCKED, parse_network("198.51.100.250"), now() + 600 * SECOND))
    settle(switch, wanted)
    assert right(switch, wanted)


def test_after_off_nothing_comes_back(switch: Switch) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    switch.take(Stance.OFF, Layout(), [], [])
    settle(switch, wanted)
    assert run("nft", "list", "ruleset") == ""
    assert switch.agreement() == {}


def test_while_observing_only_the_rules_come_back(switch: Switch) -> None:
    wanted = book()
    switch.take(Stance.OBSERVE, Layout(), wanted.wanted(), [])
    settle(switch, wanted)
    run("nft", "flush", "ruleset")
    settle(switch, wanted)
    assert "chain tap_in" in run("nft", "list", "ruleset")
    assert switch.held() == frozenset()


THEIRS = """
add table inet f2b-table
add set inet f2b-table addr-set { type ipv4_addr; }
add element inet f2b-table addr-set { 192.0.2.1 }
add chain inet f2b-table input { type filter hook input priority -1; }
add rule inet f2b-table input ip saddr @addr-set reject
"""


def test_mending_leaves_other_tables_byte_for_byte(switch: Switch) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
    run("nft", "-f", "-", text=THEIRS)
    before = run("nft", "-a", "list", "table", "inet", "f2b-table")
    for _time in range(5):
        run("nft", "delete", "table", "inet", "sipguard")
        settle(switch, wanted)
    assert right(switch, wanted)
    assert run("nft", "-a", "list", "table", "inet", "f2b-table") == before


class Flusher:
    """Flushes the whole ruleset again and again, and notes when."""

    def __init__(self, where: str, times: int, pause: float) -> None:
        self.at: list[Moment] = []
        self._plan = (where, times, pause)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        where, times, pause = self._plan
        for _time in range(times):
            self.at.append(moment())
            subprocess.run(["ip", "netns", "exec", where, "nft", "flush", "ruleset"], check=True, timeout=20)
            time.sleep(pause)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._thread.join()

    @property
    def going(self) -> bool:
        return self._thread.is_alive()


@pytest.mark.skipif(PATIENCE > 1, reason="a second is claimed for a processor that is not emulated")
def test_a_flush_in_a_loop_during_an_attack_exposes_for_less_than_a_second_each_time() -> None:
    with cable() as wire:
        stranger = wire.open(wire.stranger, "192.0.2.2")
        listener = wire.open(wire.pbx, "192.0.2.1", 5060)
        listener.setblocking(False)
        with inside(wire.pbx):
            switch = Switch(Layout(), now)
            wanted = Book()
            for number in range(30_000):
                wanted.put(str(Network((0x0A000000 + number).to_bytes(4, "big"), 32)))
            wanted.put("192.0.2.2")
            switch.take(Stance.ENFORCE, Layout(), wanted.wanted(), [])
            settle(switch, wanted)
            leaks: list[Moment] = []
            with Flusher(wire.pbx, 6, 1.2) as flusher:
                while flusher.going:
                    switch.mend(now(), wanted)
                    stranger.sendto(b"OPTIONS", ("192.0.2.1", 5060))
                    try:
                        while listener.recv(100):
                            leaks.append(moment())
                    except BlockingIOError:
                        pass
            settle(switch, wanted)
            assert right(switch, wanted)
            switch.close()
        # A packet that came through counts for the flush before it.
        exposed = [had(max(at for at in flusher.at if at <= leak), leak) for leak in leaks if leak >= flusher.at[0]]
        assert exposed, "the flushes were felt"
        assert max(exposed) < 1.0
        assert wait_for(lambda: not arrives(stranger, listener, ("192.0.2.1", 5060)))
