"""Ten addresses of one network guess in turn, at other accounts each."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
owner = Phone(made, "203.0.113.200", 5060, "1001", "lab phone")
owner.register(0, "Zw7-1001-quiet", good=True)
for number in range(40):
    host = number % 10
    source = Phone(made, f"203.0.113.{host + 1}", 5060 + number, f"20{host:02}", "neighbour")
    source.register((10 + 10 * number) * SECOND, f"guess-{number}", good=False)
made.write(__file__)
