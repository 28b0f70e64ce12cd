"""A phone gets new firmware; a commuter has two homes, both learned on the first day; four networks at a time."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000
HOUR = 3600 * SECOND

made = Capture()
for hour in range(0, 48, 6):
    owner = Phone(made, "198.51.100.20", 5060, "1001", f"Yealink SIP-T46S 66.86.0.{hour}")
    owner.register(hour * HOUR, "Zw7-1001-quiet", good=True)
    home = "203.0.113.130" if hour % 12 else "198.51.100.21"
    commuter = Phone(made, home, 5060, "1003", "Linphone/5.2")
    commuter.register(hour * HOUR + 60 * SECOND, "Zw7-1003-quiet", good=True)
for number, address in enumerate(("198.51.100.20", "198.51.100.130", "198.51.100.200", "198.51.100.230")):
    mobile = Phone(made, address, 5080, "1002", "Zoiper rv2.10")
    mobile.register(48 * HOUR + number * 60 * SECOND, "Zw7-1002-quiet", good=True)
made.write(__file__)
