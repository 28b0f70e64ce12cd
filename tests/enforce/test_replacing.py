"""While sets are replaced, the allowed always pass, and who is banned before and after never does. On the kernel."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from sipguard.address import Network, parse_network
from sipguard.enforce.base import Layout
from sipguard.enforce.switch import Stance, Switch
from sipguard.model import SECOND, Held, SetName
from tests.enforce.spaces import cable, inside, now

pytestmark = pytest.mark.root

ALLOWED, BANNED = "192.0.2.3", "192.0.2.2"
ROUNDS = 40


def around(number: int) -> list[Network]:
    """Give networks that all hold the banned address and the allowed one, cut otherwise each time."""
    bits = number % 5 + 3
    whole = int.from_bytes(parse_network("192.0.2.0").address, "big")
    beside = [Network((0x0A000000 + (number * 512 + each * 2 << 8)).to_bytes(4, "big"), 24) for each in range(200)]
    return [Network((whole >> bits << bits).to_bytes(4, "big"), 32 - bits), *beside]


def test_networks_are_swapped_at_once_and_the_allowlist_holds_throughout() -> None:
    with cable() as wire:
        listener = wire.open(wire.pbx, "192.0.2.1", 5060)
        listener.settimeout(1)
        listener.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: it is read when all is over
        senders = {name: wire.open(wire.stranger, name) for name in (ALLOWED, BANNED)}
        ended = threading.Event()
        sent = 0

        def send() -> None:
            nonlocal sent
            while not ended.is_set():
                for sender in senders.values():
                    sender.sendto(b"OPTIONS", ("192.0.2.1", 5060))
                sent += 1
                time.sleep(0.0005)

        with inside(wire.pbx):
            switch = Switch(Layout(), now)
            end = now() + 600 * SECOND
            first = [Held(SetName.BLOCKED, net, end) for net in around(0)]
            held = Held(SetName.ALLOWED, parse_network(f"{ALLOWED}/32"))
            switch.take(Stance.ENFORCE, Layout(), [held, *first], [])
            sending = threading.Thread(target=send)
            sending.start()
            try:
                for number in range(1, ROUNDS):
                    wanted = [Held(SetName.BLOCKED, net, end) for net in around(number)]
                    # New ones first, as the ledger does with a list: the wider or narrower ban takes over in one step.
                    answers = switch.enact([(True, ban) for ban in wanted])
                    assert all(answer.ok for answer in answers)
                    others = [(False, Held(SetName.BLOCKED, net)) for net in around(number - 1)[1:]]
                    assert all(answer.ok for answer in switch.enact(others))
                    listed = Held(SetName.ALLOWED, parse_network(f"198.51.{number}.0/24"))
                    assert switch.hold(listed).ok
                    assert switch.release(listed).ok
            finally:
                ended.set()
                sending.join()
            switch.close()
        arrived: list[str] = []
        with contextlib.suppress(TimeoutError):
            while len(arrived) < sent:
                arrived.append(listener.recvfrom(100)[1][0])
        assert BANNED not in arrived
        assert arrived.count(ALLOWED) == sent, "not one packet of an allowed address was lost"
        assert sent > 20
