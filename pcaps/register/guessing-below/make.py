"""Four wrong passwords in three minutes, then a pause of twelve; three times over, never five in ten minutes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
person = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
for turn in range(3):
    for number in range(4):
        person.register((turn * 900 + number * 60) * SECOND, f"guess-{turn}-{number}", good=False)
made.write(__file__)
