"""The mirror of an interval set: after any changes it answers as a plain dictionary would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.address import Network, parse_network
from sipguard.enforce import elements, mirror
from sipguard.enforce.mirror import Mirror
from sipguard.model import Held, Instant, SetName
from sipguard.netset import NetSet, disjoint


def network(first: int, shift: int) -> Network:
    return Network(b"\xc0\0\2" + bytes([first >> shift << shift]), 32 - shift)


nets = st.builds(network, st.integers(0, 255), st.integers(0, 8))
changes = st.lists(st.tuples(nets, st.integers(0, 5)), max_size=20)


@given(changes, st.lists(nets, max_size=4))
def test_what_touches_a_network_is_found_and_nothing_else(
    held: list[tuple[Network, Instant]], asked: list[Network]
) -> None:
    ends = dict(disjoint(held))
    near = NetSet(asked)
    assert Mirror(ends).touching(asked) == {net: end for net, end in ends.items() if near.overlaps(net)}


@given(st.lists(st.tuples(nets, st.integers(1, 5), st.booleans()), max_size=30), st.sampled_from([0, 64]))
def test_a_change_worked_out_from_what_it_touches_equals_one_worked_out_from_all(
    steps: list[tuple[Network, Instant, bool]], few: int
) -> None:
    whole: dict[Network, Instant] = {}
    part = Mirror({})
    mirror._FEW = few
    for net, end, put in steps:
        wish = elements.Wish(put=(Held(SetName.BLOCKED, net, end),)) if put else elements.Wish(cut=(net,))
        whole = elements.target(whole, wish, lasting=False)
        touched = part.touching([net])
        part.replace(touched, elements.target(touched, wish, lasting=False))
        assert part.ends() == whole
        assert part.touching([parse_network("192.0.2.0/24")]) == whole, "the order is kept, too"
    mirror._FEW = 64


def test_what_is_put_back_at_once_was_never_gone() -> None:
    net = network(16, 4)
    held = Mirror({net: 5})
    held.replace([net], {net: 9})
    assert held.touching([network(17, 0)]) == {net: 9}
    assert len(held) == 1


def test_what_has_run_out_takes_no_memory() -> None:
    held = Mirror({network(0, 0): 5, network(1, 0): 9})
    held.prune(5)
    assert held.ends() == {network(1, 0): 9}
    assert held.touching([network(0, 1)]) == {network(1, 0): 9}
