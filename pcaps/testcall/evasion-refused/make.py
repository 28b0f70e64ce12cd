"""Two calls to Somalia that are refused, the second at once after the first; then one each hour, and three."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import HOUR, SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20", 0, HOUR, 2 * HOUR)
script.dial(5 * SECOND, phone, "0025261123456")
script.dial(20 * SECOND, phone, "0025261123457")
script.dial(HOUR + 5 * SECOND, phone, "+25261123458", lasts=5 * SECOND)
for number in range(3):
    script.dial(2 * HOUR + (5 + 15 * number) * SECOND, phone, f"+2526112345{number}0", lasts=10 * SECOND)
script.write(__file__)
