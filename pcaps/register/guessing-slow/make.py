"""Seven wrong passwords, one in 100 s: the fifth comes 400 s after the first, within a window of ten minutes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
guesser = Phone(made, "203.0.113.66", 5060, "1001", "patient")
honest = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
for number in range(7):
    guesser.register(number * 100 * SECOND, f"guess-{number}", good=False)
    honest.register((number * 100 + 30) * SECOND, "Zw7-1001-quiet", good=True)
made.write(__file__)
