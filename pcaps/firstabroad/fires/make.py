"""An account that called at home for two hours calls France, from another network."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import HOUR, SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20", 0)
for number in range(3):
    script.dial((1800 * number + 5) * SECOND, phone, f"0301234567{number}", lasts=5 * SECOND)
thief = script.phone("1001", "192.0.2.200", 2 * HOUR)
script.dial(2 * HOUR + 5 * SECOND, thief, "0033140123456", lasts=5 * SECOND)
script.write(__file__)
