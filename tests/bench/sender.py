"""Sends numbered datagrams at a stated rate; run as a process of its own, inside a namespace.

    python -m tests.bench.sender ADDRESS PORT RATE COUNT

Each carries the time of its sending (nanoseconds of CLOCK_MONOTONIC, one clock for all processes of a machine). Prints
the nanoseconds that the sending took.
"""

from __future__ import annotations

import socket
import sys
import time

_HEAD = (
    b"OPTIONS sip:100@pbx.example.net SIP/2.0\r\nX-Sent: %020d\r\nX-Number: %010d\r\n"
    b"Via: SIP/2.0/UDP 203.0.113.66:5060;branch=z9hG4bK%d;rport\r\nFrom: <sip:100@pbx.example.net>;tag=%d\r\n"
    b"To: <sip:100@pbx.example.net>\r\nCall-ID: %d@203.0.113.66\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
    b"Contact: <sip:100@203.0.113.66:5060>\r\nUser-Agent: friendly-scanner\r\nAccept: application/sdp\r\n"
    b"Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_SENT_AT = _HEAD.index(b"%020d")
_NAP = 0.000_3  # seconds; for less than that it is waited in a loop


def datagram(number: int) -> bytes:
    """Write one, with the time in it."""
    return _HEAD % (time.monotonic_ns(), number, number, number, number)


def sent_at(payload: bytes) -> int:
    """Read the time of sending out of a datagram."""
    return int(payload[_SENT_AT : _SENT_AT + 20])


def send(target: tuple[str, int], rate: int, count: int) -> int:
    """Send `count` datagrams, each when it is due; gives how long it took in nanoseconds."""
    gap = 1_000_000_000 // rate
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(target)
        began = time.monotonic_ns()
        for number in range(count):
            left = began + number * gap - time.monotonic_ns()
            if left > 2_000_000_000 * _NAP:
                time.sleep(left / 1e9 - _NAP)
            while time.monotonic_ns() < began + number * gap:
                pass
            sock.send(datagram(number))
        return time.monotonic_ns() - began


if __name__ == "__main__":
    took = send((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write(f"{took}\n")
