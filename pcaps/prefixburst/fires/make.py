"""Four short calls of one account to Lithuanian mobiles within a minute."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(4):
    script.dial((5 + 15 * number) * SECOND, phone, f"003706123456{number}", lasts=5 * SECOND)
script.write(__file__)
