"""Two calls of one account to France that go on for more than a minute, side by side; then a call at home."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
script.dial(5 * SECOND, phone, "0033140123456", lasts=120 * SECOND)
script.dial(10 * SECOND, phone, "0033140123457", lasts=120 * SECOND)
script.dial(80 * SECOND, phone, "03012345678", lasts=5 * SECOND)
script.write(__file__)
