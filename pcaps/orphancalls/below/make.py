"""One call to France and three at home that nobody dialled, and a phone's call to Somalia."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
script.orphan(5 * SECOND, "0033140123456", lasts=5 * SECOND)
for number in range(3):
    script.orphan((30 + 20 * number) * SECOND, f"0301234567{number}", lasts=5 * SECOND)
script.dial(100 * SECOND, phone, "0025261123456", lasts=20 * SECOND)
script.write(__file__)
