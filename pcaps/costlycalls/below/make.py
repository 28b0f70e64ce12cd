"""Six calls of one account to satellite telephones, two at a time."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(6):
    at = (5 + 30 * (number // 2)) * SECOND + number % 2 * SECOND
    script.dial(at, phone, f"008816312345{number:02d}", lasts=20 * SECOND)
script.write(__file__)
