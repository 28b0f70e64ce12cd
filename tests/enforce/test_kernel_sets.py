"""Elements in the real kernel's sets: held, refreshed, expired, released; in throw-away namespaces."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from sipguard.address import Network, parse_network
from sipguard.enforce import elements, ruletext, skeleton
from sipguard.enforce.base import Enforcer, Layout, Plan
from sipguard.enforce.ipsets import Ipsets
from sipguard.enforce.nft import Nft
from sipguard.enforce.panic import panic_off
from sipguard.enforce.reconcile import plan
from sipguard.errors import AdapterError
from sipguard.model import MILLISECOND, SECOND, Held, Instant, SetName
from sipguard.netset import NetSet
from tests.enforce.spaces import inside, now, run, space, wait_for

pytestmark = [pytest.mark.root, pytest.mark.kernel]


@pytest.fixture(params=[Nft, Ipsets], ids=["nftables", "iptables"])
def enforcer(request: pytest.FixtureRequest) -> Iterator[Nft | Ipsets]:
    """Give each back end: what is claimed with this is their contract."""
    with space() as name, inside(name):
        made: Nft | Ipsets = request.param(Layout(), now)
        made.install()
        yield made
        made.close()


@pytest.fixture
def nft() -> Iterator[Nft]:
    with space() as name, inside(name):
        made = Nft(Layout(), now)
        made.install()
        yield made
        made.close()


def block(network: str, seconds: float = 60.0, name: SetName = SetName.BLOCKED) -> Held:
    return Held(name, parse_network(network), now() + int(seconds * SECOND))


def ends(enforcer: Enforcer) -> dict[str, float]:
    """Tell what is held, with the seconds left."""
    return {str(held.network): (held.until - now()) / SECOND for held in enforcer.held()}


def test_installing_twice_keeps_what_is_held(enforcer: Nft | Ipsets) -> None:
    wanted = [
        block("192.0.2.1"),
        block("2001:db8::/64"),
        block("198.51.100.0/24"),
        block("192.0.2.9", 60, SetName.TRUSTED),
    ]
    wanted.append(Held(SetName.ALLOWED, parse_network("203.0.113.0/24")))
    assert all(enforcer.hold(held).ok for held in wanted)
    enforcer.install()
    other = type(enforcer)(Layout(scope="all", closed=True), now)
    other.install()
    other.close()
    assert not plan(wanted, enforcer.held(), NetSet())


def test_a_table_of_an_older_shape_is_replaced_and_keeps_its_bans() -> None:
    with space() as name, inside(name):
        run("nft", "-f", "-", text=f"""
            add table inet {ruletext.TABLE}
            add set inet sipguard blocked4 {{ type ipv4_addr; flags timeout; counter; }}
            add set inet sipguard trusted4 {{ type ipv4_addr; flags interval,timeout; }}
            add element inet sipguard blocked4 {{ 192.0.2.66 timeout 77s }}
            """)  # fmt: skip
        nft = Nft(Layout(), now)
        nft.install()
        assert 70 < ends(nft)["192.0.2.66"] <= 77
        assert nft.hold(block("192.0.2.1", name=SetName.TRUSTED)).ok
        nft.close()


def test_a_refresh_shortens_and_lengthens(enforcer: Nft | Ipsets) -> None:
    for network in ("192.0.2.1", "2001:db8::/64", "198.51.100.0/24"):
        for seconds in (100, 10, 1_000):
            assert enforcer.hold(block(network, seconds)).ok
            assert abs(ends(enforcer)[network] - seconds) < 2


def test_a_ban_runs_out_by_itself(enforcer: Nft | Ipsets) -> None:
    assert enforcer.hold(block("192.0.2.1", 0.1)).ok
    assert enforcer.hold(block("198.51.100.0/24", 0.1)).ok
    assert wait_for(lambda: not enforcer.held())
    assert enforcer.hold(block("198.51.100.0/24", 60)).ok, "what has run out is not in the way"
    assert set(ends(enforcer)) == {"198.51.100.0/24"}


def test_releasing_what_is_not_there_is_no_failure(enforcer: Nft | Ipsets) -> None:
    for network in ("192.0.2.1", "2001:db8::/64", "198.51.100.0/24"):
        assert enforcer.release(block(network)).ok
        assert enforcer.hold(block(network)).ok
        assert enforcer.release(block(network)).ok
    assert not enforcer.held()


def test_absent_elements_in_a_plan_do_not_keep_the_others_in(enforcer: Nft | Ipsets) -> None:
    there = [block(f"192.0.2.{last}") for last in range(0, 40, 2)]
    gone = [block(f"192.0.2.{last}") for last in range(1, 40, 2)]
    enforcer.apply(Plan(add=tuple(there)))
    answers = enforcer.apply(Plan(remove=tuple(sorted(there + gone))))
    assert len(answers) == 40
    assert all(answer.ok for answer in answers)
    assert not enforcer.held()


def test_one_bad_element_does_not_keep_the_others_out(enforcer: Nft | Ipsets) -> None:
    good = [block(f"192.0.2.{last}") for last in range(30)] + [block("198.51.100.0/24"), block("2001:db8::/64")]
    bad = [
        Held(SetName.BLOCKED, Network(b"\1\2\3\4", 24), now() + SECOND * 60),
        Held(SetName.TRUSTED, parse_network("192.0.2.0/24"), now() + SECOND * 60),
        Held(SetName.BLOCKED, parse_network("192.0.2.99")),
        block("192.0.2.98", -1),
    ]
    answers = enforcer.apply(Plan(add=(*good[:15], *bad, *good[15:])))
    assert {answer.hold for answer in answers if not answer.ok} == set(bad)
    assert {(held.set, held.network) for held in enforcer.held()} == {(held.set, held.network) for held in good}


def test_a_full_set_refuses_what_is_new_and_still_refreshes_what_is_there() -> None:
    with space() as name, inside(name):
        small = skeleton.render(Layout()).replace(f"size {skeleton.BLOCKED_SIZE}", "size 4")
        run("nft", "-f", "-", text=small)
        nft = Nft(Layout(), now)
        answers = nft.apply(Plan(add=tuple(block(f"192.0.2.{last}") for last in range(4))))
        assert all(answer.ok for answer in answers)
        refused = nft.hold(block("192.0.2.9"))
        assert (refused.ok, refused.why) == (False, "the set is full")
        assert nft.hold(block("192.0.2.3", 500)).ok
        assert ends(nft)["192.0.2.3"] > 400
        nft.close()


def test_without_a_table_every_answer_says_so_and_nothing_is_raised() -> None:
    with space() as name, inside(name):
        nft = Nft(Layout(), now)
        assert nft.hold(block("192.0.2.1")).why == "the table is missing"
        assert nft.hold(block("198.51.100.0/24")).why == "the table is missing"
        assert nft.release(block("192.0.2.1")).ok
        assert nft.held() == frozenset()
        answers = nft.apply(Plan(add=(block("192.0.2.1"), block("198.51.100.0/24"))))
        assert [answer.ok for answer in answers] == [False, False]
        nft.close()


def test_opening_all_is_the_same_with_and_without_a_table(nft: Nft) -> None:
    nft.hold(block("192.0.2.1"))
    panic_off()
    assert run("nft", "list", "ruleset") == ""
    panic_off()
    nft.uninstall()
    nft.install()
    assert nft.hold(block("192.0.2.1")).ok


def test_another_tools_table_stays_byte_for_byte(nft: Nft) -> None:
    theirs = """
        add table inet f2b-table
        add set inet f2b-table addr-set { type ipv4_addr; flags interval; }
        add element inet f2b-table addr-set { 192.0.2.1, 10.0.0.0/8 }
        add chain inet f2b-table input { type filter hook input priority -1; }
        add rule inet f2b-table input ip saddr @addr-set reject
        add table ip sipguard
        add chain ip sipguard raw { type filter hook prerouting priority -300; }
        add rule ip sipguard raw counter packets 5 bytes 9 accept
        """
    run("nft", "-f", "-", text=theirs)

    def listed() -> str:
        return run("nft", "list", "table", "inet", "f2b-table") + run("nft", "list", "table", "ip", "sipguard")

    before = listed()
    nft.install()
    for network in ("192.0.2.1", "10.0.0.0/8", "10.1.0.0/16"):
        assert nft.hold(block(network)).ok
    nft.apply(plan([], nft.held(), NetSet()))
    nft.uninstall()
    panic_off()
    assert listed() == before


def test_an_end_beyond_the_kernel_and_a_mapped_address_and_the_whole_internet_are_held(nft: Nft) -> None:
    mapped = Network(b"\0" * 10 + b"\xff\xff\xc0\0\2\7", 128)
    wanted = [
        Held(SetName.BLOCKED, parse_network("192.0.2.1"), 10**30),
        Held(SetName.BLOCKED, mapped, now() + 60 * SECOND),
        Held(SetName.BLOCKED, parse_network("0.0.0.0/0"), now() + 60 * SECOND),
        Held(SetName.BLOCKED, parse_network("::/0"), now() + 60 * SECOND),
    ]
    assert [answer.why for answer in nft.apply(plan(wanted, nft.held(), NetSet()))] == [""] * 4
    assert not plan(wanted, nft.held(), NetSet())
    for held in wanted:
        assert nft.hold(held).ok
    assert set(ends(nft)) == {"192.0.2.1", "192.0.2.7", "0.0.0.0/0", "::/0"}


def test_no_ban_ever_holds_a_protected_address(enforcer: Nft | Ipsets) -> None:
    own = parse_network("192.0.2.1")
    enforcer.protect([own, parse_network("2001:db8::1")])
    assert not enforcer.hold(block("192.0.2.1")).ok
    assert not enforcer.hold(block("2001:db8::/64")).ok
    assert not enforcer.hold(block("192.0.2.1", name=SetName.THROTTLED)).ok
    assert enforcer.hold(block("192.0.2.1", name=SetName.TRUSTED)).ok
    assert enforcer.hold(block("0.0.0.0/0")).ok
    assert enforcer.hold(block("2001:db8::/32")).ok
    banned = [held for held in enforcer.held() if held.set is SetName.BLOCKED]
    assert len(banned) > 32
    assert not any(held.network.covers(own.address) for held in banned)


def test_a_ten_thousandfold_restore_is_complete_and_its_second_plan_empty(enforcer: Nft | Ipsets) -> None:
    until = now() + 900 * SECOND
    wanted = [
        Held(SetName.BLOCKED, Network(bytes([10, high, low, 1]), 32), until) for high in range(40) for low in range(250)
    ]
    wanted += [Held(SetName.BLOCKED, Network(bytes([11, low, 0, 0]), 16), until + low * SECOND) for low in range(250)]
    assert all(answer.ok for answer in enforcer.apply(plan(wanted, enforcer.held(), NetSet())))
    # The kernel goes on enlarging its table for a moment, and what is read meanwhile may lack elements (rhashtable).
    # ipset tells whole seconds, and on an emulated processor it takes some of them to read.
    slack = SECOND if isinstance(enforcer, Nft) else 9 * SECOND
    assert wait_for(lambda: not plan(wanted, enforcer.held(), NetSet(), slack), 30)


def test_the_whole_internet_is_held_and_let_go(enforcer: Nft | Ipsets) -> None:
    mapped = Network(b"\0" * 10 + b"\xff\xff\xc0\0\2\7", 128)
    wanted = [
        Held(SetName.BLOCKED, mapped, now() + 60 * SECOND),
        block("0.0.0.0/0"),
        block("::/0"),
        Held(SetName.ALLOWED, parse_network("10.0.0.0/8")),
    ]
    assert [answer.why for answer in enforcer.apply(plan(wanted, enforcer.held(), NetSet()))] == [""] * 4
    assert not plan(wanted, enforcer.held(), NetSet())
    assert set(ends(enforcer)) == {"192.0.2.7", "0.0.0.0/0", "::/0", "10.0.0.0/8"}
    enforcer.apply(plan([], enforcer.held(), NetSet()))
    assert not enforcer.held()


def test_uninstalled_nothing_is_left_and_doing_it_twice_is_no_error(enforcer: Nft | Ipsets) -> None:
    enforcer.hold(block("192.0.2.1"))
    enforcer.uninstall()
    enforcer.uninstall()
    assert "sipguard" not in run("nft", "list", "ruleset").lower() + run("ipset", "list") + run("iptables-save").lower()
    assert not enforcer.hold(block("192.0.2.1")).ok
    assert enforcer.release(block("192.0.2.1")).ok
    assert enforcer.held() == frozenset()
    enforcer.install()
    assert enforcer.hold(block("192.0.2.1")).ok


def test_other_rules_and_sets_stay_byte_for_byte(enforcer: Nft | Ipsets) -> None:
    enforcer.uninstall()
    run("ipset", "create", "f2b-sshd", "hash:ip")
    run("ipset", "add", "f2b-sshd", "192.0.2.77")
    for program, address in (("iptables", "192.0.2.78"), ("ip6tables", "2001:db8::78")):
        run(program, "-t", "raw", "-A", "PREROUTING", "-s", address, "-j", "DROP")
        run(program, "-t", "mangle", "-N", "THEIRS")
        run(program, "-t", "mangle", "-A", "FORWARD", "-j", "THEIRS")

    def listed() -> list[str]:
        saved = run("iptables-save") + run("ip6tables-save") + run("ipset", "save")
        return [
            line for line in saved.splitlines() if "SIPGUARD" not in line.upper() and line[:1] not in {"#", ":", ""}
        ]

    before = listed()
    enforcer.install()
    enforcer.install()
    enforcer.hold(block("192.0.2.77"))
    assert [line for line in listed() if line not in {"*raw", "*mangle", "COMMIT"}] == [
        line for line in before if line not in {"*raw", "*mangle", "COMMIT"}
    ]
    enforcer.uninstall()
    assert listed() == before


@pytest.mark.parametrize("seed", range(3))
def test_one_plan_is_enough_whatever_was_there(enforcer: Nft | Ipsets, seed: int) -> None:
    rng = random.Random(seed)
    for _round in range(4):
        wanted = [
            block(f"192.0.2.{rng.randrange(256) >> bits << bits}/{32 - bits}", rng.randint(60, 900))
            for bits in (rng.randint(0, 7) for _each in range(12))
        ]
        never = NetSet([parse_network(f"192.0.2.{rng.randrange(256)}")])
        answers = enforcer.apply(plan(wanted, enforcer.held(), never))
        assert all(answer.ok for answer in answers)
        assert not plan(wanted, enforcer.held(), never, slack=2 * SECOND)
        assert not [held for held in enforcer.held() if never.overlaps(held.network)]


def test_counters_are_told_by_name_and_by_ban(nft: Nft) -> None:
    nft.hold(block("192.0.2.1"))
    nft.hold(block("198.51.100.0/24"))
    counters = nft.counters()
    assert {one.name for one in counters.named} == set(skeleton.COUNTERS)
    assert {one.name for one in counters.blocked} == {"192.0.2.1", "198.51.100.0/24"}


@pytest.mark.parametrize("top", [b"\xff\xff\xff", b"\0\0\0"])
def test_whatever_networks_come_and_go_each_address_is_held_as_the_ledger_says(
    enforcer: Nft | Ipsets, top: bytes
) -> None:
    grain = (
        500 * MILLISECOND if isinstance(enforcer, Nft) else 9 * SECOND
    )  # ipset counts whole seconds, and each cut rounds
    rng = random.Random(4)
    ledger: list[Instant] = [0] * 256
    for _step in range(120):
        bits = rng.randint(1, 8)
        first = rng.randrange(256) >> bits << bits
        network, spread = Network(top + bytes([first]), 32 - bits), range(first, first + (1 << bits))
        if rng.random() < 0.7:
            until = now() + rng.randint(60, 4_000) * SECOND
            exact = any(held.network == network for held in enforcer.held())
            assert enforcer.hold(Held(SetName.BLOCKED, network, until)).ok
            for last in spread:
                ledger[last] = until if exact else max(ledger[last], until)
        else:
            assert enforcer.release(Held(SetName.BLOCKED, network)).ok
            for last in spread:
                ledger[last] = 0
        held = enforcer.held()
        for last in range(256):
            found = [one.until for one in held if one.network.covers(top + bytes([last]))]
            assert len(found) == (1 if ledger[last] else 0)
            assert not found or abs(found[0] - ledger[last]) < grain


def test_an_expired_network_neither_cuts_nor_widens_a_newer_one(nft: Nft) -> None:
    """In a set of starts and ends the end of the expired one would do both (see elements.py)."""
    assert nft.hold(block("192.0.2.48/28", 0.05)).ok
    time.sleep(0.1)
    assert nft.hold(block("192.0.2.32/27")).ok
    assert nft.hold(block("192.0.2.128/25")).ok
    for number in range(3):
        assert nft.hold(block(f"198.51.{number}.0/24")).ok
        assert {"192.0.2.32/27", "192.0.2.128/25"} <= set(ends(nft))
    for address, banned in (("192.0.2.63", True), ("192.0.2.64", False), ("192.0.2.100", False), ("192.0.2.31", False)):
        asked = run("sh", "-c", f"nft get element inet sipguard blocked_nets4 '{{ {address} . ipv4 }}' 2>&1 || true")
        assert ("timeout" in asked) is banned, asked


def test_bans_stay_when_the_socket_and_its_process_are_gone() -> None:
    with space() as name, inside(name):
        child = os.fork()
        if child == 0:
            nft = Nft(Layout(), now)
            nft.install()
            nft.hold(block("192.0.2.1"))
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        after = Nft(Layout(), now)
        assert set(ends(after)) == {"192.0.2.1"}
        after.install()
        assert set(ends(after)) == {"192.0.2.1"}
        after.close()


def test_a_set_that_cannot_be_read_is_an_adapter_error(enforcer: Nft | Ipsets) -> None:
    enforcer.close()
    with pytest.raises(AdapterError):
        enforcer.held()
    assert not enforcer.hold(block("192.0.2.1")).ok
    assert not enforcer.release(block("192.0.2.1")).ok


def test_every_set_has_its_place_in_the_skeleton() -> None:
    text = skeleton.render(Layout())
    for name in (*elements.HASHED, *elements.INTERVALS):
        assert f"add set inet sipguard {name} " in text
        assert elements.known_as(name) in SetName
