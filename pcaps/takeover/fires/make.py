"""A phone registers for two days from home; then its password is used elsewhere. Another account is everywhere."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000
HOUR = 3600 * SECOND

made = Capture()
owner = Phone(made, "198.51.100.20", 5060, "1001", "Yealink SIP-T46S 66.86.0.15")
thief = Phone(made, "203.0.113.66", 5070, "1001", "MicroSIP/3.21.3")
for hour in range(0, 48, 6):
    owner.register(hour * HOUR, "Zw7-1001-quiet", good=True)
for minute in (10, 20):
    thief.register(42 * HOUR + minute * 60 * SECOND, "Zw7-1001-quiet", good=True)
for number, address in enumerate(("198.51.100.20", "198.51.100.130", "198.51.100.200", "198.51.100.230", "192.0.2.77")):
    sold = Phone(made, address, 5080, "1002", "Zoiper rv2.10")
    sold.register(48 * HOUR + number * 60 * SECOND, "Zw7-1002-quiet", good=True)
made.write(__file__)
