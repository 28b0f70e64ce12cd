"""Which back end is taken, that passing to another leaves nothing behind, and that iptables' chains come back too."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

import pytest

from sipguard.address import Network, parse_network
from sipguard.enforce.backend import probe
from sipguard.enforce.base import Layout
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.monitor import Monitor
from sipguard.enforce.nft import Nft
from sipguard.enforce.rehanger import Rehanger
from sipguard.enforce.switch import Stance, Switch
from sipguard.errors import AdapterError
from sipguard.model import SECOND, Held, Instant, SetName
from tests.enforce.spaces import cable, inside, now, run, space, wait_for
from tests.lab.processor import had, moment

pytestmark = pytest.mark.root

NFT, IPTABLES = Layout(backend="nftables"), Layout(backend="iptables")


class Book:
    """What is decided."""

    def __init__(self) -> None:
        self.all: dict[SetName, dict[Network, Instant]] = {name: {} for name in SetName}
        self.all[SetName.ALLOWED] = {parse_network("203.0.113.0/24"): 0}
        self.all[SetName.BLOCKED] = {
            parse_network(text): now() + 600 * SECOND for text in ("192.0.2.2", "10.0.0.0/8", "2001:db8:1::/64")
        }

    def ends(self, name: SetName) -> Mapping[Network, Instant]:
        return self.all[name]

    def networks(self) -> Collection[Network]:
        return [parse_network("10.0.0.0/8")]

    def wanted(self) -> list[Held]:
        return [Held(name, net, end) for name, ends in self.all.items() for net, end in ends.items()]


@pytest.fixture
def switch() -> Iterator[Switch]:
    with space() as name, inside(name):
        made = Switch(Layout(backend="iptables"), now)
        yield made
        made.close()


def shown(switch: Switch) -> set[str]:
    return {str(held.network) for held in switch.held()}


ALL = {"192.0.2.2", "10.0.0.0/8", "2001:db8:1::/64", "203.0.113.0/24"}


def test_a_host_with_nftables_gets_nftables_and_the_operator_may_say_otherwise() -> None:
    with space() as name, inside(name):
        assert probe() == "nftables"
        for layout, kind in ((Layout(), Nft), (IPTABLES, Ipsets)):
            switch = Switch(layout, now)
            assert isinstance(switch._kernel, kind)
            switch.close()


def test_passing_to_another_back_end_leaves_nothing_of_the_first(switch: Switch) -> None:
    wanted = Book().wanted()
    for layout, there, gone in (
        (IPTABLES, "SIPGUARD-BANS", "table inet sipguard"),
        (NFT, "table inet sipguard", "SIPGUARD"),
    ):
        switch.take(Stance.ENFORCE, layout, wanted, [])
        ruleset = run("nft", "list", "ruleset")
        assert there in ruleset
        assert gone not in ruleset
        assert shown(switch) == ALL
    assert "sipguard" not in run("ipset", "list")


@pytest.mark.parametrize("layouts", [(IPTABLES, NFT), (NFT, IPTABLES)])
def test_what_an_earlier_guard_left_with_another_back_end_is_taken_out(layouts: tuple[Layout, Layout]) -> None:
    with space() as name, inside(name):
        for layout in layouts:
            switch = Switch(layout, now)
            switch.take(Stance.ENFORCE, layout, Book().wanted(), [])
            assert shown(switch) == ALL
            switch.close()
        ruleset = run("nft", "list", "ruleset")
        assert ("SIPGUARD-" in ruleset) is ("sipguard" in run("ipset", "list")) is (layouts[1] is IPTABLES)
        assert ("table inet sipguard" in ruleset) is (layouts[1] is NFT)


def test_a_dry_run_touches_nothing_and_remembers_all(switch: Switch) -> None:
    switch.take(Stance.ENFORCE, Layout(backend="dryrun"), Book().wanted(), [])
    assert shown(switch) == ALL
    assert run("nft", "list", "ruleset") + run("ipset", "list") == ""


@pytest.mark.parametrize(
    "damage",
    [
        ("nft", "flush", "ruleset"),
        ("iptables", "-t", "raw", "-F"),
        ("iptables", "-t", "raw", "-D", "PREROUTING", "-j", "SIPGUARD-BANS"),
        ("ipset", "flush", "sipguard_blocked4"),
        ("ipset", "del", "sipguard_allowed4", "203.0.113.0/24"),
        ("ipset", "add", "sipguard_blocked4", "192.0.2.99", "timeout", "1000"),
    ],
)
def test_what_somebody_does_to_our_chains_and_sets_is_undone(switch: Switch, damage: tuple[str, ...]) -> None:
    book = Book()
    switch.take(Stance.ENFORCE, IPTABLES, book.wanted(), [])
    rules = [line for line in run("iptables-save").splitlines() if line.startswith("-A")]
    run(*damage)

    def right() -> bool:
        switch.mend(now(), book)
        time.sleep(0.02)
        same = [line for line in run("iptables-save").splitlines() if line.startswith("-A")] == rules
        return same and shown(switch) == ALL

    if switch._mender is not None:
        switch._mender.begin()  # elements of ipset are looked at each minute; here at once
    assert wait_for(right, 20)


def test_a_flush_exposes_for_less_than_a_second_and_other_chains_stay() -> None:
    with cable() as wire:
        stranger = wire.open(wire.stranger, "192.0.2.2")
        listener = wire.open(wire.pbx, "192.0.2.1", 5060)
        listener.setblocking(False)
        with inside(wire.pbx):
            switch, book = Switch(IPTABLES, now), Book()
            switch.take(Stance.ENFORCE, IPTABLES, book.wanted(), [])
            for _flush in range(4):
                run("nft", "flush", "ruleset")
                last = flushed = moment()
                while time.monotonic() < flushed.at + 1.3:
                    switch.mend(now(), book)
                    stranger.sendto(b"OPTIONS", ("192.0.2.1", 5060))
                    try:
                        while listener.recv(100):
                            last = moment()
                    except BlockingIOError:
                        continue
                assert had(flushed, last) < 1.0
            switch.close()


def test_what_could_not_be_compared_is_compared_a_second_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until all was seen to be there, the gate stands open: known devices would wait in the crowd of strangers."""
    with space() as name, inside(name):
        kernel, monitor, book, at = Ipsets(IPTABLES, now), Monitor(), Book(), now() + SECOND
        kernel.install()
        mending = Rehanger(kernel, monitor, now(), enforce=True, removing=True)
        mending.begin()
        with monkeypatch.context() as broken:
            broken.setattr(kernel, "held", raising)
            with pytest.raises(AdapterError):
                mending.step(at, book)
        assert not mending.knowing
        mending.step(at + SECOND, book)
        assert mending.knowing
        assert {str(held.network) for held in kernel.held()} == ALL
        kernel.close()
        monitor.close()


def raising() -> frozenset[Held]:
    raise AdapterError("ipset", "the kernel is out of memory")
