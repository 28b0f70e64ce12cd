"""Set elements: requests as the kernel reads them, answers read without an exception."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.netfilter import nfnetlink, rtnetlink, sets

KEY = bytes([192, 0, 2, 1])


def answer(*elements: bytes) -> bytes:
    return nfnetlink.generic(1) + nfnetlink.nested(3, *elements)


def read(body: bytes, *, counted: bool = False) -> tuple[list[sets.Element], int]:
    found: list[sets.Element] = []
    faults = sets.elements(body, found, counted=counted)
    return found, faults


def test_an_element_is_read_with_its_end_and_its_counter() -> None:
    count = nfnetlink.attribute(1, (600).to_bytes(8, "big")) + nfnetlink.attribute(2, (3).to_bytes(8, "big"))
    expression = nfnetlink.nested(7, nfnetlink.text(1, "counter"), nfnetlink.nested(2, count))
    inner = sets.single(KEY, 5_000)[4:] + nfnetlink.attribute(5, (4_500).to_bytes(8, "big")) + expression
    body = answer(nfnetlink.nested(1, inner))
    assert read(body, counted=True) == ([sets.Element(KEY, b"", 5_000, 4_500, 3, 600)], 0)
    assert read(body) == ([sets.Element(KEY, b"", 5_000, 4_500)], 0)


def test_an_interval_is_one_element_with_two_keys() -> None:
    assert read(answer(sets.single(KEY, 9, b"\xff" * 4))) == ([sets.Element(KEY, b"\xff" * 4, 9)], 0)


def test_an_element_without_a_key_is_one_fault_and_its_neighbours_stand() -> None:
    found, faults = read(
        answer(sets.single(KEY), nfnetlink.nested(1, nfnetlink.attribute(4, bytes(8))), sets.single(b"abcd"))
    )
    assert [one.key for one in found] == [KEY, b"abcd"]
    assert faults == 1


@given(st.binary(max_size=300))
def test_garbage_is_read_without_an_exception(data: bytes) -> None:
    read(data, counted=True)
    read(answer(data), counted=True)
    read(answer(nfnetlink.nested(1, data)), counted=True)
    sets.counter(data)
    sets.generation(data)
    for kind in (rtnetlink.NEW_ADDRESS, rtnetlink.NEW_ROUTE, 99):
        message = nfnetlink.Message(kind, 0, 0, data)
        rtnetlink.address(message)
        rtnetlink.gateways(message)


@given(st.binary(max_size=60))
def test_a_route_of_many_ways_is_read_without_an_exception(data: bytes) -> None:
    body = bytes(12) + nfnetlink.attribute(9, data)
    assert all(len(one.address) in {4, 16} for one in rtnetlink.gateways(nfnetlink.Message(24, 0, 0, body)))


def test_a_cut_stencil_says_the_same_as_the_long_way() -> None:
    for key in (KEY, bytes(range(16))):
        stencil = sets.Stencil("sipguard", "blocked", len(key))
        new = [sets.single(key, 1_234)]
        body = sets.change(sets.NEW_ELEMENT, "sipguard", "blocked", new, 9, acknowledge=False)
        delete = [sets.single(key)]
        body += sets.change(sets.DELETE_ELEMENT, "sipguard", "blocked", delete, 9, acknowledge=False)
        body += sets.change(sets.NEW_ELEMENT, "sipguard", "blocked", new, 9, acknowledge=True)
        assert stencil.refresh(key, 1_234, 9) == nfnetlink.batch(body, 9)
        gone = sets.change(sets.DELETE_ELEMENT, "sipguard", "blocked", delete, 9, acknowledge=True)
        assert stencil.remove(key, 9) == nfnetlink.batch(gone, 9)


def test_many_elements_are_spread_over_messages_and_only_the_last_asks_for_an_answer() -> None:
    written = [sets.single(number.to_bytes(4, "big"), 1_000) for number in range(5_000)]
    messages, faults = nfnetlink.messages(
        sets.change(sets.NEW_ELEMENT, "sipguard", "blocked4", written, 1, acknowledge=True)
    )
    assert faults == 0
    assert len(messages) > 1
    assert [bool(one.flags & nfnetlink.ACKNOWLEDGE) for one in messages] == [False] * (len(messages) - 1) + [True]
    found: list[sets.Element] = []
    for one in messages:
        sets.elements(one.body, found)
    assert [element.key for element in found] == [number.to_bytes(4, "big") for number in range(5_000)]


def test_a_timeout_beyond_the_kernel_is_the_longest_it_takes() -> None:
    found, _faults = read(answer(sets.single(KEY, 1 << 80)))
    assert found[0].timeout == sets.LONGEST_MILLISECONDS < 2**64 // 1_000_000
