"""Three lines to France that are hung up and dialled again before they are long."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(9):
    at = (5 + 55 * (number // 3) + number % 3) * SECOND
    script.dial(at, phone, f"003314012345{number}", lasts=45 * SECOND)
script.write(__file__)
