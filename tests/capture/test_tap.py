"""The tap on a real kernel: quick for one packet, complete under load, and never ended by what it loses."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipguard.capture.tap import Tap
from sipguard.enforce.base import Layout
from sipguard.enforce.nft import Nft
from sipguard.errors import AdapterError
from sipguard.model import Hook, Origin, SensorKind
from tests.enforce.spaces import Cable, cable, inside, now, space

pytestmark = pytest.mark.root

PBX = ("192.0.2.1", 5060)
WIDE = Layout(tap_rate=1_000_000, tap_each=1_000_000, stranger_rate=1_000_000, strangers_rate=1_000_000)


@pytest.fixture
def joined() -> Iterator[Cable]:
    with cable() as made, inside(made.pbx):
        nft = Nft(WIDE, now)
        nft.install()
        nft.close()
        yield made


def gathered(tap: Tap, sender: socket.socket, last: bytes) -> list[bytes]:
    """Read until a packet with the payload `last` has come; it is sent again while nothing comes."""
    found: list[bytes] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (not found or found[-1] != last):
        if not select.select([tap], [], [], 0.2)[0]:
            sender.sendto(last, PBX)
        found += [frame.packet[28:] for frame in tap.read(256)]
    return found


def test_one_packet_alone_is_readable_at_once(joined: Cable) -> None:
    tap = Tap(WIDE.tap_group)
    sender = joined.open(joined.stranger, "192.0.2.2")
    assert tap.read(10) == []
    sender.sendto(b"hello", PBX)
    # The kernel's own timer is 1 s, ours 10 ms: neither is waited for.
    assert select.select([tap], [], [], 0.5)[0]
    frame = tap.read(10)[0]
    assert (frame.hook, frame.origin, frame.packet[28:]) == (Hook.PREROUTING, Origin.TAP, b"hello")
    assert tap.sensors() == []
    tap.close()


def test_under_load_wake_ups_are_gathered_nothing_is_lost_and_calm_returns(joined: Cable) -> None:
    tap = Tap(WIDE.tap_group)
    sender = joined.open(joined.stranger, "192.0.2.2")
    thresholds = set()
    received: list[bytes] = []
    for burst in range(16):
        for number in range(burst * 256, burst * 256 + 256):
            sender.sendto(b"%d" % number, PBX)
        while len(received) < burst * 256 + 256 and select.select([tap], [], [], 2)[0]:
            received += [frame.packet[28:] for frame in tap.read(256)]
        thresholds.add(tap.threshold)
    assert received == [b"%d" % number for number in range(16 * 256)]
    assert thresholds == {1, 64}
    for _time in range(20):
        tap.read(256)
    assert tap.threshold == 1
    assert tap.sensors() == []
    tap.close()


def test_what_a_full_buffer_loses_is_counted_exactly_and_reading_goes_on(joined: Cable) -> None:
    tap = Tap(WIDE.tap_group, receive_buffer_bytes=20_000)
    sender = joined.open(joined.stranger, "192.0.2.2")
    for _number in range(2_000):
        sender.sendto(b"x" * 500, PBX)
    found = gathered(tap, sender, b"last")
    assert tap.overruns > 0
    assert tap.lost > 0
    assert found.count(b"x" * 500) + tap.lost == 2_000
    assert [(one.kind, one.count) for one in tap.sensors()] == [(SensorKind.TAP_LOST, tap.lost)]
    assert tap.sensors() == []
    sender.sendto(b"after", PBX)
    assert gathered(tap, sender, b"after")[-1] == b"after"
    tap.close()


def test_a_group_that_is_taken_is_an_adapter_error_and_is_free_after_close() -> None:
    with space() as name, inside(name):
        tap = Tap(17)
        with pytest.raises(AdapterError, match="taken by another process"):
            Tap(17)
        tap.close()
        tap.close()
        Tap(17).close()


def test_without_the_capability_it_is_an_adapter_error() -> None:
    with space() as name, inside(name):
        child = os.fork()
        if child == 0:
            os.setuid(65_534)
            try:
                Tap(17)
            except AdapterError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture(scope="module")
def quiet() -> Iterator[Tap]:
    with space() as name, inside(name):
        tap = Tap(17)
        yield tap
        tap.close()


@given(st.lists(st.binary(max_size=200), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_from_the_socket_is_counted_and_never_raised(quiet: Tap, buffers: list[bytes]) -> None:
    before = quiet.malformed
    for data in buffers:
        quiet._understand(data, [])
    assert quiet.malformed - before >= sum(1 for data in buffers if 0 < len(data) < 16)
    assert quiet.read(10) == []


def test_a_message_cut_off_by_our_buffer_is_counted(quiet: Tap) -> None:
    quiet.sensors()
    quiet._understand(bytes(262_144), [])
    assert quiet.truncated == 1
    assert [one.kind for one in quiet.sensors()] == [SensorKind.TAP_MALFORMED]
