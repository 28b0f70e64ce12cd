"""A thief says that he is the owner's kind of phone, from a rented host in the owner's country: the system is new."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000
HOUR = 3600 * SECOND

made = Capture()
agent = "Yealink SIP-T46S 66.86.0.15"
owner = Phone(made, "198.51.100.20", 5060, "1001", agent)
thief = Phone(made, "198.51.100.230", 5060, "1001", agent)
for hour in range(0, 48, 6):
    owner.register(hour * HOUR, "Zw7-1001-quiet", good=True)
thief.register(42 * HOUR + 600 * SECOND, "Zw7-1001-quiet", good=True)
made.write(__file__)
