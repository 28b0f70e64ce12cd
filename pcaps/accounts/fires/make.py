"""Two hundred sources guess at one account, each once an hour: the first twenty minutes of it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
owner = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
for number in range(67):
    source = Phone(made, f"100.{64 + number}.7.9", 5060, "1001", "patient")
    source.register(number * 18 * SECOND, f"guess-{number}", good=False)
    if number % 20 == 0:
        owner.register((number * 18 + 9) * SECOND, "Zw7-1001-quiet", good=True)
made.write(__file__)
