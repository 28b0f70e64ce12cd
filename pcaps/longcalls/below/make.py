"""Two long calls to France one after the other, and three long ones at home side by side."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
script.dial(5 * SECOND, phone, "0033140123456", lasts=90 * SECOND)
script.dial(100 * SECOND, phone, "0033140123457", lasts=90 * SECOND)
for number in range(3):
    script.dial((12 + number) * SECOND, phone, f"0301234567{number}", lasts=150 * SECOND)
script.write(__file__)
