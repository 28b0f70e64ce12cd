"""Phones whose passwords are named otherwise than they, from the beginning."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synthetic import Capture, Phone

SECOND = 1_000_000

made = Capture()
for number in range(5):
    for phone in range(8):
        made_of = Phone(made, f"198.51.100.{20 + phone}", 5060, f"id-{phone:04x}", "lab phone", name=f"10{phone:02}")
        made_of.register((600 * number + phone) * SECOND, "Zw7-quiet", good=True)
for caller in range(12):
    trunk = Phone(made, "198.51.100.99", 5060, "customer", "small pbx", name=f"030123{caller:02}")
    trunk.register((4000 + caller) * SECOND, "Zw7-customer", good=True)
made.write(__file__)
