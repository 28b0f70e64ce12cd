"""A patient scanner asks for one extension in ten minutes; the guard has chosen canaries itself."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import HOUR, MINUTE, PBX, SECOND, Crowd, Device

made = Crowd()
phones = [Device(made, f"198.51.100.{20 + number}", 5062, str(1001 + number)) for number in range(8)]
for start in range(0, 30 * HOUR, HOUR):
    for number, phone in enumerate(phones):
        phone.register(start + number * SECOND)
for number in range(100):
    knocker = Device(made, "203.0.113.66", 5060 + number, str(1000 + number), agent="telephone")
    at = 13 * HOUR + number * 10 * MINUTE + 3 * SECOND
    knocker.ask(at, "REGISTER", f"sip:{PBX}", knocker.user, "401 Unauthorized", [knocker.challenge(f"n{number}")])
made.write(__file__)
