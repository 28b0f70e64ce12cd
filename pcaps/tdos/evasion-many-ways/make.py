"""Twelve calls to one number, written in four ways, over three addresses of a trunk and two strangers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import PBX, SECOND, Crowd, Device

WRITTEN = ("+4930555000", "+49-30-555000", "%2b49.30.555000", "+49(30)555000")
SENDERS = ("198.51.100.2", "198.51.100.3", "198.51.100.4", "203.0.113.66", "203.0.113.67")

made = Crowd()
for number in range(12):
    sender = Device(made, SENDERS[number % 5], 5060, f"49301{number:05d}", agent="carrier", count=100 * number)
    written = WRITTEN[number % 4]
    sender.ask(number * 4 * SECOND, "INVITE", f"sip:{written};x={number}@{PBX}", written, "480 Temporarily Unavailable")
made.write(__file__)
