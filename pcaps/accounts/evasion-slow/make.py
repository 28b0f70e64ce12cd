"""One guess in twenty minutes, each from another network, for a day."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
for number in range(62):
    source = Phone(made, f"100.{64 + number}.7.9", 1024 + number, "1001", "patient")
    source.register(number * 1200 * SECOND, f"guess-{number}", good=False)
made.write(__file__)
