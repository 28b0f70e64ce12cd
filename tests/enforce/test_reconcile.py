"""The plan: applied, it makes what is enforced what is wanted; never does it add what is exempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.enforce.base import Plan
from sipguard.enforce.reconcile import HARMFUL, LONGEST, is_host, plan
from sipguard.model import SECOND, Held, SetName
from sipguard.netset import NetSet

V4, V6 = b"\xc0\x00\x02", b"\x20\x01\x0d\xb8\0\0\0"


@st.composite
def networks(draw: st.DrawFn) -> Network:
    if draw(st.booleans()):
        shift = draw(st.integers(0, 8))
        return Network(V4 + bytes([draw(st.integers(0, 255)) >> shift << shift]), 32 - shift)
    shift = draw(st.integers(0, 8))
    return Network(V6 + bytes([draw(st.integers(0, 255)) >> shift << shift]) + bytes(8), 64 - shift)


@st.composite
def holds(draw: st.DrawFn) -> Held:
    name, network = draw(st.sampled_from(SetName)), draw(networks())
    return Held(name, network, 0 if name is SetName.ALLOWED else draw(st.integers(1, 9)) * 10 * SECOND)


many = st.lists(holds(), max_size=14)
exempt = st.lists(networks(), max_size=3).map(NetSet)
ADDRESSES = [V4 + bytes([last]) for last in range(256)] + [V6 + bytes([last]) + bytes(8) for last in range(256)]


def applied(enforced: frozenset[Held], change: Plan) -> frozenset[Held]:
    keys = {(held.set, held.network) for held in (*change.remove, *change.refresh)}
    return frozenset(held for held in enforced if held[:2] not in keys) | set(change.add) | set(change.refresh)


@given(many, many, exempt)
def test_a_second_plan_is_empty(wanted: list[Held], before: list[Held], never: NetSet) -> None:
    enforced = applied(frozenset(), plan(before, (), NetSet()))
    after = applied(enforced, plan(wanted, enforced, never))
    assert not plan(wanted, after, never)


@given(many, many, exempt)
def test_every_address_is_held_until_the_latest_end_wanted_and_the_exempt_never(
    wanted: list[Held], before: list[Held], never: NetSet
) -> None:
    enforced = applied(frozenset(), plan(before, (), NetSet()))
    after = applied(enforced, plan(wanted, enforced, never))
    for address in ADDRESSES:
        for name in SetName:
            want = [held.until for held in wanted if held.set is name and reaches(held, address, never)]
            have = [held.until for held in after if held.set is name and held.network.covers(address)]
            assert max(have, default=None) == max(want, default=None)


def reaches(held: Held, address: bytes, never: NetSet) -> bool:
    """Tell whether a hold should be in force on an address: a host that touches the exempt is left out whole."""
    harmless = held.set not in HARMFUL
    whole = is_host(held.network) or held.set is SetName.THROTTLED
    exempt_here = never.overlaps(held.network) if whole else never.covers(address)
    return held.network.covers(address) and (harmless or not exempt_here)


@given(many, many, exempt)
def test_nothing_exempt_is_ever_added(wanted: list[Held], before: list[Held], never: NetSet) -> None:
    change = plan(wanted, before, never)
    for held in (*change.add, *change.refresh):
        assert held.set not in HARMFUL or not never.overlaps(held.network)


@given(many, st.integers(-10, 10))
def test_small_differences_of_ends_are_no_reason_to_refresh(wanted: list[Held], tenths: int) -> None:
    enforced = applied(frozenset(), plan(wanted, (), NetSet()))
    shifted = [held._replace(until=held.until + tenths * SECOND // 10) if held.until else held for held in enforced]
    assert not plan(wanted, shifted, NetSet())


def test_an_end_beyond_the_kernel_is_refreshed_once_and_not_for_ever() -> None:
    held = Held(SetName.BLOCKED, parse_network("192.0.2.1"), LONGEST * 4)
    change = plan([held], [], NetSet())
    assert change.add == (held._replace(until=LONGEST),)
    assert not plan([held], change.add, NetSet())


def test_a_ban_of_everything_leaves_our_own_address_out() -> None:
    own = parse_network("198.51.100.7")
    change = plan([Held(SetName.BLOCKED, parse_network("0.0.0.0/0"), SECOND)], [], NetSet([own]))
    assert len(change.add) == 32
    assert not any(held.network.covers(own.address) for held in change.add)


def test_a_64_that_holds_our_own_address_is_left_out_whole() -> None:
    wanted = [Held(SetName.BLOCKED, parse_network("2001:db8::/64"), SECOND)]
    assert not plan(wanted, [], NetSet([parse_network("2001:db8::5")]))


def test_a_mapped_address_is_banned_as_what_it_is() -> None:
    mapped = Network(b"\0" * 10 + b"\xff\xff\xc0\0\2\1", 128)
    change = plan([Held(SetName.BLOCKED, mapped, SECOND)], [], NetSet())
    assert change.add == (Held(SetName.BLOCKED, parse_network("192.0.2.1"), SECOND),)
    assert not plan([Held(SetName.BLOCKED, mapped, SECOND)], [], NetSet([parse_network("192.0.2.1")]))
