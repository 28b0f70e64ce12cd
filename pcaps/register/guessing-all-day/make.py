"""One guess in three quarters of an hour, for a day."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
for number in range(31):
    guesser = Phone(made, "203.0.113.66", 5060 + number, "1001", "patient")
    guesser.register(number * 2700 * SECOND, f"guess-{number}", good=False)
    honest = Phone(made, "198.51.100.20", 6000 + number, f"11{number:02}", "lab phone")
    honest.register((number * 2700 + 60) * SECOND, "slip", good=False)
    honest.register((number * 2700 + 90) * SECOND, "right", good=True)
made.write(__file__)
