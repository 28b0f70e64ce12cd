"""A stranger from a denied country guesses once; an account bound to its country registers from another."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
stranger = Phone(made, "203.0.113.66", 5060, "1001", "patient")
owner = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
thief = Phone(made, "203.0.113.130", 5070, "1002", "lab phone")
stranger.register(0, "guess", good=False)
owner.register(10 * SECOND, "Zw7-1001-quiet", good=True)
thief.register(20 * SECOND, "Zw7-1002-quiet", good=True)
made.write(__file__)
