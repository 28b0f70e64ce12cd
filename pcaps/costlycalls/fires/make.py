"""Three calls of one account to satellite telephones, side by side; the guard only watches, so they go on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from callscript import SECOND, Script

script = Script()
phone = script.phone("1001", "198.51.100.20")
for number in range(3):
    script.dial((5 + 5 * number) * SECOND, phone, f"008816312345{number:02d}", lasts=60 * SECOND)
script.write(__file__)
