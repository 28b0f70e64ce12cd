"""Queued packets: read in order, whatever stands between them; verdicts as the kernel reads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipguard.netfilter import nfnetlink, nfqueue


def held(payload: bytes, number: int = 1, hook: int = 0, *more: bytes) -> bytes:
    body = nfnetlink.generic(2, 17)
    body += nfnetlink.attribute(1, number.to_bytes(4, "big") + b"\x08\x00" + bytes([hook])) + b"".join(more)
    return nfnetlink.message(nfqueue.PACKET, 0, 0, body + nfnetlink.attribute(10, payload))


def read(data: bytes) -> tuple[list[nfqueue.Packet], int]:
    found: list[nfqueue.Packet] = []
    return found, nfqueue.packets(data, found)


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 4)), max_size=8))
def test_packets_are_read_whole_and_in_order(sent: list[tuple[bytes, int]]) -> None:
    data = b"".join(held(payload, number, hook) for number, (payload, hook) in enumerate(sent))
    found, faults = read(data)
    assert [(one.payload, one.hook, one.number) for one in found] == [
        (payload, hook, number) for number, (payload, hook) in enumerate(sent)
    ]
    assert faults == 0


def test_the_mark_is_read_and_a_cut_packet_is_known_for_one() -> None:
    (one,), _faults = read(held(b"packet", 7, 3, nfnetlink.attribute(3, b"\x20\0\0\1")))
    assert (one.number, one.hook, one.mark, one.cut) == (7, 3, 0x20000001, False)
    (one,), _faults = read(held(b"packet", 7, 3, nfnetlink.attribute(13, b"\0\0\1\0")))
    assert one.cut


def test_a_refused_request_is_counted_and_one_for_a_packet_gone_meanwhile_is_not() -> None:
    def reply(code: int) -> bytes:
        return nfnetlink.message(nfnetlink.REPLY, 0, 4, nfnetlink.ERROR.pack(-code))

    assert read(reply(22) + reply(0) + reply(2) + held(b"x"))[1] == 1


def test_a_packet_without_number_or_payload_is_one_fault_and_its_neighbours_stand() -> None:
    nameless = nfnetlink.message(nfqueue.PACKET, 0, 0, nfnetlink.generic(2) + nfnetlink.attribute(10, b"xx"))
    empty = nfnetlink.message(nfqueue.PACKET, 0, 0, nfnetlink.generic(2) + nfnetlink.attribute(1, bytes(7)))
    found, faults = read(held(b"one") + nameless + empty + held(b"two", 2))
    assert [one.payload for one in found] == [b"one", b"two"]
    assert faults == 2


@given(st.binary(max_size=400))
def test_garbage_is_read_without_an_exception(data: bytes) -> None:
    found, faults = read(data)
    assert found or faults or nfnetlink.messages(data)[0] or not data


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6), st.integers(0, 200))
def test_broken_packets_are_read_without_an_exception(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(held(b"INVITE", 1) + held(b"REGISTER", 2, 3, nfnetlink.attribute(3, bytes(4))))
    for at, value in changes:
        data[at % len(data)] = value
    found, _faults = read(bytes(data[: len(data) - cut % len(data)]))
    assert all(one.payload in data for one in found)


@given(
    st.integers(0, 65535), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 4]), st.none() | st.integers(0, 2**32 - 1)
)
def test_a_verdict_says_which_packet_what_and_which_mark(queue: int, number: int, value: int, mark: int | None) -> None:
    content = None
    for payload in (None, b"changed"):
        (one,), faults = nfnetlink.messages(nfqueue.verdict(queue, number, value, mark=mark, payload=payload))
        assert (one.kind, faults) == (0x0301, 0)
        assert one.body[:4] == b"\0\0" + queue.to_bytes(2, "big")
        said, faults = nfnetlink.attributes(one.body, 4)
        assert faults == 0
        assert said.pop(2) == value.to_bytes(4, "big") + number.to_bytes(4, "big")
        assert nfnetlink.number(said.pop(3, None)) == (mark or 0)
        content = said.pop(10, None)
        assert content == payload
        assert said == {}


def test_requests_are_what_the_kernel_reads() -> None:
    (bind,), _faults = nfnetlink.messages(nfqueue.command(5060, nfqueue.BIND, 1))
    assert bind.kind == 0x0302
    assert bind.body[:4] == b"\0\0\x13\xc4"
    assert nfnetlink.attributes(bind.body, 4) == ({1: b"\1\0\0\0"}, 0)
    (whole,), _faults = nfnetlink.messages(nfqueue.copy_whole(1, 1))
    assert nfnetlink.attributes(whole.body, 4) == ({2: b"\0\0\xff\xff\2"}, 0)
    (most,), _faults = nfnetlink.messages(nfqueue.limit(1, 1, most=1024))
    assert nfnetlink.attributes(most.body, 4) == ({3: b"\0\0\4\0"}, 0)
    (flags,), _faults = nfnetlink.messages(nfqueue.flags(1, 1, on=nfqueue.FAIL_OPEN, off=nfqueue.GSO))
    assert nfnetlink.attributes(flags.body, 4) == ({5: b"\0\0\0\1", 4: b"\0\0\0\5"}, 0)
    (many,), _faults = nfnetlink.messages(nfqueue.verdict_up_to(1, 9, nfqueue.ACCEPT, mark=3))
    assert many.kind == 0x0303
