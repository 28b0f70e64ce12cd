"""Nineteen failures in one network, and a neighbour who mistypes twice."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
for number in range(19):
    host = number % 10
    source = Phone(made, f"203.0.113.{host + 1}", 5060 + number, f"20{host:02}", "neighbour")
    source.register(10 * number * SECOND, f"guess-{number}", good=False)
honest = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
honest.register(200 * SECOND, "slip-1", good=False)
honest.register(210 * SECOND, "slip-2", good=False)
honest.register(220 * SECOND, "Zw7-1001-quiet", good=True)
made.write(__file__)
