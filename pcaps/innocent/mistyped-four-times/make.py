"""Somebody mistypes a password four times, then gets it right, and calls."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crowd import SECOND, Crowd, Device

made = Crowd()
phone = Device(made, "198.51.100.20", 5062, "1001")
for count in range(4):
    phone.register(count * 15 * SECOND, good=False)
phone.register(60 * SECOND)
phone.call(70 * SECOND, "1002")
phone.register(90 * SECOND)
made.write(__file__)
