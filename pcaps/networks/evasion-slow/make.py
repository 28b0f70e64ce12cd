"""Thirty-five addresses of one network, two guesses a day each."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
for number in range(70):
    host = number % 35
    source = Phone(made, f"203.0.113.{7 * host + 1}", 1024 + number, f"20{host:02}", "patient neighbour")
    source.register(number * 1200 * SECOND, f"guess-{number}", good=False)
made.write(__file__)
