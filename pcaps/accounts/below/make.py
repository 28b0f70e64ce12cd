"""Fifteen sources fail for one account, and its owner in three places until it is right."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
for number in range(15):
    source = Phone(made, f"100.{64 + number}.7.9", 5060, "1001", "patient")
    source.register(number * 18 * SECOND, f"guess-{number}", good=False)
for place in range(3):
    owner = Phone(made, f"198.51.100.{20 + place}", 5060, "1001", "lab phone")
    for number in range(4):
        owner.register((350 + 20 * place + 2 * number) * SECOND, f"slip-{number}", good=False)
    owner.register((360 + 20 * place) * SECOND, "Zw7-1001-quiet", good=True)
made.write(__file__)
