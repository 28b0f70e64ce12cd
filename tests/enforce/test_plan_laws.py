"""The laws of the plan, for any overlapping networks and times, whatever was held before and whoever put it there.

Tried on the dry run, which keeps time as the kernel does, and on the kernel itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.enforce.base import Enforcer, Layout, Plan
from sipguard.enforce.dryrun import DryRun
from sipguard.enforce.nft import Nft
from sipguard.enforce.reconcile import HARMFUL, plan, wish
from sipguard.model import SECOND, Held, Instant, SetName
from sipguard.netset import NetSet
from tests.enforce.spaces import inside, now, run, space

TOPS = (b"\0\0\0", b"\xc0\x00\x02", b"\xff\xff\xff")
V6 = (bytes(7), b"\x20\x01\x0d\xb8\0\0\0", b"\xff" * 7)


def network(version: int, top: int, last: int, shift: int) -> Network:
    last = last >> shift << shift
    if version == 4:
        return Network(TOPS[top] + bytes([last]), 32 - shift)
    return Network(V6[top] + bytes([last]) + bytes(8), 64 - shift)


networks = st.builds(network, st.sampled_from((4, 6)), st.integers(0, 2), st.integers(0, 255), st.integers(0, 8))
whole = st.sampled_from([parse_network("0.0.0.0/0"), parse_network("::/0"), parse_network("128.0.0.0/1")])
inner = st.builds(lambda last: Network(V6[1] + bytes([last, 0, 0, 0, 0, 0, 0, 0, 5]), 128), st.integers(0, 255))


@st.composite
def holds(draw: st.DrawFn) -> Held:
    name = draw(st.sampled_from(SetName))
    where = draw(networks | whole) if name in {SetName.ALLOWED, SetName.BLOCKED} else network(
        draw(st.sampled_from((4, 6))), draw(st.integers(0, 2)), draw(st.integers(0, 255)), 0
    )  # fmt: skip
    return Held(name, where, 0 if name is SetName.ALLOWED else draw(st.integers(1, 40)) * 5 * SECOND)


many = st.lists(holds(), max_size=14)
exempt = st.lists(networks | inner, max_size=3)
times = st.integers(0, 30).map(lambda number: number * 5 * SECOND)


class Time:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.at: Instant = 0

    def __call__(self) -> Instant:
        return self.at


def alive(wanted: list[Held], at: Instant) -> list[Held]:
    return [held for held in wanted if not held.until or held.until > at]


def keyed(holds: Iterator[Held] | list[Held] | frozenset[Held]) -> dict[tuple[SetName, Network], Instant]:
    return {(held.set, held.network): held.until for held in holds}


@given(many, many, exempt, times)
def test_an_applied_plan_makes_what_is_held_what_is_wanted_at_any_later_time(
    before: list[Held], wanted: list[Held], never: list[Network], later: Instant
) -> None:
    clock = Time()
    enforcer = DryRun(clock)
    for held in plan(before, (), NetSet()).add:
        enforcer.hold(held)
    clock.at = later
    enforcer.protect(never)
    live = alive(wanted, later)
    answers = enforcer.apply(plan(live, enforcer.held(), NetSet(never), slack=0))
    assert all(answer.ok for answer in answers)
    assert keyed(enforcer.held()) == wish(live, NetSet(never))
    assert not plan(live, enforcer.held(), NetSet(never), slack=0)


@given(many, many, exempt, times)
def test_what_is_exempt_is_in_no_plan_but_to_be_taken_out(
    before: list[Held], wanted: list[Held], never: list[Network], at: Instant
) -> None:
    spared = NetSet(never)
    change = plan(alive(wanted, at), before, spared)
    assert not [one for one in (*change.add, *change.refresh) if one.set in HARMFUL and spared.overlaps(one.network)]
    stays = {one[:2] for one in before} - {one[:2] for one in change.remove}
    assert not [key for key in stays if key[0] in HARMFUL and spared.overlaps(key[1])], "what became exempt is freed"


@given(many, many, exempt)
def test_no_two_networks_of_a_plan_share_an_address(
    before: list[Held], wanted: list[Held], never: list[Network]
) -> None:
    target = wish(wanted, NetSet(never))
    for name in (SetName.ALLOWED, SetName.BLOCKED):
        for version in (4, 6):
            nets = sorted(net for (held, net) in target if held is name and net.version == version and not single(net))
            assert all(not first.covers(second.address) for first, second in pairwise(nets))
    removed = {one[:2] for one in plan(wanted, before, NetSet(never)).remove}
    assert not removed & set(target), "what is wanted is never taken out"


def single(net: Network) -> bool:
    return net.prefix == (32 if net.version == 4 else 64)


@given(st.permutations(range(8)), st.lists(holds(), min_size=8, max_size=8), exempt)
def test_the_order_in_which_things_are_wanted_changes_nothing(
    order: list[int], wanted: list[Held], never: list[Network]
) -> None:
    assert plan(wanted, (), NetSet(never)) == plan([wanted[place] for place in order], (), NetSet(never))


# --- The kernel -------------------------------------------------------------------------------------------------------


@pytest.fixture
def nft() -> Iterator[Nft]:
    with space() as name, inside(name):
        made = Nft(Layout(), now)
        made.install()
        yield made
        made.close()


def random_holds(rng: random.Random) -> list[Held]:
    wanted = []
    for _each in range(rng.randint(0, 30)):
        name = rng.choice(list(SetName))
        shift = rng.randint(0, 8) if name in {SetName.ALLOWED, SetName.BLOCKED} else 0
        net = network(rng.choice((4, 6)), rng.randrange(3), rng.randrange(256), shift)
        wanted.append(Held(name, net, 0 if name is SetName.ALLOWED else now() + rng.randint(60, 900) * SECOND))
    return wanted


def disturbed(nft: Enforcer, rng: random.Random) -> None:
    """Take out and put in what nobody asked for, as somebody with root and a shell would."""
    present = sorted(nft.held())
    nft.apply(Plan(remove=tuple(rng.sample(present, len(present) // 3))))
    if rng.random() < 0.3:
        run("nft", "flush", "set", "inet", "sipguard", rng.choice(["blocked4", "blocked_nets4", "allowed6"]))
    for held in random_holds(rng)[:5]:
        nft.hold(held)


@pytest.mark.root
@pytest.mark.parametrize("seed", range(6))
def test_in_the_kernel_too_one_plan_is_enough_and_the_second_is_empty(nft: Nft, seed: int) -> None:
    rng = random.Random(seed)
    for _round in range(6):
        wanted = random_holds(rng)
        never = [network(4, rng.randrange(3), rng.randrange(256), 0) for _each in range(rng.randrange(3))]
        nft.protect(never)
        disturbed(nft, rng)
        change = plan(wanted, nft.held(), NetSet(never))
        answers = nft.apply(change)
        assert all(answer.ok for answer in answers), [answer for answer in answers if not answer.ok]
        assert not plan(wanted, nft.held(), NetSet(never))
        assert set(keyed(nft.held())) == set(wish(wanted, NetSet(never)))
