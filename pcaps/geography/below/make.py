"""The same, but nothing of it is denied: the country is allowed, and both countries are listed for the account."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
stranger = Phone(made, "203.0.113.130", 5060, "1001", "patient")
owner = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
traveller = Phone(made, "203.0.113.131", 5070, "1002", "lab phone")
unknown = Phone(made, "192.0.2.77", 5070, "1003", "lab phone")
stranger.register(0, "guess", good=False)
owner.register(10 * SECOND, "Zw7-1001-quiet", good=True)
traveller.register(20 * SECOND, "Zw7-1002-quiet", good=True)
unknown.register(30 * SECOND, "Zw7-1003-quiet", good=True)
made.write(__file__)
