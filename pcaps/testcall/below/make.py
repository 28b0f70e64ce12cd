"""One short call to Somalia; two hours later two to the same prefix. And a talk with Chad, later three calls there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import HOUR, SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20", 0, 2 * HOUR)
script.dial(5 * SECOND, phone, "0025261123456", lasts=5 * SECOND)
script.dial(30 * SECOND, phone, "0023563123456", lasts=60 * SECOND)
for number in range(2):
    script.dial(2 * HOUR + (5 + 15 * number) * SECOND, phone, f"002526112345{number}", lasts=10 * SECOND)
for number in range(3):
    script.dial(2 * HOUR + (60 + 15 * number) * SECOND, phone, f"002356312345{number}", lasts=10 * SECOND)
script.write(__file__)
