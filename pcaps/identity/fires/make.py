"""A phone that has always been 1001 registers as 2000, and then as 1009, which nobody is."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
phone = Phone(made, "198.51.100.20", 5060, "1001", "lab phone")
boss = Phone(made, "198.51.100.21", 5060, "2000", "lab phone")
for number in range(5):
    phone.register(600 * number * SECOND, "Zw7-1001-quiet", good=True)
    boss.register((600 * number + 60) * SECOND, "Zw7-2000-quiet", good=True)
Phone(made, "198.51.100.20", 5060, "1001", "lab phone", name="2000").register(
    3100 * SECOND, "Zw7-1001-quiet", good=True
)
for number in range(4):
    phone.register((3200 + 600 * number) * SECOND, "Zw7-1001-quiet", good=True)
Phone(made, "198.51.100.20", 5060, "1001", "lab phone", name="1009").register(
    6000 * SECOND, "Zw7-1001-quiet", good=True
)
made.write(__file__)
