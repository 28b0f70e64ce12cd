"""A house that called Somalia calls it again two hours later, by another account, and France for the first time."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import HOUR, MINUTE, SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20", 0)
other = script.phone("1002", "198.51.100.21", 0)
script.dial(5 * SECOND, phone, "0025261123456", lasts=5 * SECOND)
script.dial(2 * HOUR, other, "0025261123457", lasts=5 * SECOND)
script.dial(2 * HOUR + MINUTE, other, "0033140123456", lasts=5 * SECOND)
script.write(__file__)
