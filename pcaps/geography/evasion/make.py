"""A thief writes the account in capitals and hops ports; another comes by an allowed country and a denied system."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
for number in range(3):
    thief = Phone(made, "203.0.113.130", 5070 + number, "RECEPTION", "lab phone")
    thief.register(number * 10 * SECOND, "Zw7-reception-quiet", good=True)
hosted = Phone(made, "198.51.100.230", 5060, "1001", "lab phone")
hosted.register(60 * SECOND, "guess", good=False)
made.write(__file__)
