"""Reads one NFQUEUE and lets everything pass: what the gate is measured against. A process of its own, in a namespace.

    python -m tests.bench.bare QUEUE

Written as sparingly as our own messages allow: one read, one verdict. Says "ready" once the queue is bound.
"""

from __future__ import annotations

import os
import sys

from sipguard.capture import netlink
from sipguard.netfilter import nfqueue


def judge(queue: int) -> None:
    """Accept all that comes, for ever."""
    sock = netlink.opened(netlink.NETFILTER, 0, "bare")
    netlink.grow(sock, 8 * 1024 * 1024)
    sock.send(nfqueue.command(queue, nfqueue.BIND, 1))
    sock.send(nfqueue.flags(queue, 2, on=nfqueue.FAIL_OPEN, off=nfqueue.GSO | nfqueue.CONNTRACK))
    sock.send(nfqueue.copy_whole(queue, 3))
    sock.settimeout(None)
    os.write(1, b"ready\n")
    while True:
        held: list[nfqueue.Packet] = []
        nfqueue.packets(sock.recv(72_000), held)
        for packet in held:
            sock.send(nfqueue.verdict(queue, packet.number, nfqueue.ACCEPT))


if __name__ == "__main__":
    judge(int(sys.argv[1]))
