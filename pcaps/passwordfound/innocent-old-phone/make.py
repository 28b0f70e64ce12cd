"""A phone with an old password that retries for an hour, and is corrected."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
phone = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
for number in range(120):
    phone.register(30 * number * SECOND, "old", good=False)
phone.register(3600 * SECOND, "Zw7-1001-quiet", good=True)
made.write(__file__)
