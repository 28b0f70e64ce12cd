"""Logged packets: read in order, whatever stands between them; garbage is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.netfilter import nflog, nfnetlink


def logged(payload: bytes, number: int = 1, hook: int = 0, *more: bytes) -> bytes:
    body = nfnetlink.generic(2, 17)
    body += nfnetlink.attribute(1, b"\x08\x00" + bytes([hook]) + b"\0") + b"".join(more)
    body += nfnetlink.attribute(12, number.to_bytes(4, "big")) + nfnetlink.attribute(9, payload)
    return nfnetlink.message(nflog.PACKET, 0, 0, body)


def read(data: bytes) -> tuple[list[nflog.Packet], int]:
    found: list[nflog.Packet] = []
    return found, nflog.packets(data, found)


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 4)), max_size=8))
def test_packets_are_read_whole_and_in_order(sent: list[tuple[bytes, int]]) -> None:
    data = b"".join(logged(payload, number, hook) for number, (payload, hook) in enumerate(sent))
    found, faults = read(data)
    assert [(one.payload, one.hook, one.number) for one in found] == [
        (payload, hook, number) for number, (payload, hook) in enumerate(sent)
    ]
    assert faults == 0


def test_details_are_read_on_demand() -> None:
    more = (
        nfnetlink.attribute(10, b"in\0"),
        nfnetlink.attribute(4, b"\0\0\0\7"),
        nfnetlink.attribute(2, b"\0\0\1\0"),
    )
    found, _faults = read(logged(b"packet", 1, 3, *more))
    assert found[0].details() == (256, 7, 0, "in")
    assert read(logged(b"packet"))[0][0].details() == (0, 0, 0, "")


def test_a_gathering_ends_with_a_message_that_is_no_packet() -> None:
    done = nfnetlink.message(nfnetlink.DONE, nfnetlink.MULTI, 0, bytes(4))
    found, faults = read(logged(b"one") + logged(b"two") + done)
    assert [one.payload for one in found] == [b"one", b"two"]
    assert faults == 0


def test_a_refused_request_is_counted_and_an_acknowledgement_is_not() -> None:
    refused = nfnetlink.message(nfnetlink.REPLY, 0, 4, (-22).to_bytes(4, "little", signed=True))
    fine = nfnetlink.message(nfnetlink.REPLY, 0, 4, bytes(4))
    assert read(refused + fine + logged(b"x"))[1] == 1


def test_a_packet_without_payload_or_hook_is_one_fault_and_its_neighbours_stand() -> None:
    bare = nfnetlink.message(nflog.PACKET, 0, 0, nfnetlink.generic(2) + nfnetlink.attribute(1, bytes(4)))
    hookless = nfnetlink.message(nflog.PACKET, 0, 0, nfnetlink.generic(2) + nfnetlink.attribute(9, b"xx"))
    found, faults = read(logged(b"one") + bare + hookless + logged(b"two"))
    assert [one.payload for one in found] == [b"one", b"two"]
    assert faults == 2


@given(st.binary(max_size=400))
def test_garbage_is_read_without_an_exception(data: bytes) -> None:
    found, faults = read(data)
    assert found or faults or nfnetlink.messages(data)[0] or not data


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6), st.integers(0, 200))
def test_broken_packets_are_read_without_an_exception(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(logged(b"INVITE", 1) + logged(b"REGISTER", 2, 3, nfnetlink.attribute(4, bytes(4))))
    for at, value in changes:
        data[at % len(data)] = value
    found, _faults = read(bytes(data[: len(data) - cut % len(data)]))
    assert all(one.payload in data for one in found)


def test_requests_are_what_the_kernel_reads() -> None:
    bind = nfnetlink.messages(nflog.command(5060, nflog.BIND, 1))[0][0]
    assert bind.kind == 0x0401
    assert bind.body[:4] == b"\0\0\x13\xc4"
    assert nfnetlink.attributes(bind.body, 4) == ({1: b"\1"}, 0)
    tuned = nfnetlink.messages(nflog.tune(1, 2, threshold=64, timeout_centiseconds=1))[0][0]
    assert nfnetlink.attributes(tuned.body, 4) == ({5: b"\0\0\0\x40", 4: b"\0\0\0\1"}, 0)
    assert not tuned.flags & nfnetlink.ACKNOWLEDGE
