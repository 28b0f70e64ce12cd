"""As `outage`, but the phones try the nonces they had before, which the PBX has forgotten."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import HOUR, MINUTE, PBX, SECOND, Crowd, Device

OFFICE = "198.51.100.20"

made = Crowd()
phones = [Device(made, OFFICE, 10_000 + number, str(2000 + number), delay=150_000) for number in range(300)]
for number, phone in enumerate(phones):
    phone.register(number * SECOND)
for number, phone in enumerate(phones):  # the PBX is down, and nobody answers
    for minute in (70, 80):
        phone.ask(minute * MINUTE + number * SECOND, "REGISTER", f"sip:{PBX}", phone.user)
for number, phone in enumerate(phones):
    phone.register(2 * HOUR + number * SECOND // 15, forgotten="before")
made.write(__file__)
