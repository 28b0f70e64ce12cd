"""One guess in ten minutes until one is right, while the owner is at home elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
owner = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
guesser = Phone(made, "203.0.113.66", 5060, "1001", "patient")
for number in range(31):
    guesser.register(600 * number * SECOND, "Zw7-1001-quiet" if number == 30 else f"guess-{number}", good=number == 30)
    owner.register((600 * number + 30) * SECOND, "Zw7-1001-quiet", good=True)
made.write(__file__)
