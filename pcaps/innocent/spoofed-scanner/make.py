"""Ten thousand datagrams and ten thousand TCP segments in the name of a phone, as a scanner writes them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import PBX, SECOND, Crowd, Device

VICTIM = "198.51.100.20"
AGENT = "friendly-scanner"

made = Crowd()
phone = Device(made, VICTIM, 5062, "1001")
for start in range(0, 120, 30):
    phone.register(start * SECOND)
    phone.call((start + 5) * SECOND, "1002")
request = (
    f"OPTIONS sip:100@{PBX} SIP/2.0\r\nVia: SIP/2.0/UDP {VICTIM}:5060;branch=z9hG4bK-1364752491;rport\r\n"
    "Content-Length: 0\r\n"
    'From: "sipvicious"<sip:100@1.1.1.1>;tag=3133363437353234393101\r\nAccept: application/sdp\r\n'
    f'User-Agent: {AGENT}\r\nTo: "sipvicious"<sip:100@1.1.1.1>\r\nContact: sip:100@{VICTIM}:5060\r\n'
    "CSeq: 1 OPTIONS\r\nCall-ID: 845137640114582146\r\nMax-Forwards: 70\r\n\r\n"
).encode()
for number in range(10_000):
    at = 10 * SECOND + number * 8_000
    made.add(at, (VICTIM, 5060), (PBX, 5060), request)
    made.segment(at + 100, (VICTIM, 5060), request, sequence=1, flags=0x18)
made.write(__file__)
