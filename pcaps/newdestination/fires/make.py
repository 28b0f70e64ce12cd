"""A house that called at home only calls Somalia two hours later."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import HOUR, SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20", 0)
script.dial(5 * SECOND, phone, "03012345678", lasts=5 * SECOND)
script.dial(2 * HOUR, phone, "0025261123456", lasts=5 * SECOND)
script.write(__file__)
