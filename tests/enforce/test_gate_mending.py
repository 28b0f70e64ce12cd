"""Whatever others do, packets wait for their verdict again soon, and never before phones are known; or not at all."""

from __future__ import annotations

import contextlib
import json
import select
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from sipguard.address import Network, parse_network
from sipguard.capture.gate import Gate
from sipguard.enforce import gatechains, gating, queueing
from sipguard.enforce.base import Layout
from sipguard.enforce.gaterules import BITS
from sipguard.enforce.panic import panic_off
from sipguard.enforce.switch import AT_ONCE, Stance, Switch
from sipguard.model import SECOND, Held, Instant, SetName
from sipguard.netfilter import nfqueue
from tests.enforce.spaces import cable, inside, needs_nft_to_queue, now, passes, run, space, wait_for

pytestmark = [pytest.mark.root, pytest.mark.kernel]

WISH = Layout(backend="nftables", gate="nft")
IPSET = replace(WISH, backend="iptables")
both = pytest.mark.parametrize("wish", [WISH, IPSET], ids=["nftables", "iptables"])
FOREVER = 1 << 63


@dataclass
class Book:
    """What is decided."""

    all: dict[SetName, dict[Network, Instant]] = field(default_factory=lambda: {name: {} for name in SetName})

    def ends(self, name: SetName) -> Mapping[Network, Instant]:
        return self.all[name]

    def networks(self) -> Collection[Network]:
        return []

    def wanted(self) -> list[Held]:
        return [Held(name, net, end) for name, ends in self.all.items() for net, end in ends.items()]


def book(devices: int = 3) -> Book:
    made, until = Book(), now() + 600 * SECOND
    for number in range(devices):
        made.all[SetName.TRUSTED][Network(bytes([10, 0, number >> 8, number & 255]), 32)] = until
    made.all[SetName.BLOCKED][parse_network("198.51.100.7")] = until
    made.all[SetName.ALLOWED][parse_network("203.0.113.0/24")] = 0
    return made


@pytest.fixture
def switch() -> Iterator[Switch]:
    with space() as name, inside(name):
        made = Switch(WISH, now)
        yield made
        made.close()


def rules() -> list[str]:
    """Give all rules there are, ours in nft and those of iptables."""
    tables = run("iptables-nft-save", "-t", "mangle") + run("ip6tables-nft-save", "-t", "mangle")
    queued = [line for line in tables.splitlines() if line.startswith("-A")]
    return [*queued, *(run("nft", "-s", "-t", "list", "table", "inet", "sipguard").splitlines() if table() else [])]


def table() -> bool:
    return "table inet sipguard" in run("nft", "list", "tables").splitlines()


def alive() -> bool:
    """Tell whether anybody is said to judge, in either back end; without our table or our sets nobody is."""
    listed = run("ipset", "save").splitlines()
    if any(line.startswith("add sipguard_alive") and " timeout 0 " not in line for line in listed):
        return True
    if not table():
        return False
    found = json.loads(run("nft", "-j", "list", "set", "inet", "sipguard", "alive"))["nftables"]
    return any(each["set"].get("elem") for each in found if "set" in each)


def go_on(switch: Switch, wanted: Book, done: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Do what the packet loop does, until something is so."""

    def turn() -> bool:
        switch.judging(now())
        switch.mend(now(), wanted)
        return not switch.busy and done()

    return wait_for(turn, seconds)


DAMAGE = {
    "flush ruleset": ("nft", "flush", "ruleset"),
    "our table": ("nft", "delete", "table", "inet", "sipguard"),
    "what marks": ("nft", "flush", "chain", "inet", "sipguard", "gate_strangers"),
    "where they would wait": ("nft", "flush", "chain", "inet", "sipguard", "inbound"),
    "where nft queues": ("nft", "flush", "chain", "inet", "sipguard", "gate_queue_prerouting"),
    "all of mangle": ("iptables-nft", "-t", "mangle", "-F"),
    "our chain": ("iptables-nft", "-t", "mangle", "-F", "SIPGUARD"),
    "a way there": ("iptables-nft", "-t", "mangle", "-D", "OUTPUT", "-j", "SIPGUARD"),
    "IPv6": ("ip6tables-nft", "-t", "mangle", "-F"),
    "a rule before ours": ("iptables-nft", "-t", "mangle", "-I", "SIPGUARD", "-j", "ACCEPT"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_somebody_does_to_the_gate_is_undone(switch: Switch, damage: tuple[str, ...]) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, WISH, wanted.wanted(), [])
    before = sorted(rules())
    if damage[0] != "nft" and switch.gate != "iptables":
        pytest.skip("nft queues here")
    assert go_on(switch, wanted, alive)
    run(*damage)
    assert go_on(switch, wanted, lambda: sorted(rules()) == before)
    assert go_on(switch, wanted, alive)


DAMAGE_OF_IPSET = {
    "flush ruleset": ("nft", "flush", "ruleset"),
    "all of mangle": ("iptables", "-t", "mangle", "-F"),
    "all of raw": ("ip6tables", "-t", "raw", "-F"),
    "what marks": ("iptables", "-t", "mangle", "-F", "SIPGUARD-GATE-ASK"),
    "what queues": ("ip6tables", "-t", "mangle", "-F", "SIPGUARD-QUEUE"),
    "a way there": ("iptables", "-t", "mangle", "-D", "OUTPUT", "-j", "SIPGUARD-QUEUE"),
    "a rule before ours": ("iptables", "-t", "mangle", "-I", "SIPGUARD-QUEUE", "-j", "ACCEPT"),
    "that we judge": ("ipset", "flush", "sipguard_alive4"),
}


@pytest.mark.parametrize("damage", DAMAGE_OF_IPSET.values(), ids=DAMAGE_OF_IPSET)
def test_what_somebody_does_to_the_gate_of_iptables_is_undone(switch: Switch, damage: tuple[str, ...]) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, IPSET, wanted.wanted(), [])
    assert switch.gating() == {"by": "iptables", "fault": ""}
    before = sorted(rules())
    assert go_on(switch, wanted, alive)
    run(*damage)
    assert go_on(switch, wanted, lambda: sorted(rules()) == before)
    assert go_on(switch, wanted, alive)


def test_rules_that_come_back_when_the_guard_is_gone_hold_nobody() -> None:
    """As when somebody loads what he saved while the gate was shut."""
    with cable() as wire, inside(wire.pbx), contextlib.closing(Switch(IPSET, now)) as switch:
        server, stranger = wire.open(wire.pbx, "192.0.2.1", 5060), wire.open(wire.stranger, "192.0.2.2")
        switch.take(Stance.ENFORCE, IPSET, book().wanted(), [])
        switch.judging(now())
        saved = run("iptables-save", "-t", "mangle")
        assert "NFQUEUE" in saved
        switch.take(Stance.OBSERVE, IPSET, [], [])
        run("iptables-restore", text=saved)
        gate = Gate(IPSET.queues[0], BITS)  # somebody has the queue, and never answers
        assert passes(stranger, server, ("192.0.2.1", 5060), b"REGISTER sip:192.0.2.1 SIP/2.0\r\n")
        gate.close()


def test_where_nft_queues_rules_of_iptables_from_another_kernel_are_taken_out_whenever_they_come() -> None:
    """As when a saved set of rules is loaded after our start."""
    with space() as name, inside(name):
        part, clock = gating.Gating(now), now()
        for program in ("iptables-nft", "ip6tables-nft"):
            run(program, "-t", "mangle", "-A", "OUTPUT", "-j", "MARK", "--set-mark", "7")
        others = sorted(rules())
        for round_ in range(1, 3):
            queueing.install(WISH)
            if round_ == 1:
                part.taken(WISH)  # left from before our start
            else:
                clock += gating.BREATH
                part.mend(clock, heard=False)
                assert queueing.installed(WISH)  # nothing was heard: nothing is looked at
                part.mend(clock, heard=True)
            assert sorted(rules()) == others
        assert part.requeued == 1
        clock += gating.BREATH
        part.mend(clock, heard=True)
        assert part.requeued == 1
        part.close()


def test_where_nft_queues_the_mender_hears_of_rules_of_iptables_by_itself(switch: Switch) -> None:
    needs_nft_to_queue()
    wanted = book()
    switch.take(Stance.ENFORCE, WISH, wanted.wanted(), [])
    assert switch.gating() == {"by": "nft", "fault": ""}
    before = sorted(rules())
    assert go_on(switch, wanted, alive)
    run("iptables-nft-restore", "--noflush", text=queueing.wanted(WISH, ""))
    assert sorted(rules()) != before
    assert go_on(switch, wanted, lambda: sorted(rules()) == before)
    assert switch.agreement()["requeued"] == 1


@both
def test_after_a_flush_packets_wait_again_and_meanwhile_they_pass(wish: Layout) -> None:
    with cable() as wire, inside(wire.pbx):
        server = wire.open(wire.pbx, "192.0.2.1", 5060)
        server.setblocking(False)
        stranger = wire.open(wire.stranger, "192.0.2.2", 5062)
        switch, wanted = Switch(wish, now), book()
        gate = Gate(wish.queues[0], BITS)
        switch.take(Stance.ENFORCE, wish, wanted.wanted(), [])

        def waits() -> bool:
            stranger.sendto(b"REGISTER sip:192.0.2.1 SIP/2.0\r\n", ("192.0.2.1", 5060))
            select.select([gate.fileno(), server.fileno()], [], [], 0.2)
            frames = gate.read(64)
            for frame in frames:
                gate.answer(frame.ticket, nfqueue.DROP)
            return bool(frames)

        assert go_on(switch, wanted, waits)
        for _flush in range(3):
            run("nft", "flush", "ruleset")
            began = time.monotonic()
            assert go_on(switch, wanted, waits)
            assert time.monotonic() - began < 10  # against a deadlock; the figures are in the live tests
        switch.take(Stance.OFF, wish, [], [])
        assert not waits()
        switch.close()
        gate.close()


@both
def test_that_we_judge_is_no_news_to_us(switch: Switch, wish: Layout) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, wish, wanted.wanted(), [])
    assert go_on(switch, wanted, alive)
    go_on(switch, wanted, lambda: not select.select([switch], [], [], 0.1)[0])
    for _ in range(8):
        switch._gating.lapsed()
        switch.judging(now())
    assert not select.select([switch], [], [], 0.1)[0]


def test_nothing_waits_before_the_phones_are_known_again(switch: Switch) -> None:
    wanted = book(9_000)
    switch.take(Stance.ENFORCE, WISH, wanted.wanted(), [])
    assert go_on(switch, wanted, alive)
    run("nft", "flush", "ruleset")
    early = 0
    while not alive():
        switch.judging(now())
        switch.mend(now(), wanted)
        if alive():
            break
        early += 1
    assert early > 1
    trusted = {held.network for held in switch.held() if held.set is SetName.TRUSTED}
    assert len(trusted) == 9_000


def test_with_iptables_nothing_waits_before_phones_that_are_many_are_all_known(switch: Switch) -> None:
    wanted = book(AT_ONCE + 1)
    switch.take(Stance.ENFORCE, IPSET, wanted.wanted(), [])
    switch.judging(now())
    assert not alive()
    assert go_on(switch, wanted, alive)
    assert len([held for held in switch.held() if held.set is SetName.TRUSTED]) == AT_ONCE + 1


def test_rules_that_went_unheard_are_found_missing_by_the_packets_that_nobody_held() -> None:
    clock = [now()]
    with space() as name, inside(name), contextlib.closing(Switch(WISH, lambda: clock[0])) as switch:
        switch.take(Stance.ENFORCE, WISH, book().wanted(), [])
        if switch.gate != "iptables":
            pytest.skip("nft queues here")
        part = switch._gating
        part.mend(clock[0], heard=True)
        run("iptables-nft", "-t", "mangle", "-F")
        part.mend(clock[0] + gating.MENDING, heard=False)
        assert not queueing.installed(part._layout)
        clock[0] += gating.MENDING
        part.counted(3)
        part.mend(clock[0], heard=False)
        assert queueing.installed(part._layout)
        assert switch.agreement()["requeued"] == 1
        run("iptables-nft", "-t", "mangle", "-F")
        part.mend(clock[0] + gating.BREATH // 2, heard=True)  # whoever flushes in a loop does not get all of our time
        assert not queueing.installed(part._layout)
        part.mend(clock[0] + gating.BREATH, heard=False)
        assert queueing.installed(part._layout)


def test_a_kernel_that_cannot_queue_gets_no_rule_that_does_and_bans_all_the_same(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = gatechains.probe(IPSET, 4).replace("-j NFQUEUE --queue-num 5060 --queue-bypass", "-j NOSUCH")
    monkeypatch.setattr(gatechains, "probe", lambda _layout, _version: unknown)
    wanted = book()
    switch.take(Stance.ENFORCE, IPSET, wanted.wanted(), [])
    assert switch.gate == ""
    assert "NOSUCH" in switch.gate_fault
    assert "NFQUEUE" not in run("iptables-save")
    assert gatechains.PROBE not in run("iptables-save")
    assert not go_on(switch, wanted, alive, 0.5)
    assert {held.network for held in switch.held()} == {held.network for held in wanted.wanted()}


def test_a_back_end_that_cannot_hold_packets_holds_none_and_says_so(switch: Switch) -> None:
    layout = replace(WISH, backend="dryrun")
    for before in (Stance.OFF, Stance.ENFORCE):
        switch.take(before, WISH, book().wanted(), [])
        assert bool(switch.gate) is (before is Stance.ENFORCE)
        switch.take(Stance.ENFORCE, layout, book().wanted(), [])
        assert switch.gating() == {"by": "", "fault": switch.gate_fault}
        assert layout.backend in switch.gate_fault
        assert switch.due() >= FOREVER
        switch.judging(now())
        ruleset = run("nft", "list", "ruleset") + run("iptables-save")
        assert "NFQUEUE" not in ruleset
        assert ":SIPGUARD " not in ruleset
        assert not alive()


@both
@pytest.mark.parametrize("stance", [Stance.OFF, Stance.OBSERVE])
def test_where_nothing_is_to_be_stopped_nothing_waits(switch: Switch, stance: Stance, wish: Layout) -> None:
    wanted = book()
    switch.take(Stance.ENFORCE, wish, wanted.wanted(), [])
    assert go_on(switch, wanted, alive)
    switch.take(stance, wish, wanted.wanted(), [])
    switch.judging(now())
    assert switch.gating() == {"by": "", "fault": ""}
    assert not alive()
    marking = ("mark set", "--set-xmark", "NFQUEUE", *(("SIPGUARD",) if wish is WISH else ()))
    assert [line for line in rules() if any(word in line for word in marking)] == []


def test_passing_from_one_back_end_to_the_other_leaves_one_gate(switch: Switch) -> None:
    wanted = book()
    for wish in (WISH, IPSET, WISH, IPSET):
        switch.take(Stance.ENFORCE, wish, wanted.wanted(), [])
        assert switch.gate
        assert go_on(switch, wanted, alive)
        assert ("SIPGUARD-QUEUE" in run("iptables-save")) is (wish is IPSET)
        assert ("-j SIPGUARD\n" in run("iptables-save")) is (switch.gate == "iptables" and wish is WISH)
        assert table() is (wish is WISH)


@both
def test_a_dead_guards_gate_is_opened_with_everything_else_whatever_is_left_of_it(switch: Switch, wish: Layout) -> None:
    one = ("nft", "delete", "table", "inet", "sipguard") if wish is WISH else ("iptables", "-t", "mangle", "-F")
    for damage in (None, one):
        switch.take(Stance.ENFORCE, wish, book().wanted(), [])
        if damage:
            run(*damage)
        panic_off()
        assert rules() == []
        assert "SIPGUARD" not in run("iptables-nft-save") + run("ip6tables-nft-save")
