"""Twelve extensions asked for in twenty hours, from twelve ports, with one Call-ID, CSeq and branch."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import HOUR, PBX, Crowd, Device

METHODS = ("OPTIONS", "REGISTER", "SUBSCRIBE", "INVITE")

made = Crowd()
for number in range(12):
    knocker = Device(made, "203.0.113.66", 5060, "100", agent="telephone")
    user = str(1000 + 37 * number)
    method = METHODS[number % 4]
    uri = f"sip:{PBX}" if method == "REGISTER" else f"sip:{user}@{PBX}"
    knocker.ask(number * HOUR * 20 // 11, method, uri, user, "200 OK" if method == "OPTIONS" else "404 Not Found")
made.write(__file__)
